#!/usr/bin/env bash
# Applies or deletes a kustomize overlay on the local cluster.
#
#   scripts/deploy.sh apply [OVERLAY]      default: dev; waits until its Deployments are rolled out
#   scripts/deploy.sh delete [OVERLAY]     removes what the overlay made
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh
# shellcheck source=scripts/kube-lib.sh
. scripts/kube-lib.sh

overlay=k8s/overlays/${2:-dev}
[ -e "$overlay/kustomization.yaml" ] ||
  die "no overlay ${2:-dev}; there are: $(cd k8s/overlays && echo *)"

apply() {
  use_cluster
  say "applying $overlay"
  kubectl apply -k "$overlay" >/dev/null
  local namespace name
  while read -r namespace name; do
    wait_rollout "$namespace" "$name" "${TIMEOUT:-180}"
  done < <(kubectl get -k "$overlay" -o go-template='{{range .items}}{{if eq .kind "Deployment"}}{{.metadata.namespace}} {{.metadata.name}}{{"\n"}}{{end}}{{end}}')
}

delete() {
  use_cluster
  say "deleting what $overlay made"
  kubectl delete -k "$overlay" --ignore-not-found --wait=true --timeout=120s >/dev/null
}

case ${1:-} in
  apply | delete) "$1" ;;
  *) die "usage: deploy.sh apply|delete [OVERLAY]" ;;
esac
