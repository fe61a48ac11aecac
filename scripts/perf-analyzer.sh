#!/usr/bin/env bash
# Gets (once) NVIDIA's perf_analyzer into the cache that clean clones share, and prints the path of a
# script that runs it.
#
#   "$(scripts/perf-analyzer.sh)" -m random-forest -i grpc -u localhost:9000
#
# PyPI's packages perf-analyzer and tritonclient[perf_analyzer] hold no program; older wheels of
# tritonclient do. That of 2.52 needs glibc 2.38; the ones before need CUDA's runtime
# library, which is a package of its own and wants no GPU, and libb64 (setup.sh installs it).
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[ $# = 0 ] || die "usage: perf-analyzer.sh"
packages=(tritonclient==2.51.0 nvidia-cuda-runtime-cu12==12.9.79)
glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null | cut -d' ' -f2)
[ "$(printf '%s\n' 2.38 "${glibc:-0}" | sort -V | head -n 1)" != 2.38 ] || packages=(tritonclient==2.52.0)
folder=$podsense_cache/perf-analyzer/$(hash_of - <<<"${packages[*]} $podsense_cache")

get() {
  if [ -e "$folder/.complete" ]; then return; fi
  say "getting ${packages[*]}" >&2
  rm -rf "$folder"
  # Only the program is wanted, not what the Python part of the package stands on.
  "$python" -m pip install -q --disable-pip-version-check --no-deps --only-binary=:all: \
    --target "$folder" "${packages[@]}" >&2 || die "cannot install ${packages[*]}"
  [ -e "$folder/bin/perf_analyzer" ] || die "${packages[0]} has no perf_analyzer for $(uname -m)"
  chmod +x "$folder/bin/perf_analyzer"
  cat >"$folder/perf_analyzer" <<END
#!/bin/sh
LD_LIBRARY_PATH='$folder/nvidia/cuda_runtime/lib' exec '$folder/bin/perf_analyzer' "\$@"
END
  chmod +x "$folder/perf_analyzer"
  touch "$folder/.complete"
}
[ -e "$folder/.complete" ] || with_lock perf-analyzer get
echo "$folder/perf_analyzer"
