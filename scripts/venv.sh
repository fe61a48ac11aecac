#!/usr/bin/env bash
# Makes (once) a Python virtual environment with what a requirements file pins, in the cache that
# clean clones share, and prints its folder.
#
#   venv=$(scripts/venv.sh models models/requirements.txt); "$venv/bin/python" …
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[ $# = 2 ] || die "usage: venv.sh NAME REQUIREMENTS.txt"
name=$1 requirements=$2

# A virtual environment belongs to one interpreter and one place.
interpreter=$("$python" -c 'import os, sys; print(sys.version, os.path.realpath(sys.executable))')
venv=$podsense_cache/venv/$name-$(hash_of "$requirements" - <<<"$interpreter $podsense_cache")

make_venv() {
  if [ -e "$venv/.complete" ]; then return; fi
  say "installing $requirements" >&2
  rm -rf "$venv"
  "$python" -m venv "$venv" >&2 || die "cannot make a virtual environment (Debian: python3-venv)"
  "$venv/bin/python" -m pip install -q --disable-pip-version-check --only-binary=:all: \
    -r "$requirements" >&2
  touch "$venv/.complete"
}
[ -e "$venv/.complete" ] || with_lock "venv-$name" make_venv
echo "$venv"
