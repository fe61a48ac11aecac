#!/usr/bin/env bash
# Builds (once, in the cache that clean clones share) the OpenTelemetry Collector of
# tests/monitoring/collector/manifest.yaml and prints the path of its binary. Takes some minutes.
#
#   collector=$(scripts/otel-collector.sh)
#   collector=$(scripts/otel-collector.sh --cached)     exits 3, quietly, where it has not been built
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=scripts/lib.sh
. ./lib.sh

manifest=$PWD/../tests/monitoring/collector/manifest.yaml
builder_version=$(awk '$1 == "otel-builder" { print $3 }' go-tools.txt)
binary=$podsense_cache/go-tools/otelcol-$(hash_of "$manifest" - <<<"$builder_version")/otelcol
case ${1:-} in
  '') ;;
  --cached) [ -x "$binary" ] || exit 3 ;;
  *) die "usage: otel-collector.sh [--cached]" ;;
esac

make_collector() {
  if [ -e "$binary" ]; then return; fi
  local go builder scratch
  go=$(./go-tool.sh --go)
  builder=$(./go-tool.sh otel-builder)
  scratch=$(mktemp -d "$podsense_cache/otelcol.XXXXXX")
  sed "s|^dist:|&\n  output_path: $scratch\n  go: $go|" "$manifest" >"$scratch/manifest.yaml"
  say "building the OpenTelemetry Collector" >&2
  if CGO_ENABLED=0 GOFLAGS=-trimpath "$builder" --config "$scratch/manifest.yaml" >&2; then
    mkdir -p "$(dirname "$binary")"
    mv "$scratch/otelcol" "$binary"
    rm -rf "$scratch"
  else
    rm -rf "$scratch"
    die "cannot build the collector with $("$go" version)"
  fi
}
[ -x "$binary" ] || with_lock otelcol make_collector
echo "$binary"
