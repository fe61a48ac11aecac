#!/usr/bin/env bash
# Makes the packages of build/dist, holds them against what they promise, and installs each in a bare Debian where
# nothing was compiled: the .deb in the release that it was made for, the tar file and the wheel in 12 and in 13.
#
#   scripts/try-dist.sh [--share-cache] [SUITE…]       default: bookworm trixie
#
# The packages of the release that this machine has are made here, those of another in a bare root of it.
# --share-cache   as for scripts/try-bare.sh, which see for what this needs: root, mmdebstrap
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

options=()
if [ "${1:-}" = --share-cache ]; then
  options=(--share-cache)
  shift
fi
suites=("$@")
[ ${#suites[@]} -gt 0 ] || suites=(bookworm trixie)
here=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")

rm -rf build/dist
make -s golden
for suite in "${suites[@]}"; do
  case $suite in
    "$here") make -s dist ;;
    bookworm | trixie) scripts/try-bare.sh ${options[@]+"${options[@]}"} --take build/dist "$suite" make -s dist ;;
    *) die "no suite $suite (accepted: bookworm, trixie)" ;;
  esac
  rm -rf "build/dist-$suite"
  mkdir "build/dist-$suite"
  mv build/dist/*deb?*.deb "build/dist-$suite/"
done
# The tar file and the wheels are Debian 12's.
for suite in "${suites[@]}"; do
  rm -f build/dist/*.deb
  mv "build/dist-$suite"/*.deb build/dist/
  rmdir "build/dist-$suite"
  "$python" tests/dist/packages_test.py
  kinds=(deb)
  if compgen -G 'build/dist/*.whl' >/dev/null; then kinds+=(tar wheel); fi
  for kind in "${kinds[@]}"; do
    scripts/try-bare.sh ${options[@]+"${options[@]}"} --bring build/dist --bring build/golden/photos "$suite" tests/dist/try.sh "$kind"
  done
done
