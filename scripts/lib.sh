# shellcheck shell=bash
# Shared by the scripts in this folder; sourced, never run.
#
# podsense_cache: the folder that outlives clean clones. Everything in it can be made again.
# say, die:       one line each; say is silent under `make -s` (BUILD_QUIET).

podsense_cache=${BUILD_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/podsense}
# shellcheck disable=SC2034  # for those who source this
python=${PYTHON:-python3}
script_name=$(basename "$0" .sh)
scripts_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

say() { [ -n "${BUILD_QUIET:-}" ] || echo "$script_name: $*"; }
die() { echo "$script_name: $*" >&2; exit 1; }

# hash_of FILE... : one hex digest over the contents (not the names) of the files, then of standard
# input if that is not a terminal: 16 characters are plenty for a cache key.
hash_of() { cat "$@" | sha256sum | cut -c1-16; }

# with_lock NAME COMMAND... : one at a time over all clones that share the cache.
with_lock() {
  local lock=$podsense_cache/$1.lock  # no plain name: COMMAND sees this one
  shift
  mkdir -p "$podsense_cache"
  (
    flock 9
    "$@"
  ) 9>"$lock"
}

# build_once FOLDER WHAT COMMAND... : FOLDER in the cache, made by COMMAND, which gets an empty folder as its last
# argument and says by its exit code whether that is complete (`set -e` does not hold inside). FOLDER appears whole
# or not at all, and is built once however many ask for it.
build_once() { [ -e "$1" ] || with_lock "$(basename "$1")" build_unless_there "$@"; }
build_unless_there() {
  local folder=$1 fresh building=$2
  shift 2
  if [ -e "$folder" ]; then return; fi
  mkdir -p "$(dirname "$folder")"
  fresh=$(mktemp -d "$folder.XXXXXX")
  say "building $building" >&2
  if ! "$@" "$fresh" >&2; then
    rm -rf "$fresh"
    die "cannot build $building"
  fi
  chmod 755 "$fresh"
  mv "$fresh" "$folder"
}

# package_of FILE : the Debian package that FILE is of.
package_of() {
  local found
  # Debian moved /lib to /usr/lib, and dpkg may know either.
  found=$({ dpkg-query -S "$1" "${1#/usr}" 2>/dev/null || true; } | head -n 1 | cut -d: -f1)
  [ -n "$found" ] || die "$1 belongs to no package"
  echo "$found"
}

# install_tree FROM TO : a copy that appears whole or not at all; TO is replaced.
install_tree() {
  local from=$1 to=$2 fresh
  mkdir -p "$(dirname "$to")"
  fresh=$(mktemp -d "$to.XXXXXX")
  cp -a "$from/." "$fresh/"
  chmod 755 "$fresh"
  if [ -L "$to" ]; then rm -f "$to"; fi
  if [ -e "$to" ]; then
    mv "$to" "$fresh.old"
  fi
  mv "$fresh" "$to"
  rm -rf "$fresh.old"
}

# go_program : path of a Go from 1.24 on; where the machine has none, one is brought along.
go_program() {
  local found
  if found=$(go env GOVERSION 2>/dev/null) && [[ $found =~ ^go1\.([0-9]+) ]] &&
    [ "${BASH_REMATCH[1]}" -ge 24 ]; then
    command -v go
  else
    echo "$("$scripts_folder/venv.sh" go "$scripts_folder/go-tools-requirements.txt")/bin/go"
  fi
}

# debian_mirror : the one that this machine itself uses, from whatever form its sources have.
debian_mirror() {
  {
    # shellcheck disable=SC2016  # apt's own variable
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null || true
    cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources \
      2>/dev/null | sed -nE 's/^deb (\[[^]]*\] )?([^ ]+) .*/\2/p; s/^URIs: *([^ ]+)( .*)?$/\1/p' || true
  } | sed 's,/*$,,' | awk '/\/debian$/ && !found { print; found = 1 }'
}

# make_debian SUITE TAR [PACKAGE,PACKAGE] : a bare Debian root file system, from this machine's mirror
# and with its apt settings about proxies. Needs root and mmdebstrap.
make_debian() {
  local suite=$1 tar=$2 include=${3:-} options=() line mirror=${DEBIAN_URI:-$(debian_mirror)}
  while IFS= read -r line; do
    options+=("--aptopt=$line")
  done < <(apt-config dump Acquire 2>/dev/null | grep -iE 'proxy|Check-(Date|Valid)' || true)
  mmdebstrap --quiet --variant=minbase ${include:+"--include=$include"} \
    ${options[@]+"${options[@]}"} "$suite" "$tar" ${mirror:+"$mirror"}
}

# pip_setting NAME : one of pip's settings on this machine, from the environment or its files
pip_setting() {
  "$python" -m pip config list 2>/dev/null |
    sed -nE "s/^(:env:|global|install|download)\.$1='(.*)'\$/\2/p" | head -n 1
}

# project_version : the one that CMakeLists.txt names
project_version() {
  sed -nE 's/^project\(podsense VERSION ([0-9.]+).*/\1/p' "$(dirname "${BASH_SOURCE[0]}")/../CMakeLists.txt"
}

# download_wheel NAME==VERSION SHA256 PLATFORM FOLDER : into FOLDER/wheel, whatever Python runs this
download_wheel() {
  printf '%s --hash=sha256:%s\n' "$1" "$2" >"$4/requirements.txt"
  "$python" -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: \
    --require-hashes --implementation cp --python-version 312 --abi cp312 --platform "$3" \
    -d "$4/wheel" -r "$4/requirements.txt"
}
