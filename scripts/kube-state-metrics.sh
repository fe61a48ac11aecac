#!/usr/bin/env bash
# Builds (once, in the cache that clean clones share) kube-state-metrics, as tests/monitoring/ksm/go.mod pins it, and prints
# the path of its binary. Takes four minutes on two cores.
#
#   program=$(scripts/kube-state-metrics.sh)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=scripts/lib.sh
. ./lib.sh

[ $# = 0 ] || die "usage: kube-state-metrics.sh"
module=$PWD/../tests/monitoring/ksm
folder=$podsense_cache/go-tools/kube-state-metrics-$(hash_of "$module"/go.{mod,sum} </dev/null)

# make_it TO
make_it() {
  local go
  go=$(go_program) && cd "$module" &&
    CGO_ENABLED=0 GOFLAGS=-trimpath "$go" build -ldflags=-s -o "$1/kube-state-metrics" k8s.io/kube-state-metrics/v2
}
build_once "$folder" kube-state-metrics make_it
echo "$folder/kube-state-metrics"
