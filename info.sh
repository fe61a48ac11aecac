#!/usr/bin/env bash
# Where PodSense answers, and how to get at Grafana and Prometheus, for whatever is installed on the
# cluster of kubectl's current context (or, where that is none, on the local cluster of scripts/).
#
#   ./info.sh                 every namespace
#   ./info.sh -n NAMESPACE    one
#
# Only reads. Passwords are not printed, but the command that prints them.
set -eu
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
set -o pipefail -f  # -f: a host may be `*`
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib.sh
. "$here/scripts/lib.sh"
# shellcheck source=scripts/kube-lib.sh
. "$here/scripts/kube-lib.sh"

scope=(--all-namespaces)
while getopts n:h option; do
  case $option in
    n) scope=(-n "$OPTARG") ;;
    *) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 2 ;;
  esac
done

# The current context is what people mean; the local cluster's own settings come second.
if command -v kubectl >/dev/null && kubectl get --raw=/readyz --request-timeout=5s >/dev/null 2>&1; then
  local_cluster=$(kubectl config current-context 2>/dev/null || echo unnamed)
else
  use_cluster
  local_cluster=$(platform)
fi
ours=app.kubernetes.io/part-of=podsense

# get KIND SELECTOR TEMPLATE : one line an object, nothing where the cluster does not know the kind
get() { kubectl get "$1" "${scope[@]}" -l "$2" -o go-template="{{range .items}}$3{{\"\\n\"}}{{end}}" 2>/dev/null || true; }

# Docker's own network is out of reach from macOS and Windows; k8s/kind.yaml maps these ports instead.
node_address() {
  case $(kubectl config current-context 2>/dev/null || true) in
    kind-*) echo localhost ;;
    *)
      kubectl get nodes -o go-template='{{range .items}}{{range .status.addresses}}{{.type}} {{.address}}{{"\n"}}{{end}}{{end}}' |
        awk '$1 == "ExternalIP" { print $2; found = 1; exit } $1 == "InternalIP" && !first { first = $2 } END { if (!found) print first }'
      ;;
  esac
}

echo "cluster: $local_cluster ($(kubectl get nodes --no-headers 2>/dev/null | wc -l) nodes)"

echo
echo "== PodSense"
# shellcheck disable=SC2016  # the template's own variables
deployments=$(get deployments "$ours" '{{.metadata.namespace}} {{.metadata.name}} {{or .status.readyReplicas 0}}/{{or .spec.replicas 0}} {{range .spec.template.spec.containers}}{{.image}} {{end}}')
if [ -z "$deployments" ]; then
  echo "not installed; try: helm install podsense helm/podsense -n podsense --create-namespace, or make deploy"
else
  while read -r namespace name ready images; do
    echo "$namespace/$name: $ready ready ($images)"
  done <<<"$deployments"
fi

# local_port WANTED : sets `free_port` to the first from there on that no command above has taken, so that all of
# them can run side by side.
taken=' '
local_port() {
  free_port=$1
  while [[ $taken == *" $free_port "* ]]; do free_port=$((free_port + 1)); done
  taken+="$free_port "
}

# explain NAMESPACE NAME TYPE ADDRESS PORT:TARGET:NODEPORT…
explain() {
  local namespace=$1 name=$2 type=$3 outside=$4 port node first
  shift 4
  for port in "$@"; do
    node=${port##*:} first=${port%%:*}
    case $type in
      NodePort) echo "  http://$(node_address):$node    (service $namespace/$name, NodePort)" ;;
      LoadBalancer)
        if [ "$outside" = - ]; then
          echo "  service $namespace/$name: the cloud has given no address yet: kubectl -n $namespace get svc $name -w"
        else
          echo "  http://$outside:$first    (service $namespace/$name, LoadBalancer)"
        fi
        ;;
    esac
  done
  if [ "$type" = ClusterIP ]; then
    first=${1%%:*}
    local_port $((first < 1024 ? 8080 : first))
    echo "  kubectl -n $namespace port-forward svc/$name $free_port:$first    then http://localhost:$free_port"
  fi
}

# Ports that have no business outside (metrics, health) and gRPC are left to `kubectl get svc`.
services=$(get services "$ours" '{{.metadata.namespace}} {{.metadata.name}} {{.spec.type}} {{with .status.loadBalancer.ingress}}{{with index . 0}}{{or .hostname .ip "-"}}{{end}}{{else}}-{{end}}{{if ne (or .spec.clusterIP "") "None"}}{{range .spec.ports}}{{if eq (or .name "http") "http"}} {{.port}}:{{.targetPort}}:{{or .nodePort 0}}{{end}}{{end}}{{end}}')
while read -r namespace name type outside ports; do
  [ -n "$ports" ] || continue
  # shellcheck disable=SC2086  # a list
  explain "$namespace" "$name" "$type" "$outside" $ports
done <<<"$services"

# Where ingress controllers listen, most outside first.
controllers() {
  # shellcheck disable=SC2016  # the template's own variables
  kubectl get services --all-namespaces -o go-template='{{range .items}}{{$s := .}}{{range .spec.ports}}{{if eq .port 80}}{{$s.metadata.namespace}} {{$s.metadata.name}} {{$s.spec.type}} {{with $s.status.loadBalancer.ingress}}{{with index . 0}}{{or .hostname .ip "-"}}{{end}}{{else}}-{{end}} {{or .nodePort 0}}{{"\n"}}{{end}}{{end}}{{end}}' |
    grep -iE '^\S+ \S*(ingress|traefik|gateway|envoy-gateway|nginx|alb)\S* (LoadBalancer|NodePort) ' || true
}
controller_address() {
  local line
  line=$(controllers | sort -k3,3 | head -n 1)
  [ -n "$line" ] || return 0
  # shellcheck disable=SC2086  # fields
  set -- $line
  if [ "$3" = LoadBalancer ] && [ "$4" != - ]; then echo "$4"; else echo "$(node_address):$5"; fi
}

# shellcheck disable=SC2016  # the template's own variables
ingresses=$(get ingresses "$ours" '{{.metadata.namespace}} {{.metadata.name}} {{or .spec.ingressClassName "-"}} {{with .status.loadBalancer.ingress}}{{with index . 0}}{{or .hostname .ip "-"}}{{end}}{{else}}-{{end}}{{range .spec.rules}} {{or .host "*"}}{{end}}')
while read -r namespace name class outside hosts; do
  [ -n "$name" ] || continue
  if [ "$outside" = - ]; then outside=$(controller_address); fi
  for host in $hosts; do
    if [ -z "$outside" ]; then
      echo "  ingress $namespace/$name (class $class): no ingress controller of that class answers yet"
    elif [ "$host" = '*' ]; then
      echo "  http://$outside    (ingress $namespace/$name, class $class)"
    else
      echo "  curl -H 'Host: $host' http://$outside/    (ingress $namespace/$name, class $class)"
    fi
  done
done <<<"$ingresses"
# shellcheck disable=SC2016  # the template's own variables
routes=$(get httproutes.gateway.networking.k8s.io "$ours" '{{.metadata.namespace}} {{.metadata.name}} {{range .spec.parentRefs}}{{.name}} {{end}}{{range .spec.hostnames}} {{.}}{{end}}')
while read -r namespace name rest; do
  if [ -n "$name" ]; then echo "  HTTPRoute $namespace/$name on gateway $rest"; fi
done <<<"$routes"
# shellcheck disable=SC2016  # the template's own variables
scalers=$(get hpa "$ours" '{{.metadata.namespace}} {{.metadata.name}} {{or .status.currentReplicas 0}} {{.spec.minReplicas}} {{.spec.maxReplicas}}')
while read -r namespace name now least most; do
  if [ -n "$name" ]; then echo "  HPA $namespace/$name: $now pods now, $least to $most"; fi
done <<<"$scalers"

# report TITLE NAME-PATTERN LOCAL-PORT : a monitoring program's services, however it was installed
report() {
  local title=$1 pattern=$2 first=$3 found=0 namespace name type outside port node
  while read -r namespace name type outside port node; do
    [ -n "$name" ] || continue
    found=1
    case $type in
      NodePort) echo "  http://$(node_address):$node    ($namespace/$name)" ;;
      LoadBalancer) echo "  http://$outside:$port    ($namespace/$name)" ;;
      *)
        local_port "$first"
        echo "  kubectl -n $namespace port-forward svc/$name $free_port:$port    then http://localhost:$free_port"
        ;;
    esac
    if [ "$title" = Grafana ]; then
      local secret
      # shellcheck disable=SC2016  # the template's own variables
      secret=$(kubectl -n "$namespace" get secrets -o go-template='{{range .items}}{{$name := .metadata.name}}{{range $key, $_ := .data}}{{if eq $key "admin-password"}}{{$name}}{{"\n"}}{{end}}{{end}}{{end}}' 2>/dev/null | head -n 1 || true)
      if [ -n "$secret" ]; then
        echo "  user admin; password: kubectl -n $namespace get secret $secret -o jsonpath='{.data.admin-password}' | base64 -d"
      fi
    fi
  done < <(kubectl get services --all-namespaces -o go-template='{{range .items}}{{if ne (or .spec.clusterIP "") "None"}}{{.metadata.namespace}} {{.metadata.name}} {{.spec.type}} {{with .status.loadBalancer.ingress}}{{with index . 0}}{{or .hostname .ip "-"}}{{end}}{{else}}-{{end}}{{with index .spec.ports 0}} {{.port}} {{or .nodePort 0}}{{end}}{{"\n"}}{{end}}{{end}}' | grep -E "^\S+ ($pattern) " || true)
  if [ $found = 0 ]; then echo "  not installed: make monitoring-up"; fi
}
echo
echo "== Grafana"
report Grafana 'grafana|\S+-grafana' 3000
echo "== Prometheus"
report Prometheus 'prometheus|prometheus-server|\S*kube-prometheus\S*-prometheus|prometheus-operated' 9090
