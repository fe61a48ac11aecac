#!/usr/bin/env bash
# Renders everything that comes from the chart: k8s/ (but for what is written by hand: the
# kustomization.yaml of k8s/overlays/dev and of the components), compat/ (render-compat.sh), and the chart's
# README. Dashboards, rules and Envoy's configuration are there once: the chart has links to them, which Helm
# follows, also when it packages.
#
#   scripts/render-manifests.sh            writes
#   scripts/render-manifests.sh --check    writes nothing; fails and shows where the tree differs
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh
# shellcheck source=scripts/render-compat.sh
. scripts/render-compat.sh

check=0
case ${1:-} in
  '') ;;
  --check) check=1 ;;
  *) die "usage: render-manifests.sh [--check]" ;;
esac

helm=$(scripts/go-tool.sh helm)
helm_docs=$(scripts/go-tool.sh helm-docs)
yaml_python=$(scripts/venv.sh lint scripts/lint-requirements.txt)/bin/python
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -R --parents k8s helm/podsense compat envoy/envoy.yaml monitoring/dashboards monitoring/rules "$work"
chart=$work/helm/podsense
out=$work/k8s

# chart ARGUMENT... : one release name everywhere, so that components select any overlay's pods.
chart() { "$helm" template podsense "$chart" --namespace default --set tests.enabled=false "$@"; }
manifests() { "$yaml_python" scripts/manifests.py "$@"; }
note() { echo "# Rendered from helm/podsense by \`make manifests\`; change the chart instead."; }

# kustomization FOLDER NAMESPACE FILE... : of an overlay or the base
kustomization() {
  local folder=$1 namespace=$2
  shift 2
  {
    note
    echo "apiVersion: kustomize.config.k8s.io/v1beta1"
    echo "kind: Kustomization"
    [ -z "$namespace" ] || echo "namespace: $namespace"
    echo "resources:"
    printf '  - %s\n' "$@"
  } >"$folder/kustomization.yaml"
}

# whole FOLDER NAMESPACE ARGUMENT... : everything that a preset makes
whole() {
  local folder=$1 namespace=$2 files=()
  shift 2
  rm -rf "$folder"
  mapfile -t files < <(chart "$@" | manifests write "$folder")
  [ ${#files[@]} -gt 0 ] || die "nothing was rendered for $folder"
  kustomization "$folder" "$namespace" "${files[@]}"
}

# monitored PRESET NAMESPACE : its overlay and the ServiceMonitor, which only a cluster with the Prometheus operator takes
monitored() {
  local folder=$out/overlays/$1-monitored
  rm -rf "$folder"
  chart -f "$chart/values-$1.yaml" --show-only templates/monitoring.yaml --set metrics.serviceMonitor.enabled=true |
    manifests write "$folder" >/dev/null
  kustomization "$folder" "$2" "../$1" servicemonitor.yaml
}

# component NAME TEMPLATES ARGUMENT... : some templates, with the names of the base
component() {
  local name=$1 template only=()
  mkdir -p "$out/components/$name"
  for template in $2; do only+=(--show-only "templates/$template.yaml"); done
  shift 2
  find "$out/components/$name" -name '*.yaml' ! -name kustomization.yaml ! -name kustomizeconfig.yaml -delete
  chart -f "$chart/values-simulator.yaml" "${only[@]}" "$@" | manifests write "$out/components/$name" >/dev/null
}

"$helm_docs" --chart-search-root "$work/helm" --template-files README.md.gotmpl \
  --sort-values-order file --log-level warning

whole "$out/base" '' -f "$chart/values-simulator.yaml"
# The ALB is optional: without its controller the Ingress does nothing.
whole "$out/overlays/ml-inference" ml-inference -f "$chart/values-ml-inference.yaml" --set namespace.create=true \
  --set ingress.enabled=true --set 'ingress.hosts[0].host=api.example.com'
whole "$out/overlays/model-api" ml-serving -f "$chart/values-model-api.yaml" --set namespace.create=true
monitored ml-inference ml-inference
monitored model-api ml-serving
whole "$out/overlays/platform" ml-platform -f "$chart/values-platform.yaml" --set namespace.create=true \
  --set namespaceOverride=ml-platform
chart -f "$chart/values-simulator.yaml" --show-only templates/namespace.yaml --set namespace.create=true \
  --set namespaceOverride=k8s-inference-sim | manifests write "$out/overlays/dev" >/dev/null

component monitoring "monitoring prometheusrule" \
  --set metrics.serviceMonitor.enabled=true --set metrics.serviceMonitor.labels.release=prometheus \
  --set metrics.prometheusRule.enabled=true --set metrics.prometheusRule.labels.release=prometheus \
  --set metrics.prometheusRule.scope=all
{
  note
  echo "# Goes with any overlay: it selects pods by labels that all have. The label \`release\` is what"
  echo "# kube-prometheus-stack looks for."
  echo "apiVersion: kustomize.config.k8s.io/v1alpha1"
  echo "kind: Component"
  echo "resources:"
  find "$out/components/monitoring" -name '*.yaml' ! -name kustomization.yaml -printf '  - %f\n' | sort
  echo "  - ../../../monitoring/dashboards"
} >"$work/kustomization.yaml"
mv "$work/kustomization.yaml" "$out/components/monitoring/kustomization.yaml"
component networkpolicy networkpolicy --set networkPolicy.enabled=true
component ingress ingress --set ingress.enabled=true
component gateway gateway --set gateway.enabled=true
# Names inside PromQL are out of kustomize's reach, so it takes any prefix and any namespace.
component keda scaledobject --set autoscaling.enabled=false --set keda.enabled=true \
  --set-string 'keda.prometheus.query=sum(podsense_saturation{pod=~"(.+-)?inference-sim-[a-z0-9]+-[a-z0-9]{5}"})'
component envoy envoy --set envoy.enabled=true --set envoy.mode=sidecar
for part in sidecar server; do
  chart -f "$chart/values-simulator.yaml" --set envoy.enabled=true --set envoy.mode=sidecar \
    --show-only templates/deployment.yaml | manifests "$part-patch" >"$out/components/envoy/$part.yaml"
done

chart -f "$chart/values-nodeport.yaml" --set networkPolicy.enabled=false | manifests stream >"$out/deployment.yaml"
chart -f "$chart/values-ingress.yaml" --show-only templates/ingress.yaml \
  --set ingress.serviceNamespace=podsense | manifests stream >"$out/ingress.yaml"

compat_eks "$work/compat/eks"
compat_model_api "$work/compat/model-api"

if [ $check = 1 ]; then
  current=1
  diff -ru k8s "$out" || current=0
  diff -ru --no-dereference compat "$work/compat" || current=0
  diff -ru helm/podsense "$chart" || current=0
  [ $current = 1 ] || die "k8s/, compat/ or helm/podsense is not what the chart renders to: run \`make manifests\`"
  exit 0
fi
install_tree "$out" "$PWD/k8s"
install_tree "$chart" "$PWD/helm/podsense"
install_tree "$work/compat" "$PWD/compat"
say "k8s/, compat/ and helm/podsense are rendered"
