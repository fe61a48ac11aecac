#!/usr/bin/env bash
# Holds every manifest against Kubernetes' schemas and against the scanners' rules: the chart with each
# preset and CI values file, each overlay, each component, the raw files and the examples. Also that
# what is rendered is current, and that Helm 3 and 4 render the same.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

newest=1.37.0      # and what the local cluster runs, and the oldest that the chart takes
versions=("$newest" 1.34.0 1.29.0)
needs_newer='everything|models-oci|plan-hpa' # fields that 1.29 does not know

scripts/render-manifests.sh --check

helm=$(scripts/go-tool.sh helm)
helm3=$(scripts/go-tool.sh helm3)
kustomize=$(scripts/go-tool.sh kustomize)
kubeconform=$(scripts/go-tool.sh kubeconform)
kube_score=$(scripts/go-tool.sh kube-score)
schemas=$(scripts/kube-schemas.sh)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/all" "$work/served"

failed=0
fault() { echo "$*" >&2; failed=1; }

# chart PROGRAM VALUES ARGUMENT...
chart() {
  local program=$1 values=$2
  shift 2
  "$program" template podsense helm/podsense -f "$values" --kube-version 1.34.0 \
    --api-versions monitoring.coreos.com/v1 "$@"
}
for values in helm/podsense/values.yaml helm/podsense/values-*.yaml helm/podsense/ci/*.yaml; do
  name=$(basename "$values" .yaml).yaml
  chart "$helm" "$values" >"$work/all/$name"
  chart "$helm" "$values" --no-hooks >"$work/served/$name"
  chart "$helm3" "$values" --no-hooks | diff -bB "$work/served/$name" - >"$work/diff" ||
    fault "$values: Helm 3 and 4 render differently:" "$(cat "$work/diff")"
done
for overlay in k8s/overlays/*/; do
  "$kustomize" build "$overlay" >"$work/served/overlays-$(basename "$overlay").yaml"
done
# Each component beside the prefix of the dev overlay, which must reach the names it refers to.
cp -R k8s monitoring "$work"  # the monitoring component takes the dashboards from there
for component in k8s/components/*/; do
  name=$(basename "$component")
  cp -R "$work/k8s/overlays/dev" "$work/k8s/overlays/try"
  printf 'components: [../../components/%s]\n' "$name" >>"$work/k8s/overlays/try/kustomization.yaml"
  "$kustomize" build "$work/k8s/overlays/try" >"$work/served/component-$name.yaml"
  rm -r "$work/k8s/overlays/try"
done
cp k8s/deployment.yaml "$work/served/nodeport-raw.yaml"
cp k8s/ingress.yaml "$work/served/ingress-raw.yaml"
# What one applies file by file stands together on a cluster, and is scored so.
together() { sed -s '1i---' "$@"; }
together compat/eks/kubernetes/*.yaml >"$work/served/compat-eks-raw.yaml"
together compat/model-api/{kubernetes,monitoring}/*.yaml >"$work/served/compat-model-api-raw.yaml"
chart "$helm" compat/model-api/helm/model-api/values.yaml >"$work/all/compat-model-api-chart.yaml"
unnamed() { sed -E '/^# Source: /d; /"helm.sh\/chart": /d' "$@"; }
"$helm" template podsense compat/model-api/helm/model-api --kube-version 1.34.0 --api-versions monitoring.coreos.com/v1 |
  unnamed | diff -bB <(unnamed "$work/all/compat-model-api-chart.yaml") - >"$work/diff" ||
  fault "compat/model-api/helm/model-api renders differently from helm/podsense with its values:" "$(cat "$work/diff")"
cp "$work"/served/{overlays-,component-}*.yaml "$work"/served/*-raw.yaml "$work/all/"
cp k8s/load/job.yaml "$work/all/load-job.yaml"
for example in examples/{kserve,inference-gateway}/*.yaml; do
  cp "$example" "$work/all/$(basename "$(dirname "$example")")-$(basename "$example")"
done

for version in "${versions[@]}"; do
  mapfile -t files < <(find "$work/all" -name '*.yaml' | sort)
  [ "$version" != 1.29.0 ] || mapfile -t files < <(printf '%s\n' "${files[@]}" | grep -vE "/($needs_newer)")
  "$kubeconform" -strict -n 2 -kubernetes-version "$version" \
    -schema-location "$schemas/{{ .NormalizedKubernetesVersion }}-standalone{{ .StrictSuffix }}/{{ .ResourceKind }}{{ .KindSuffix }}.json" \
    -schema-location "$schemas/custom/{{ .ResourceKind }}_{{ .ResourceAPIVersion }}.json" \
    -schema-location "tests/chart/schemas/{{ .ResourceKind }}_{{ .ResourceAPIVersion }}.json" \
    "${files[@]}" >"$work/log" 2>&1 || fault "Kubernetes $version:" "$(sed "s|$work/all/||" "$work/log")"
done

for file in "$work"/served/*.yaml; do
  name=$(basename "$file" .yaml) ignored=()
  while read -r test pattern _; do
    # shellcheck disable=SC2254  # a pattern it is
    case $name in $pattern) ignored+=(--ignore-test "$test") ;; esac
  done < <(grep -v '^#' scripts/kube-score-exceptions.txt)
  "$kube_score" score --kubernetes-version v1.34 ${ignored[@]+"${ignored[@]}"} --output-format ci "$file" \
    >"$work/log" 2>&1 || fault "kube-score, $name:" "$(grep -E 'CRITICAL|rror' "$work/log")"
done

checkov=$(scripts/venv.sh terraform scripts/terraform-requirements.txt)/bin/checkov
"$checkov" -d "$work/served" --skip-download --config-file scripts/checkov-kubernetes.yaml >"$work/log" 2>&1 ||
  fault "checkov:" "$(cat "$work/log")"

[ $failed = 0 ] || die "manifests have faults"
say "$(find "$work/all" -name '*.yaml' | wc -l) renderings, Kubernetes ${versions[*]}"
