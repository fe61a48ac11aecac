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

read -r name package version tags < <(awk -v name="$1" '$1 == name' go-tools.txt) ||
  die "no tool $1; there are: $(awk '!/^#/ { printf "%s ", $1 }' go-tools.txt)"
folder=$podsense_cache/go-tools/$name-$version

# make_tool TO : the program's own name comes from its package, which may end in a major version.
make_tool() {
  local go
  go=$(go_program) && GOBIN=$1/bin GOFLAGS=-trimpath CGO_ENABLED=0 "$go" install -tags="$tags" -ldflags=-s "$package@$version" &&
    mv "$1"/bin/* "$1/$name" && rmdir "$1/bin"
}
build_once "$folder" "$package $version" make_tool
echo "$folder/$name"
