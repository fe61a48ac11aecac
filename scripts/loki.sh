#!/usr/bin/env bash
# Builds (once, in the cache that clean clones share) Loki, and stages.go with the log pipeline of its module, as
# tests/monitoring/loki/go.mod pins them, and prints the folder of the two programs `loki` and `stages`.
# Takes a quarter of an hour on two cores.
#
#   folder=$(scripts/loki.sh)
#   folder=$(scripts/loki.sh --cached)     exits 3, quietly, where they have not been built
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=scripts/lib.sh
. ./lib.sh

module=$PWD/../tests/monitoring/loki
folder=$podsense_cache/go-tools/loki-$(hash_of "$module"/{go.mod,go.sum,stages.go} </dev/null)
case ${1:-} in
  '') ;;
  --cached) [ -e "$folder" ] || exit 3 ;;
  *) die "usage: loki.sh [--cached]" ;;
esac

# make_loki TO
make_loki() {
  local go
  go=$(go_program) && cd "$module" &&
    CGO_ENABLED=0 GOFLAGS=-trimpath "$go" build -ldflags=-s -o "$1/" . github.com/grafana/loki/v3/cmd/loki
}
build_once "$folder" Loki make_loki
echo "$folder"
