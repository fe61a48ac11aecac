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
folder=$podsense_cache/go-tools/otelcol-$(hash_of "$manifest" - <<<"$builder_version")
case ${1:-} in
  '') ;;
  --cached) [ -e "$folder" ] || exit 3 ;;
  *) die "usage: otel-collector.sh [--cached]" ;;
esac

# make_collector TO
make_collector() {
  local go builder work=$1/work
  go=$(go_program) && builder=$(./go-tool.sh otel-builder) && mkdir "$work" &&
    sed "s|^dist:|&\n  output_path: $work\n  go: $go|" "$manifest" >"$work/manifest.yaml" &&
    CGO_ENABLED=0 GOFLAGS=-trimpath "$builder" --config "$work/manifest.yaml" &&
    mv "$work/otelcol" "$1" && rm -rf "$work"
}
build_once "$folder" "the OpenTelemetry Collector" make_collector
echo "$folder/otelcol"
