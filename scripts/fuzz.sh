#!/usr/bin/env bash
# Runs libFuzzer targets for a while each, over the seeds in git and the corpus of earlier runs.
#
#   scripts/fuzz.sh BUILD_DIR SECONDS [TARGET…]        default: every target in fuzz/CMakeLists.txt
#
# A crash fails, and its input is left in BUILD_DIR/crashes: turn it into a seed and a test.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

[ $# -ge 2 ] || die "usage: fuzz.sh BUILD_DIR SECONDS [TARGET…]"
build=$1 seconds=$2
shift 2
targets=("$@")
if [ ${#targets[@]} = 0 ]; then
  mapfile -t targets < <(sed -nE 's/^ *podsense_fuzzer\(([a-z0-9_]+).*/\1/p' fuzz/CMakeLists.txt)
fi
[ ${#targets[@]} -gt 0 ] || die "no targets in fuzz/CMakeLists.txt"
mkdir -p "$build/logs" "$build/crashes"

export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:allocator_may_return_null=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}

fuzz_one() {
  local target=$1 log=$build/logs/$1.log corpus=$build/corpus/$1 seeds=fuzz/seeds/$1 status=0
  mkdir -p "$corpus"
  local folders=("$corpus")
  if [ -d "$seeds" ]; then folders+=("$seeds"); fi
  local dictionary=()
  if [ -e "fuzz/$target.dict" ]; then dictionary=("-dict=fuzz/$target.dict"); fi
  "$build/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="$build/crashes/$target-" ${dictionary[@]+"${dictionary[@]}"} \
    "${folders[@]}" >"$log" 2>&1 </dev/null || status=$?
  local runs
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  if [ $status = 0 ] && [ "${runs:-0}" -gt 0 ]; then
    echo "fuzz $target: ok, $runs inputs"
  else
    tail -n 40 "$log" >&2
    echo "fuzz $target: FAILED (exit $status, ${runs:-no} inputs); log in $log"
    return 1
  fi
}
export -f fuzz_one
export build seconds
printf '%s\n' "${targets[@]}" | xargs -P "${JOBS:-$(nproc)}" -I {} bash -euo pipefail -c 'fuzz_one {}' ||
  die "a target failed"
