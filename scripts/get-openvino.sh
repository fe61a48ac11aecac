#!/usr/bin/env bash
# Puts OpenVINO (headers, and the libraries that an ONNX model on a CPU needs) under DIR/include and DIR/lib.
#
#   scripts/get-openvino.sh [DIR]             default: build/deps/openvino, where CMake looks
#
# The official Linux build inside the PyPI wheel, pinned by SHA-256 (x86-64: glibc 2.28 or newer,
# arm64: 2.35), whatever Python runs this. Taken are the core, the CPU plugin, the ONNX front end and
# TBB; not the other plugins and front ends.
#
# BUILD_CACHE=…    default ~/.cache/podsense
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=${1:-$root/build/deps/openvino}
version=2026.4.1

case $(uname -m) in
  x86_64)
    platform=manylinux_2_28_x86_64
    wheel_sha256=6b4375c17ddcac83a5180349e2e2bb811185c261066e2a920659892d58ef0e3b
    ;;
  aarch64 | arm64)
    platform=manylinux_2_35_aarch64
    wheel_sha256=82efccb2f9f1bdc7e5a1996e05a3b719ebff9232dd54b44150d6d2e983a86b7d
    ;;
  *) die "no official OpenVINO build for $(uname -m): build without it" ;;
esac

layout=1 # raise it when what is put into DIR changes
key=$version-$(uname -m)-$layout
cached=$podsense_cache/openvino/$key

if [ "$(cat "$target/.key" 2>/dev/null)" = "$key" ] && [ -e "$target/lib/libopenvino.so" ]; then
  say "OpenVINO $version is in place"
  exit 0
fi

download() {
  local work=$1 into=$2
  download_wheel "openvino==$version" "$wheel_sha256" "$platform" "$work"
  "$python" - "$work"/wheel/*.whl "$into" <<'PY'
import os
import pathlib
import re
import sys
import zipfile

wheel, into = sys.argv[1], pathlib.Path(sys.argv[2])
LIBRARIES = re.compile(
    r"openvino/libs/(libopenvino\.so\.\d+|libopenvino_(?:intel|arm)_cpu_plugin\.so"
    r"|libopenvino_onnx_frontend\.so\.\d+|libtbb\.so\.12)"
)
HEADERS = re.compile(r"openvino/include/(openvino/.+)")
LICENCES = re.compile(r"openvino-[^/]+/licenses/(?:licensing/)?([^/]+)")
found = set()
with zipfile.ZipFile(wheel) as archive:
    for name in archive.namelist():
        for pattern, folder in ((LIBRARIES, "lib"), (HEADERS, "include"), (LICENCES, "licenses")):
            if match := pattern.fullmatch(name):
                path = into / folder / match[1]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(archive.read(name))
                if folder == "lib":
                    path.chmod(0o755)
                    found.add(match[1])
core = [name for name in found if name.startswith("libopenvino.so.")]
if len(found) != 4 or len(core) != 1:
    sys.exit(f"{wheel} has not the libraries that were expected: {sorted(found)}")
os.symlink(core[0], into / "lib" / "libopenvino.so")
PY
}

fill_cache() {
  [ -e "$cached/.key" ] && return
  local work
  work=$(mktemp -d)
  # shellcheck disable=SC2064  # expanded now: `work` is gone when the trap runs
  trap "rm -rf '$work'" EXIT
  mkdir -p "$work/out"
  say "getting OpenVINO $version for $(uname -m)"
  download "$work" "$work/out"
  echo "$key" >"$work/out/.key"
  install_tree "$work/out" "$cached"
}

with_lock openvino fill_cache
install_tree "$cached" "$target"
say "OpenVINO $version in $target"
