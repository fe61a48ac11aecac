#!/usr/bin/env bash
# Puts ONNX Runtime (headers and shared library) under DIR/include and DIR/lib.
#
#   scripts/get-onnxruntime.sh [DIR]          default: build/deps/onnxruntime, where CMake looks
#
# library: the official Linux build inside the PyPI wheel, pinned by SHA-256 (x86-64 and arm64,
#          glibc 2.28 or newer), whatever Python runs this
# headers: Debian trixie's libonnxruntime-dev (1.21, ORT_API_VERSION 21), read through a private apt
#          configuration with signatures checked; nothing is installed. The library serves every
#          API version from 1 to its own
#
# ONNXRUNTIME_ROOT=…  an unpacked release archive to use instead; DIR becomes a link to it
# DEBIAN_URI=…        a Debian mirror, where this machine's apt sources name none
# BUILD_CACHE=…    default ~/.cache/podsense
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=${1:-$root/build/deps/onnxruntime}
version=1.31.1
header_suite=trixie

if [ -n "${ONNXRUNTIME_ROOT:-}" ]; then
  for file in include/onnxruntime_c_api.h include/onnxruntime_cxx_api.h lib/libonnxruntime.so.1; do
    [ -e "$ONNXRUNTIME_ROOT/$file" ] ||
      die "ONNXRUNTIME_ROOT=$ONNXRUNTIME_ROOT has no $file: it must be an unpacked Linux release"
  done
  given=$(cd "$ONNXRUNTIME_ROOT" && pwd -P)
  if [ "$(readlink -f "$target" 2>/dev/null)" != "$given" ]; then
    mkdir -p "$(dirname "$target")"
    rm -rf "$target"
    ln -s "$given" "$target"
  fi
  say "using $given"
  exit 0
fi

case $(uname -m) in
  x86_64)
    platform=manylinux_2_28_x86_64
    wheel_sha256=1f3dea47f2f0e5117c2404cea7d21fd253ae7836a3bf167a501cdfbb2600d536
    ;;
  aarch64 | arm64)
    platform=manylinux_2_28_aarch64
    wheel_sha256=0b9a492176886992e0e875f06bc0367e333f5fff11711a2d642e18b02f3009cc
    ;;
  *) die "no official ONNX Runtime build for $(uname -m): set ONNXRUNTIME_ROOT to one of your own" ;;
esac

layout=1 # raise it when what is put into DIR changes
key=$version-$(uname -m)-$header_suite-$layout
cached=$podsense_cache/onnxruntime/$key

if [ ! -L "$target" ] && [ "$(cat "$target/.key" 2>/dev/null)" = "$key" ] &&
  [ -e "$target/lib/libonnxruntime.so.1" ]; then
  say "ONNX Runtime $version is in place"
  exit 0
fi

download_library() {
  local work=$1 into=$2
  download_wheel "onnxruntime==$version" "$wheel_sha256" "$platform" "$work"
  "$python" - "$work"/wheel/*.whl "$into/lib" "$version" <<'PY'
import os
import sys
import zipfile

wheel, lib, version = sys.argv[1:]
name = f"libonnxruntime.so.{version}"
with zipfile.ZipFile(wheel) as archive:
    for source, target in ((f"onnxruntime/capi/{name}", name),
                           ("onnxruntime/LICENSE", "LICENSE.onnxruntime"),
                           ("onnxruntime/ThirdPartyNotices.txt", "ThirdPartyNotices.onnxruntime.txt")):
        with open(os.path.join(lib, target), "wb") as out:
            out.write(archive.read(source))
os.chmod(os.path.join(lib, name), 0o755)
os.symlink(name, os.path.join(lib, "libonnxruntime.so.1"))
os.symlink("libonnxruntime.so.1", os.path.join(lib, "libonnxruntime.so"))
PY
}

download_headers() {
  local work=$1 into=$2 mirror keyring=""
  command -v apt-get >/dev/null ||
    die "no apt here to take the headers from: set ONNXRUNTIME_ROOT to an unpacked release of ONNX Runtime"
  mirror=${DEBIAN_URI:-$(debian_mirror)}
  [ -n "$mirror" ] || die "no Debian mirror in this machine's apt sources: set DEBIAN_URI"
  for file in /usr/share/keyrings/debian-archive-keyring.{gpg,pgp}; do
    if [ -e "$file" ]; then keyring=$file; fi
  done
  [ -n "$keyring" ] || die "no Debian archive keyring: install debian-archive-keyring"

  mkdir -p "$work/apt/sources" "$work/apt/lists/partial" "$work/apt/cache/archives/partial"
  : >"$work/apt/status"
  printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n' \
    "$mirror" "$header_suite" "$keyring" >"$work/apt/sources/headers.sources"
  # No configuration parts of the machine's own: their update hooks may delete its archives. What
  # they say about proxies and certificates is taken over.
  {
    apt-config dump Acquire
    cat <<CONF
Dir::Etc::main "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$work/apt/sources";
Dir::State::lists "$work/apt/lists";
Dir::State::status "$work/apt/status";
Dir::Cache "$work/apt/cache";
Acquire::Languages "none";
Acquire::Retries "3";
APT::Sandbox::User "$(id -un)";
CONF
  } >"$work/apt/apt.conf"
  export APT_CONFIG=$work/apt/apt.conf
  apt-get -qq update
  (cd "$work" && apt-get -qq download libonnxruntime-dev)
  unset APT_CONFIG
  dpkg-deb -x "$work"/libonnxruntime-dev_*.deb "$work/headers"
  cp -r "$work/headers/usr/include/onnxruntime/." "$into/include/"
  cp "$work/headers/usr/share/doc/libonnxruntime-dev/copyright" \
    "$into/include/COPYRIGHT.onnxruntime-headers"
}

fill_cache() {
  [ -e "$cached/.key" ] && return
  local work
  work=$(mktemp -d)
  # shellcheck disable=SC2064  # expanded now: `work` is gone when the trap runs
  trap "rm -rf '$work'" EXIT
  mkdir -p "$work/out/lib" "$work/out/include"
  say "getting ONNX Runtime $version for $(uname -m)"
  download_library "$work" "$work/out"
  download_headers "$work" "$work/out"
  echo "$key" >"$work/out/.key"
  install_tree "$work/out" "$cached"
}

with_lock onnxruntime fill_cache
install_tree "$cached" "$target"
say "ONNX Runtime $version in $target ($(sed -nE \
  's/^#define ORT_API_VERSION ([0-9]+).*/header API \1/p' "$target/include/onnxruntime_c_api.h"))"
