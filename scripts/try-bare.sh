#!/usr/bin/env bash
# Runs a command on this source tree in a bare Debian: nothing installed but make and git. A check
# that the project's own files install whatever they need.
#
#   scripts/try-bare.sh [--share-cache] [--clone] [--bring FOLDER]… [--take FOLDER]… SUITE COMMAND…
#   scripts/try-bare.sh bookworm make test
#
# --share-cache   keep the base system, the packages, compiled objects and models for the next time
#                 (without it everything is fetched and made anew, as a stranger would)
# --clone         a clone of the last commit instead of the working tree
# --bring FOLDER  take this folder along too, which git ignores, such as build/dist
# --take FOLDER   copy what COMMAND leaves in this folder into the working tree, if COMMAND succeeds
#
# Needs root, mmdebstrap, unshare and chroot. Mounts live in a namespace of their own and the root
# is removed at the end, whatever happens. pip's certificate and index settings of this machine,
# its apt proxy, its resolver and its own certificate authorities are taken
# along.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

share_cache=0 clone=0 bring=() take=()
while [[ ${1:-} == --* ]]; do
  case $1 in
    --share-cache) share_cache=1 ;;
    --clone) clone=1 ;;
    --bring | --take)
      [ -n "${2:-}" ] || die "$1 needs a folder"
      if [ "$1" = --take ]; then take+=("$2"); else bring+=("$2"); fi
      shift
      ;;
    *) die "unknown argument $1" ;;
  esac
  shift
done
[ $# -ge 2 ] || die "usage: try-bare.sh [--share-cache] [--clone] [--bring FOLDER] [--take FOLDER] bookworm|trixie COMMAND…"
suite=$1
shift
[ "$(id -u)" = 0 ] || die "needs root (chroot)"
command -v mmdebstrap >/dev/null || die "needs mmdebstrap"

work=$(mktemp -d "${TMPDIR:-/tmp}/podsense-bare.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
root=$work/root
keep=$podsense_cache/bare/$suite-$(uname -m)

if [ $share_cache = 1 ]; then
  mkdir -p "$keep/archives/partial" "$keep/podsense" "$keep/ccache"
  if [ ! -e "$keep/base.tar" ]; then
    make_debian "$suite" "$work/base.tar" make,git
    mv "$work/base.tar" "$keep/base.tar"
  fi
  mkdir "$root"
  tar -C "$root" -xf "$keep/base.tar" --exclude='./dev/*'
else
  say "making a bare $suite"
  make_debian "$suite" "$work/base.tar" make,git
  mkdir "$root"
  tar -C "$root" -xf "$work/base.tar" --exclude='./dev/*'
  rm "$work/base.tar"
fi
cp -L /etc/resolv.conf /etc/hosts "$root/etc/"

certificate=$(pip_setting cert)
index=$(pip_setting index-url)
{
  echo '[global]'
  if [ -n "$index" ]; then echo "index-url = $index"; fi
  if [ -n "$certificate" ]; then
    cp -L "$certificate" "$root/etc/host-ca.crt"
    echo 'cert = /etc/host-ca.crt'
  fi
} >"$root/etc/pip.conf"

# Authorities that this machine trusts beside Debian's; ca-certificates takes them up when it comes.
if compgen -G '/usr/local/share/ca-certificates/*.crt' >/dev/null; then
  mkdir -p "$root/usr/local/share/ca-certificates"
  cp -L /usr/local/share/ca-certificates/*.crt "$root/usr/local/share/ca-certificates/"
fi

if [ $clone = 1 ]; then
  git clone --quiet --no-hardlinks . "$root/podsense"
else
  mkdir "$root/podsense"
  scripts/sources.sh all | tar -c --null -T - | tar -x -C "$root/podsense"
fi
for folder in ${bring[@]+"${bring[@]}"}; do
  mkdir -p "$root/podsense/$folder"
  cp -R "$folder/." "$root/podsense/$folder/"
done

# Runs inside the new namespaces; what it mounts is gone when it ends.
inside() {
  set -eu
  local root=$1 keep=$2
  shift 2
  mount -t proc proc "$root/proc"
  mount --rbind /sys "$root/sys"
  mount --rbind /dev "$root/dev"
  if [ -n "$keep" ]; then
    mkdir -p "$root/root/.cache/podsense" "$root/root/.cache/ccache"
    mount --bind "$keep/podsense" "$root/root/.cache/podsense"
    mount --bind "$keep/ccache" "$root/root/.cache/ccache"
    mount --bind "$keep/archives" "$root/var/cache/apt/archives"
    echo 'Binary::apt-get::APT::Keep-Downloaded-Packages "true";' >"$root/etc/apt/apt.conf.d/90keep"
  fi
  exec chroot "$root" env -i HOME=/root LANG=C.UTF-8 TERM="${TERM:-dumb}" CI="${CI:-}" \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    bash -c 'cd /podsense && exec "$@"' bash "$@" </dev/null
}
export -f inside
say "running in a bare $suite: ${*%%$'\n'*}"
[ $share_cache = 1 ] || keep=
# shellcheck disable=SC2016  # expanded inside
unshare --mount --pid --fork --kill-child bash -c 'inside "$@"' bash "$root" "$keep" "$@"
for folder in ${take[@]+"${take[@]}"}; do
  mkdir -p "$folder"
  cp -R "$root/podsense/$folder/." "$folder/"
done
