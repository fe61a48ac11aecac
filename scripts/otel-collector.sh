#!/usr/bin/env bash
# Builds (once, in the cache that clean clones share) the OpenTelemetry Collector of tests/monitoring/collector and prints
# the path of its binary. Takes four minutes of a core.
#
#   collector=$(scripts/otel-collector.sh)
#   collector=$(scripts/otel-collector.sh --cached)     exits 3, quietly, where it has not been built
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=scripts/lib.sh
. ./lib.sh

module=$PWD/../tests/monitoring/collector
folder=$podsense_cache/go-tools/otelcol-$(hash_of "$module"/{main.go,go.mod,go.sum} </dev/null)
case ${1:-} in
  '') ;;
  --cached) [ -e "$folder" ] || exit 3 ;;
  *) die "usage: otel-collector.sh [--cached]" ;;
esac

# make_collector TO
make_collector() {
  local go
  go=$(go_program) && cd "$module" &&
    CGO_ENABLED=0 GOFLAGS=-trimpath "$go" build -ldflags=-s -o "$1/otelcol" .
}
build_once "$folder" "the OpenTelemetry Collector" make_collector
echo "$folder/otelcol"
