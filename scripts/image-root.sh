#!/usr/bin/env bash
# Lays out what the container image consists of. Runs in the Dockerfile's build stage.
#
#   scripts/image-root.sh BUILD OUT
#
# OUT/system   shared libraries, certificates, users, licence texts: changes with Debian and ONNX Runtime
# OUT/app      the binary, its SBOM (SPDX 2.3, JSON), the hashes of the models: changes with each build
# OUT/symbols  the binary's debug information
# OUT/models   is only read: what the SBOM says about the models, and their hashes
#
# The libraries are those that the loader finds for the binary, under the paths where it looks.
# Every file gets one time stamp, so that equal contents are equal layers.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

[ $# = 2 ] || die "usage: image-root.sh BUILD OUT"
build=$1 out=$2
ort=build/deps/onnxruntime/lib
system=$out/system app=$out/app
packages=()

# put FILE TO : a copy of what FILE points to, at TO in the system tree; its package's licence text
put() {
  local file=$1 to=$2 real package
  real=$(readlink -f "$file")
  install -D "$real" "$system$to"
  package=$(package_of "$real")
  packages+=("$package")
  install -D -m 644 "/usr/share/doc/$package/copyright" "$system/usr/share/doc/$package/copyright"
}

rm -rf "$system" "$app" "$out/symbols"
mkdir -p "$app/usr/bin" "$out/symbols" "$system"/{etc,usr/lib,usr/share/doc/onnxruntime}

llvm-objcopy-19 --only-keep-debug "$build/podsense" "$out/symbols/podsense.debug"
llvm-objcopy-19 --strip-all "$build/podsense" "$app/usr/bin/podsense"

# Built in place, the binary looks for ONNX Runtime in the build folder.
cat >"$out/symbols/rpath.cmake" <<'CMAKE'
file(READ_ELF "${BINARY}" RUNPATH found)
string(REPLACE ";" ":" found "${found}")
if(found AND NOT found STREQUAL "$ORIGIN/../lib")
  file(RPATH_CHANGE FILE "${BINARY}" OLD_RPATH "${found}" NEW_RPATH "$ORIGIN/../lib")
endif()
CMAKE
cmake -DBINARY="$app/usr/bin/podsense" -P "$out/symbols/rpath.cmake"
rm "$out/symbols/rpath.cmake"

cp -L "$ort/libonnxruntime.so.1" "$system/usr/lib/"
cp "$ort/LICENSE.onnxruntime" "$ort/ThirdPartyNotices.onnxruntime.txt" \
  "$system/usr/share/doc/onnxruntime/"
install -D -m 644 -t "$system/usr/share/doc/podsense" LICENSE NOTICE

# "name => path (address)", or "path (address)" for the loader itself; the kernel's vdso has no path.
loaded=$(LD_LIBRARY_PATH=$ort ldd "$build/podsense")
if grep -F 'not found' <<<"$loaded"; then die "the loader does not find these"; fi
while read -r library; do
  case $library in
    */libonnxruntime.so.1) ;;
    *) put "$library" "$library" ;;
  esac
done < <(sed -nE 's,^(.* => |\s+)(/[^ ]+) \(0x.*,\2,p' <<<"$loaded")

# Text models ask for it by its name.
scripts/make-locale.sh "$system/usr/lib/locale"
[ -e "$system/usr/lib/locale/en_US.utf8/LC_CTYPE" ] || die "there is no locale en_US.UTF-8 for the image"
packages+=(locales)
install -D -m 644 -t "$system/usr/share/doc/locales" /usr/share/doc/locales/copyright
packages+=(ca-certificates)
install -D -m 644 -t "$system/etc/ssl/certs" /etc/ssl/certs/ca-certificates.crt
install -D -m 644 -t "$system/usr/share/doc/ca-certificates" /usr/share/doc/ca-certificates/copyright
echo 'podsense:x:1000:1000::/:/nonexistent' >"$system/etc/passwd"
echo 'podsense:x:1000:' >"$system/etc/group"
echo 'hosts: files dns' >"$system/etc/nsswitch.conf"
install -d -m 1777 "$system/tmp"

scripts/make-sbom.py server --build "$build" --root "$app" --models "$out/models" \
  --output "$app/usr/share/podsense/sbom.spdx.json" "${packages[@]}"

# They need no trial in a process of their own at every start.
LD_LIBRARY_PATH=$ort "$build/podsense" check --models "$out/models" \
  --hashes "$app/usr/share/podsense/known-models" >/dev/null

find "$system" "$app" -exec touch --no-dereference --date=@0 {} +
say "$(find "$system" "$app" -type f | wc -l) files, $(du -sm "$system" "$app" | awk '{ sum += $1 } END { print sum }') MB"
