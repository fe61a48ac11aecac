#!/usr/bin/env bash
# The testing checklist of a deployment, which ticks itself: what can be seen is looked at, what has to
# be tried is tried.
#
#   scripts/checklist.sh [-n NAMESPACE] [DEPLOYMENT]           looks, and asks some requests
#   scripts/checklist.sh --all [-n NAMESPACE] [DEPLOYMENT]     also restarts, rolls back and loads it: the
#                                                              HPA takes minutes to go up and down
#
# Prints `- [x] item` or `- [ ] item: why`; ends with 0 when nothing that was tried failed. Requests are
# sent by pods of the deployment's own image, so that nothing else has to be installed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh
# shellcheck source=scripts/kube-lib.sh
. scripts/kube-lib.sh

namespace='' deployment='' all=0
while [ $# -gt 0 ]; do
  case $1 in
    -n) namespace=${2:?-n needs a namespace} && shift ;;
    --all) all=1 ;;
    -*) die "unknown argument $1 (accepted: -n NAMESPACE, --all, a deployment's name)" ;;
    *) deployment=$1 ;;
  esac
  shift
done

use_cluster
ours=app.kubernetes.io/part-of=podsense,app.kubernetes.io/component=server
found=$(kubectl get deployments --all-namespaces -l "$ours" -o go-template='{{range .items}}{{.metadata.namespace}} {{.metadata.name}}{{"\n"}}{{end}}' |
  awk -v namespace="$namespace" -v name="$deployment" \
    '(namespace == "" || $1 == namespace) && (name == "" || $2 == name)')
[ -n "$found" ] || die "no deployment of PodSense${namespace:+ in namespace $namespace}${deployment:+ called $deployment}"
[ "$(wc -l <<<"$found")" = 1 ] || die "several: $(paste -sd, <<<"$found"); choose one with -n and its name"
read -r namespace deployment <<<"$found"
kube() { kubectl -n "$namespace" "$@"; }

instance=$(kube get deployment "$deployment" -o go-template='{{index .spec.selector.matchLabels "app.kubernetes.io/instance"}}')
name_label=$(kube get deployment "$deployment" -o go-template='{{index .spec.selector.matchLabels "app.kubernetes.io/name"}}')
selector="app.kubernetes.io/instance=$instance,app.kubernetes.io/name=$name_label,app.kubernetes.io/component=server"
image=$(kube get deployment "$deployment" -o go-template='{{(index .spec.template.spec.containers 0).image}}')
# shellcheck disable=SC2016  # the template's own variables
service=$(kube get services -l "app.kubernetes.io/instance=$instance,app.kubernetes.io/name=$name_label,app.kubernetes.io/component=server" \
  -o go-template='{{range .items}}{{if ne .spec.clusterIP "None"}}{{$name := .metadata.name}}{{range .spec.ports}}{{if eq .name "http"}}{{$name}}:{{.port}}{{"\n"}}{{end}}{{end}}{{end}}{{end}}' | head -n 1)
admin_port=$(kube get deployment "$deployment" -o go-template='{{range (index .spec.template.spec.containers 0).ports}}{{if eq .name "admin"}}{{.containerPort}}{{end}}{{end}}')
echo "checklist of $namespace/$deployment ($image)"

failed=0
ticked() { echo "- [x] $1${2:+ ($2)}"; }
missed() { echo "- [ ] $1: $2"; failed=$((failed + 1)); }
untried() { echo "- [ ] $1: not tried, $2"; }

# The ready ones: only they get requests.
# shellcheck disable=SC2016  # the template's own variables
pods() { kube get pods -l "$selector" -o go-template='{{range .items}}{{$pod := .}}{{if not .metadata.deletionTimestamp}}{{range .status.conditions}}{{if and (eq .type "Ready") (eq .status "True")}}{{$pod.metadata.name}}{{"\n"}}{{end}}{{end}}{{end}}{{end}}'; }
ready_count() { kube get deployment "$deployment" -o go-template='{{or .status.readyReplicas 0}}'; }
wanted_count() { kube get deployment "$deployment" -o go-template='{{or .spec.replicas 0}}'; }
# from_pod POD PORT PATH : through the API server, as nothing runs in the pod but the server
from_pod() { kubectl get --raw "/api/v1/namespaces/$namespace/pods/$1:$2/proxy$3" 2>/dev/null; }
requests_of() { from_pod "$1" "$admin_port" /metrics | awk '/^podsense_http_requests_total|^podsense_requests_total/ { sum += $NF } END { print sum + 0 }'; }

# client NAME ARGUMENT… : a pod that runs podsense with these arguments, restricted as the server's own
client() {
  local name=checklist-$1
  shift
  kube delete pod "$name" --ignore-not-found --wait=true >/dev/null
  kube run "$name" --image="$image" --image-pull-policy=IfNotPresent --restart=Never \
    --labels="app.kubernetes.io/instance=$instance,app.kubernetes.io/name=$name_label,app.kubernetes.io/component=test" \
    --overrides='{"spec": {"automountServiceAccountToken": false, "securityContext": {"runAsNonRoot": true, "runAsUser": 1000,
      "seccompProfile": {"type": "RuntimeDefault"}}, "containers": [{"name": "'"$name"'", "image": "'"$image"'",
      "args": '"$(printf '%s\n' "$@" | "$python" -c 'import json, sys; print(json.dumps(sys.stdin.read().splitlines()))')"',
      "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"cpu": "500m", "memory": "256Mi"}},
      "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}}}]}}' >/dev/null
}
# client_succeeds NAME SECONDS : the pod of `client` ended with 0
client_succeeds() {
  local phase begun=$SECONDS
  while :; do
    phase=$(kube get pod "checklist-$1" -o go-template='{{.status.phase}}' 2>/dev/null || true)
    case $phase in
      Succeeded) return 0 ;;
      Failed) return 1 ;;
    esac
    [ $((SECONDS - begun)) -lt "$2" ] || return 1
    sleep 0.5
  done
}
forget_client() { kube delete pod "checklist-$1" --ignore-not-found --wait=false >/dev/null; }

# shellcheck disable=SC2016  # the template's own variables
hpa_of_deployment() { kube get hpa -o go-template='{{range .items}}{{if eq .spec.scaleTargetRef.name "'"$deployment"'"}}{{.metadata.name}} {{or .spec.minReplicas 1}}{{"\n"}}{{end}}{{end}}' | head -n 1; }

pods_start() {
  local item='Pods start successfully' restarts least begun=$SECONDS
  # Just installed, an HPA takes a round to ask for its least number of pods.
  least=$(hpa_of_deployment | cut -d" " -f2)
  until [ "$(ready_count)" = "$(wanted_count)" ] && [ "$(ready_count)" -ge "${least:-1}" ]; do
    [ $((SECONDS - begun)) -lt 60 ] || break
    sleep 1
  done
  if [ "$(ready_count)" != "$(wanted_count)" ] || [ "$(ready_count)" = 0 ]; then
    missed "$item" "$(ready_count) of $(wanted_count) ready; $(why_not "$namespace" "$selector" | paste -sd';')"
    return
  fi
  restarts=$(kube get pods -l "$selector" -o go-template='{{range .items}}{{range .status.containerStatuses}}{{.restartCount}}{{"\n"}}{{end}}{{end}}' | awk '{ sum += $1 } END { print sum + 0 }')
  ticked "$item" "$(ready_count) ready, $restarts restarts"
}

health_checks() {
  local item='Health checks pass' pod path
  [ -n "$(pods)" ] || { missed "$item" "no pod is ready"; return; }
  for pod in $(pods); do
    for path in /livez /readyz /startupz; do
      from_pod "$pod" "$admin_port" "$path" >/dev/null || { missed "$item" "$pod does not answer $path"; return; }
    done
  done
  ticked "$item"
}

balances() {
  local item='Service load balances across pods' before=() after=() list=() pod index seen=0
  mapfile -t list < <(pods)
  [ ${#list[@]} -ge 2 ] || { untried "$item" "it has ${#list[@]} pod: kubectl -n $namespace scale deployment $deployment --replicas=2"; return; }
  for pod in "${list[@]}"; do before+=("$(requests_of "$pod")"); done
  # Each asks by a connection of its own; the Service chooses a pod for each connection.
  client balance load "http://$service/infer?cpu_ms=1" -n 60 -c 4 --disable-keepalive --i-may-load-this-host
  client_succeeds balance 90 || { missed "$item" "$(kube logs checklist-balance 2>&1 | tail -n 2 | paste -sd' ')"; return; }
  forget_client balance
  for index in "${!list[@]}"; do
    after+=("$(requests_of "${list[index]}")")
    if [ "${after[index]}" -gt "${before[index]}" ]; then seen=$((seen + 1)); fi
  done
  if [ $seen = ${#list[@]} ]; then ticked "$item" "all $seen pods got some of 60 requests"; else missed "$item" "$seen of ${#list[@]} pods got requests"; fi
}

roll() { # TITLE COMMAND…
  local item=$1
  shift
  if [ $all = 0 ]; then
    untried "$item" "--all tries it"
  elif "$@" >/dev/null 2>&1 && kube rollout status "deployment/$deployment" --timeout=180s >/dev/null 2>&1; then
    ticked "$item" "revision $(kube rollout history "deployment/$deployment" | awk 'NF { last = $1 } END { print last }')"
  else
    missed "$item" "$(why_not "$namespace" "$selector" | paste -sd';')"
  fi
}

wait_count() { # COMPARISON NUMBER SECONDS : of ready pods
  local begun=$SECONDS
  until test "$(ready_count)" "$1" "$2"; do
    [ $((SECONDS - begun)) -lt "$3" ] || return 1
    sleep 2
  done
}

scaling_active() { kube get hpa "$1" -o go-template='{{range .status.conditions}}{{if eq .type "ScalingActive"}}{{.status}} {{.message}}{{end}}{{end}}'; }

autoscaling() {
  local up='HPA scales up under load' down='HPA scales down when idle' hpa base begun
  hpa=$(hpa_of_deployment)
  hpa=${hpa%% *}
  if [ -z "$hpa" ]; then
    untried "$up" "there is no HPA"
    untried "$down" "there is no HPA"
    return
  fi
  # A pod's first metrics come after two of their periods.
  local active
  begun=$SECONDS
  until active=$(scaling_active "$hpa"); [[ $active == True* ]] || [ $((SECONDS - begun)) -ge 60 ]; do sleep 2; done
  if [[ $active == False* ]]; then
    missed "$up" "${active#False }"
    return
  fi
  if [ $all = 0 ]; then
    untried "$up" "--all tries it"
    untried "$down" "--all tries it"
    return
  fi
  base=$(ready_count) begun=$SECONDS
  client autoscaling load "http://$service/infer?cpu_ms=25" --qps 60 --seconds 240 --i-may-load-this-host
  if wait_count -gt "$base" 240; then
    ticked "$up" "from $base to $(ready_count) pods after $((SECONDS - begun)) s"
  else
    missed "$up" "still $base pods: $(kube get hpa "$hpa" --no-headers)"
  fi
  kube delete pod checklist-autoscaling --ignore-not-found --grace-period=1 >/dev/null
  begun=$SECONDS
  if wait_count -le "$base" 600; then ticked "$down" "after $((SECONDS - begun)) s"; else missed "$down" "$(ready_count) pods"; fi
}

ingress_routes() {
  local item='Ingress routes traffic' name address host status
  name=$(kube get ingresses -l app.kubernetes.io/part-of=podsense -o go-template='{{range .items}}{{.metadata.name}}{{"\n"}}{{end}}' | head -n 1)
  [ -n "$name" ] || { untried "$item" "there is no Ingress"; return; }
  host=$(kube get ingress "$name" -o go-template='{{with index .spec.rules 0}}{{or .host ""}}{{end}}')
  # shellcheck disable=SC2016  # the template's own variables
  address=$(kubectl get services --all-namespaces -o go-template='{{range .items}}{{$s := .}}{{range .spec.ports}}{{if eq .port 80}}{{$s.metadata.namespace}} {{$s.metadata.name}}{{"\n"}}{{end}}{{end}}{{end}}' |
    grep -iE '^\S+ \S*(ingress-nginx-controller|traefik|nginx-ingress)\S*$' | head -n 1 || true)
  [ -n "$address" ] || { missed "$item" "no ingress controller's Service on port 80"; return; }
  client ingress check --timeout=10 "http://${address#* }.${address% *}.svc/readyz"
  if [ -n "$host" ]; then
    forget_client ingress
    untried "$item" "it answers only for $host: curl -H 'Host: $host' http://CONTROLLER/readyz"
  elif client_succeeds ingress 60; then
    status=$(kube logs checklist-ingress | head -n 1)
    ticked "$item" "$status through ${address#* }"
  else
    missed "$item" "$(kube logs checklist-ingress 2>&1 | tail -n 1)"
  fi
  forget_client ingress
}

metrics() {
  local item='Monitoring collects metrics' pod count=0
  [ -n "$(pods)" ] || { missed "$item" "no pod is ready"; return; }
  for pod in $(pods); do
    count=$(from_pod "$pod" "$admin_port" /metrics | grep -c '^podsense_' || true)
    [ "$count" -gt 0 ] || { missed "$item" "$pod offers none"; return; }
  done
  if kubectl get podmonitors.monitoring.coreos.com,servicemonitors.monitoring.coreos.com -n "$namespace" -l app.kubernetes.io/part-of=podsense -o name 2>/dev/null | grep -q .; then
    ticked "$item" "$count series a pod; a monitor tells Prometheus"
  elif [ "$(kube get deployment "$deployment" -o go-template='{{with .spec.template.metadata.annotations}}{{index . "prometheus.io/scrape"}}{{end}}')" = true ]; then
    ticked "$item" "$count series a pod; by annotations"
  else
    untried "$item" "$count series a pod, but nothing tells Prometheus: set metrics.serviceMonitor.enabled or metrics.podAnnotations"
  fi
}

logs() {
  local item='Logs are accessible' lines
  lines=$(kube logs "deployment/$deployment" --tail=20 2>/dev/null | wc -l)
  if [ "$lines" -gt 0 ]; then ticked "$item" "kubectl -n $namespace logs deployment/$deployment"; else missed "$item" "none"; fi
}

pods_start
health_checks
balances
autoscaling
roll 'Rolling update works' kube rollout restart "deployment/$deployment"
roll 'Rollback works' kube rollout undo "deployment/$deployment"
ingress_routes
metrics
logs
exit $((failed > 0))
