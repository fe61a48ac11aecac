#!/usr/bin/env bash
# Builds (once) a Go program named in scripts/go-tools.txt, in the cache that clean clones share, and
# prints the path of its binary. Where the machine has no Go from 1.24 on, one is brought along.
#
#   helm=$(scripts/go-tool.sh helm)
#   go=$(scripts/go-tool.sh --go)       the Go that it builds with
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=scripts/lib.sh
. ./lib.sh

[ $# = 1 ] || die "usage: go-tool.sh NAME; names: $(awk '!/^#/ { printf "%s ", $1 }' go-tools.txt)"
if [ "$1" = --go ]; then
  go_program
  exit 0
fi

read -r name package version < <(awk -v name="$1" '$1 == name' go-tools.txt) ||
  die "no tool $1; there are: $(awk '!/^#/ { printf "%s ", $1 }' go-tools.txt)"
binary=$podsense_cache/go-tools/$name-$version/$name

make_tool() {
  if [ -e "$binary" ]; then return; fi
  local go scratch
  go=$(go_program)
  scratch=$(mktemp -d "$podsense_cache/go-tool.XXXXXX")
  say "building $package $version" >&2
  # The program's own name comes from its package, which may end in a major version.
  if GOBIN=$scratch GOFLAGS=-trimpath CGO_ENABLED=0 "$go" install -ldflags=-s "$package@$version" >&2; then
    mkdir -p "$(dirname "$binary")"
    mv "$scratch"/* "$binary"
    rm -rf "$scratch"
  else
    rm -rf "$scratch"
    die "cannot build $package $version with $("$go" version)"
  fi
}
[ -e "$binary" ] || with_lock "go-tool-$name" make_tool
echo "$binary"
