#!/usr/bin/env bash
# Everything from nothing to answering, as often as you like: a local cluster if there is none, images
# if sources changed, an overlay applied anew, then where it answers. Envoy answers on port 30080 of a
# local cluster's nodes (of localhost on kind) unless an ingress controller has that port.
#
#   scripts/restart.sh [OVERLAY]      default: platform (Envoy in front: JSON to gRPC)
#
# SKIP_IMAGE=1  take the images that are there
set -eu
# Also started as `sh scripts/restart.sh`, where sh may be any POSIX shell.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
set -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh
# shellcheck source=scripts/kube-lib.sh
. scripts/kube-lib.sh

overlay=${1:-platform}
[ -e "k8s/overlays/$overlay/kustomization.yaml" ] ||
  die "no overlay $overlay; there are: $(cd k8s/overlays && echo *)"

on=$(platform)
say "1/5 cluster ($on)"
scripts/cluster.sh up

# The images of ours that the overlay's pods name.
use_cluster
mapfile -t images < <(kubectl kustomize "k8s/overlays/$overlay" | awk '$1 == "image:" { print $2 }' | tr -d '"' |
  sort -u | grep -E '^(podsense|podsense-envoy|k8s-inference-sim):' || true)
if [ "${SKIP_IMAGE:-0}" = 1 ]; then
  say "2/5 images: taken as they are"
else
  say "2/5 images"
  scripts/image.sh "${images[@]}"
fi
if [ "$on" = current ]; then
  say "3/5 images: the nodes pull them"
else
  say "3/5 loading images into the cluster"
  scripts/cluster.sh load "${images[@]}"
fi

say "4/5 applying overlay $overlay, then restarting its pods"
existed=$(kubectl get -k "k8s/overlays/$overlay" --ignore-not-found -o name 2>/dev/null | grep -c '^deployment' || true)
scripts/deploy.sh apply "$overlay"
if [ "$existed" -gt 0 ]; then
  # The same tag may be another image now.
  kubectl get -k "k8s/overlays/$overlay" -o go-template='{{range .items}}{{if eq .kind "Deployment"}}{{.metadata.namespace}} {{.metadata.name}}{{"\n"}}{{end}}{{end}}' |
    while read -r namespace name; do
      kubectl -n "$namespace" rollout restart "deployment/$name" >/dev/null
      wait_rollout "$namespace" "$name"
    done
fi

# expose_envoy NAMESPACE PORT : a Service of its own, so that Envoy's statistics stay inside
expose_envoy() {
  local holder selector
  # shellcheck disable=SC2016  # the template's own variables
  holder=$(kubectl get services --all-namespaces -o go-template='{{range .items}}{{$s := .}}{{range .spec.ports}}{{or .nodePort 0}} {{$s.metadata.namespace}}/{{$s.metadata.name}}{{"\n"}}{{end}}{{end}}' |
    awk -v port="$2" -v ours="$1/envoy-nodeport" '$1 == port && $2 != ours { print $2 }')
  if [ -n "$holder" ]; then
    say "node port $2 belongs to $holder: Envoy is reached through it, if that is an ingress controller"
    return
  fi
  selector=$(kubectl -n "$1" get service envoy -o jsonpath='{.spec.selector}')
  kubectl -n "$1" apply -f - >/dev/null <<EOM
apiVersion: v1
kind: Service
metadata:
  name: envoy-nodeport
  labels: {app.kubernetes.io/name: podsense, app.kubernetes.io/component: envoy-nodeport, app.kubernetes.io/part-of: podsense}
spec:
  type: NodePort
  selector: $selector
  ports: [{name: http, port: 80, targetPort: http, nodePort: $2}]
EOM
}
if [ "$on" != current ]; then
  namespace=$(kubectl get -k "k8s/overlays/$overlay" -o go-template='{{range .items}}{{if and (eq .kind "Service") (eq .metadata.name "envoy")}}{{.metadata.namespace}}{{end}}{{end}}')
  [ -z "$namespace" ] || expose_envoy "$namespace" 30080
fi

say "5/5 where it answers"
./info.sh
