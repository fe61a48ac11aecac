#!/usr/bin/env bash
# Packs build/release and build/models for people who do not compile, into build/dist.
#
#   scripts/make-dist.sh            everything that this system can make
#   scripts/make-dist.sh deb        podsense_*.deb, podsense-models_*.deb: for this release of Debian
#   scripts/make-dist.sh tar        podsense-*.tar.gz, with every library but glibc; podsense-models-*.tar.gz
#   scripts/make-dist.sh wheel      podsense-*.whl with every library but glibc and ONNX Runtime; podsense_models-*.whl
#
# tar and wheel are made on Debian 12, whose glibc is the oldest that is supported. Time stamps
# are the last commit's (SOURCE_DATE_EPOCH).
#
# DIST_DIR=…    default build/dist
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

out=${DIST_DIR:-build/dist}
build=$PWD/build/release
ort=$PWD/build/deps/onnxruntime/lib
version=$(project_version)
onnxruntime=$(sed -n 's/^version=//p' scripts/get-onnxruntime.sh)
machine=$(uname -m)
release=$(. /etc/os-release && echo "${ID:-}${VERSION_ID:-}")
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH
umask 022

kinds=("$@")
if [ ${#kinds[@]} = 0 ]; then
  kinds=(deb)
  if [ "$release" = debian12 ]; then kinds+=(tar wheel); else say "tar and wheel are made on Debian 12"; fi
fi
[ -x "$build/podsense" ] && [ -d build/models ] || die "there is no build/release/podsense or no build/models: make build models"

mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d "$out/.work.XXXXXX")
trap 'rm -rf "$work"' EXIT

# The image model's version 1, fp32, is not served unless asked for, and is as large as all the rest.
stage_models() {
  [ ! -e "$work/models" ] || return 0
  cp -R build/models "$work/models"
  rm -rf "$work/models/efficientnet-lite0/1"
}

# What `cmake --install` lays out, stripped, in $work/program/usr.
stage_program() {
  [ ! -e "$work/program" ] || return 0
  DESTDIR=$work/program cmake --install "$build" --prefix /usr --strip >/dev/null
  install -m 644 LICENSE "$work/program/usr/share/doc/podsense/LICENSE"
}

# libraries_of FILE : one path a line, without glibc's own and ONNX Runtime's
libraries_of() {
  local loaded
  loaded=$(LD_LIBRARY_PATH=$ort ldd "$1")
  if grep -F 'not found' <<<"$loaded"; then die "the loader does not find these"; fi
  sed -nE 's,^(.* => )(/[^ ]+) \(0x.*,\2,p' <<<"$loaded" |
    grep -vE '/(ld-linux[^/]*|lib(c|m|dl|rt|pthread|resolv|onnxruntime))\.so'
}

# The licence texts of the packages that LIBRARY… are of, below FOLDER; their names in `packages`.
add_licences() {
  local folder=$1 library package
  shift
  packages=()
  for library in "$@"; do
    package=$(package_of "$(readlink -f "$library")")
    packages+=("$package")
    install -D -m 644 "/usr/share/doc/$package/copyright" "$folder/$package"
  done
}

make_deb() {
  stage_models
  stage_program
  local source=$work/debian
  mkdir -p "$source/debian"
  cp packaging/debian/* packaging/systemd/podsense.{service,sysusers} "$source/debian/"
  scripts/make-sbom.py archive --root "$work/program" --output "$work/sbom.json" --build "$build"
  cat >"$source/debian/changelog" <<LOG
podsense ($version-1+${release/debian/deb}) unstable; urgency=medium

  * Version $version. What changed: /usr/share/doc/podsense/changelog.gz

 -- $(sed -n 's/^Maintainer: //p' packaging/debian/control)  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
LOG
  cp CHANGELOG.md "$source/"
  (cd "$source" && BUILD=$build MODELS=$work/models SBOM=$work/sbom.json DEB_BUILD_OPTIONS=noautodbgsym \
    dpkg-buildpackage --build=binary --no-check-builddeps --unsigned-changes --unsigned-source) >"$work/deb.log" 2>&1 || {
    tail -n 30 "$work/deb.log" >&2
    die "dpkg-buildpackage failed"
  }
  rm -f "$out"/podsense{,-models}_*.deb
  mv "$work"/*.deb "$out/"
}

# pack FOLDER : FOLDER.tar.gz of $work/FOLDER, in $out
pack() {
  tar -C "$work/tar" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -cf - "$1" |
    gzip -9n >"$out/$2.tar.gz"
}

make_tar() {
  stage_models
  stage_program
  local name=podsense-$version library libraries
  local top=$work/tar/$name
  mkdir -p "$top"
  cp -R "$work/program/usr/." "$top/"
  mv "$top/lib/podsense/libonnxruntime.so.1" "$top/lib/"
  rmdir "$top/lib/podsense"
  mapfile -t libraries < <(libraries_of "$build/podsense")
  for library in "${libraries[@]}"; do
    install -m 644 "$(readlink -f "$library")" "$top/lib/$(basename "$library")"
    # shellcheck disable=SC2016  # the loader's own variable
    "$tools/patchelf" --set-rpath '$ORIGIN' "$top/lib/$(basename "$library")"
  done
  # shellcheck disable=SC2016
  "$tools/patchelf" --set-rpath '$ORIGIN/../lib' "$top/bin/podsense"
  add_licences "$top/share/doc/podsense/libraries" "${libraries[@]}"
  scripts/make-sbom.py archive --root "$work/program" --output "$top/share/podsense/sbom.spdx.json" \
    --build "$build" "${packages[@]}"
  install -D -m 644 packaging/systemd/podsense.service "$top/share/doc/podsense/podsense.service"
  install -m 644 packaging/README.tar.md "$top/README.md"
  rm -f "$out"/podsense{,-models}-*.tar.gz
  pack "$name" "$name-linux-$machine"
  rm -rf "$top"
  mkdir -p "$top/share/podsense"
  cp -R "$work/models" "$top/share/podsense/models"
  pack "$name" "podsense-models-$version"
}

# fill FILE TO : a template of packaging/wheel
fill() { sed "s/@VERSION@/$version/g; s/@ONNXRUNTIME@/$onnxruntime/g" "$1" >"$2"; }

# wheel_information FOLDER PURE TAG : what a wheel says about itself
wheel_information() {
  printf 'Wheel-Version: 1.0\nGenerator: podsense-make-dist\nRoot-Is-Purelib: %s\nTag: %s\n' "$2" "$3" >"$1/WHEEL"
}

make_wheel() {
  stage_models
  stage_program
  local root=$work/wheel
  local information=$root/podsense-$version.dist-info share=$root/podsense-$version.data/data/share libraries
  mkdir -p "$root/podsense" "$information/licenses" "$share"
  fill packaging/wheel/podsense/__init__.py "$root/podsense/__init__.py"
  fill packaging/wheel/podsense/__main__.py "$root/podsense/__main__.py"
  fill packaging/wheel/METADATA "$information/METADATA"
  wheel_information "$information" false "py3-none-linux_$machine"
  printf '[console_scripts]\npodsense = podsense.__main__:main\n' >"$information/entry_points.txt"
  install -m 644 LICENSE "$information/licenses/LICENSE"
  install -D -m 755 "$work/program/usr/bin/podsense" "$root/podsense/bin/podsense"
  cp -R "$work/program/usr/share/podsense" "$root/podsense/share"
  mkdir -p "$root/podsense/share/podsense"
  mv "$root/podsense/share/locale" "$root/podsense/share/podsense/"
  cp -R "$work/program/usr/share/"{man,bash-completion,zsh,fish} "$share/"
  mapfile -t libraries < <(libraries_of "$build/podsense")
  add_licences "$information/licenses/libraries" "${libraries[@]}"
  scripts/make-sbom.py archive --root "$work/program" --output "$root/podsense/share/podsense/sbom.spdx.json" \
    --build "$build" "${packages[@]}"
  # The wheel onnxruntime has its library under its full version; pip puts both packages side by side.
  # shellcheck disable=SC2016
  "$tools/patchelf" --replace-needed libonnxruntime.so.1 "libonnxruntime.so.$onnxruntime" \
    --set-rpath '$ORIGIN/../../onnxruntime/capi' "$root/podsense/bin/podsense"
  "$tools/wheel" pack --dest-dir "$work" "$root" >/dev/null
  rm -f "$out"/podsense{,_models}-*.whl
  PATH=$tools:$PATH "$tools/auditwheel" repair --strip --exclude "libonnxruntime.so.$onnxruntime" --wheel-dir "$out" \
    "$work/podsense-$version-py3-none-linux_$machine.whl" >"$work/wheel.log" 2>&1 || {
    tail -n 30 "$work/wheel.log" >&2
    die "auditwheel failed"
  }
  make_models_wheel
}

# Its files are in the folder of the package podsense, where the program looks for models that came along.
make_models_wheel() {
  local root=$work/wheel-models
  local information=$root/podsense_models-$version.dist-info
  mkdir -p "$information/licenses" "$root/podsense/share/podsense"
  cp -R "$work/models" "$root/podsense/share/podsense/models"
  fill packaging/wheel/METADATA.models "$information/METADATA"
  wheel_information "$information" true py3-none-any
  install -m 644 LICENSE build/models/efficientnet-lite0/LICENSE.labels "$information/licenses/"
  "$tools/wheel" pack --dest-dir "$out" "$root" >/dev/null
}

for kind in "${kinds[@]}"; do
  case $kind in
    deb)
      command -v dh >/dev/null || die "there is no debhelper: scripts/setup.sh --dist"
      make_deb
      ;;
    tar | wheel)
      [ "$release" = debian12 ] || die "tar and wheel are made on Debian 12: scripts/try-bare.sh bookworm make dist"
      tools=$(scripts/venv.sh dist packaging/requirements.txt)/bin
      "make_$kind"
      ;;
    *) die "unknown kind $kind (accepted: deb, tar, wheel)" ;;
  esac
done
(cd "$out" && sha256sum -- *.deb *.tar.gz *.whl 2>/dev/null >SHA256SUMS) || [ -s "$out/SHA256SUMS" ]
say "$(cut -d' ' -f3- "$out/SHA256SUMS" | while read -r file; do echo "$file $(du -h "$out/$file" | cut -f1),"; done | xargs)"
