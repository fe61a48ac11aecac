#!/usr/bin/env bash
# Runs every micro benchmark (*_bench) in BUILD_DIR; JSON results go to BUILD_DIR/results.
#
#   scripts/bench.sh BUILD_DIR [FILTER]        FILTER: regular expression of benchmark names
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

build=${1:?usage: bench.sh BUILD_DIR [FILTER]}
mkdir -p "$build/results"
found=0
while IFS= read -r benchmark; do
  found=1
  name=$(basename "$benchmark")
  say "$name"
  "$benchmark" --benchmark_filter="${2:-.}" --benchmark_out_format=json \
    --benchmark_out="$build/results/$name.json" --benchmark_context=commit="$(
      git rev-parse --short HEAD 2>/dev/null || echo unknown
    )"
done < <(find "$build" -type f -name '*_bench' -perm -u+x | LC_ALL=C sort)
[ $found = 1 ] || die "no *_bench in $build"
