#!/usr/bin/env bash
# Installs or updates the monitoring stack in the cluster that kubectl points to, namespace
# `monitoring`: kube-prometheus-stack (release `prometheus`, Grafana on NodePort 30090), Loki, Alloy.
#
#   scripts/monitoring-up.sh [--without-logs]
#
# Idempotent. Chart versions: *_VERSION, empty for the newest.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$(dirname "${BASH_SOURCE[0]}")/.."

logs=1
case ${1:-} in
  '') ;;
  --without-logs) logs=0 ;;
  *) die "usage: monitoring-up.sh [--without-logs]" ;;
esac
for tool in helm kubectl; do command -v "$tool" >/dev/null || die "$tool is not installed"; done
kubectl version >/dev/null 2>&1 || die "kubectl reaches no cluster; context: $(kubectl config current-context 2>&1)"

# install RELEASE CHART VERSION ARGUMENTS...
install() {
  local release=$1 chart=$2 version=$3
  shift 3
  say "installing $chart as $release"
  helm upgrade --install "$release" "$chart" --namespace monitoring --create-namespace \
    ${version:+--version "$version"} --wait --timeout 10m "$@"
}

# repository NAME URL : where charts come from
repository() {
  helm repo add --force-update "$1" "$2" >/dev/null ||
    die "cannot reach the charts of $1 (see above). Without them: monitoring/values-*.yaml are for copies of the same" \
      "charts, and PodSense's own rules and dashboards work with any Prometheus and Grafana (docs/how-to/monitoring.md)"
}

repository prometheus-community https://prometheus-community.github.io/helm-charts
install prometheus prometheus-community/kube-prometheus-stack "${KUBE_PROMETHEUS_STACK_VERSION:-}" \
  -f monitoring/values-kube-prometheus-stack.yaml
if [ $logs = 1 ]; then
  repository grafana https://grafana.github.io/helm-charts
  repository grafana-community https://grafana-community.github.io/helm-charts
  install loki grafana-community/loki "${LOKI_VERSION:-}" -f monitoring/values-loki.yaml
  install alloy grafana/alloy "${ALLOY_VERSION:-}" -f monitoring/values-alloy.yaml \
    --set-file alloy.configMap.content=monitoring/alloy/config.alloy
fi

node=$(kubectl get nodes -o jsonpath='{.items[0].status.addresses[?(@.type=="InternalIP")].address}')
say "Grafana: http://$node:30090 (admin; the password:"
say "  kubectl -n monitoring get secret prometheus-grafana -o jsonpath='{.data.admin-password}' | base64 -d)"
say "Prometheus: http://$node:30091"
say "PodSense's dashboards and rules come with its chart: metrics.serviceMonitor.enabled=true," \
  "metrics.prometheusRule.enabled=true, metrics.dashboards.enabled=true"
