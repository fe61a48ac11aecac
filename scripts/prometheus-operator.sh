#!/usr/bin/env bash
# Builds (once, in the cache that clean clones share) the Prometheus Operator and its reloader, as
# tests/monitoring/operator/go.mod pins them, and prints the folder of the two programs `operator` and
# `prometheus-config-reloader`, and of `crds`, the operator's custom resources.
#
#   folder=$(scripts/prometheus-operator.sh)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=scripts/lib.sh
. ./lib.sh

[ $# = 0 ] || die "usage: prometheus-operator.sh"
module=$PWD/../tests/monitoring/operator
package=github.com/prometheus-operator/prometheus-operator
folder=$podsense_cache/go-tools/prometheus-operator-$(hash_of "$module"/go.{mod,sum} </dev/null)

# make_operator TO
make_operator() {
  local go
  go=$(go_program) && cd "$module" &&
    CGO_ENABLED=0 GOFLAGS=-trimpath "$go" build -ldflags=-s -o "$1/" "$package"/cmd/{operator,prometheus-config-reloader} &&
    cp -r "$("$go" list -m -f '{{.Dir}}' "$package")/example/prometheus-operator-crd" "$1/crds" && chmod -R u+w "$1/crds"
}
build_once "$folder" "the Prometheus Operator" make_operator
echo "$folder"
