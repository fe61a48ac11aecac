# shellcheck shell=bash
# What render-manifests.sh writes to compat/: the files that five workflows name, from the chart. Sourced, never run.
# By hand are the links, the wrappers of scripts and the README files.
# shellcheck disable=SC2154  # `chart` and `yaml_python` are those of render-manifests.sh

# placed FOLDER "FILE KIND…"… : every object into the file that names its kind
placed() {
  local folder=$1
  shift
  find "$folder" -name '*.yaml' -delete
  manifests place "$folder" "$@"
}

# one_image FILE : the server's image under another name
one_image() {
  {
    note
    echo "# The server's image by the name that people build: run \`make image\` first."
    echo "FROM podsense:$(project_version)"
  } >"$1"
}

compat_eks() {
  chart -f "$chart/values-ml-inference.yaml" --set namespace.create=true --set metrics.serviceMonitor.enabled=true \
    --set ingress.enabled=true --set 'ingress.hosts[0].host=api.example.com' |
    placed "$1/kubernetes" \
      '01-namespace-configmap Namespace ServiceAccount ConfigMap Service Deployment HorizontalPodAutoscaler PodDisruptionBudget' \
      '02-ingress-network-policy Ingress NetworkPolicy ResourceQuota LimitRange' \
      '03-rbac-monitoring Role RoleBinding ServiceMonitor'
}

compat_model_api() {
  local image=(--set image.repository=model-api --set image.tag=v1.0)
  chart -f "$chart/values-model-api.yaml" "${image[@]}" --set namespace.create=true |
    placed "$1/kubernetes" 'configmap Namespace ConfigMap' 'deployment ServiceAccount Deployment PodDisruptionBudget' \
      'service Service NetworkPolicy' 'hpa HorizontalPodAutoscaler' 'ingress Ingress'
  chart -f "$chart/values-model-api.yaml" --show-only templates/monitoring.yaml --set metrics.serviceMonitor.enabled=true |
    placed "$1/monitoring" 'servicemonitor ServiceMonitor'
  "$yaml_python" scripts/manifests.py preset-chart "$chart" "$chart/values-model-api.yaml" "$1/helm/model-api"
  one_image "$1/Dockerfile"
  one_image "$(dirname "$1")/project-01-simple-model-api/docker/Dockerfile"
}
