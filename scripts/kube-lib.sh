# shellcheck shell=bash
# What the scripts about clusters share; sourced after lib.sh, never run.
#
# Two kinds of cluster are brought up here: kind, where Docker answers, and else a cluster kit, a
# folder with `up`, `down` and `load-image` that KUBEKIT names. PLATFORM=kind|kit overrides what is
# found, PLATFORM=current leaves the cluster to kubectl's current context.

# shellcheck disable=SC2034  # for those who source this
kind_cluster=${KIND_CLUSTER:-k8s-inference-sim}
kit=${KUBEKIT:-}
[ -n "$kit" ] || [ ! -x "$(dirname "${BASH_SOURCE[0]}")/../../shared/cluster/up" ] ||
  kit=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../shared/cluster" && pwd)
kit_state=${KUBEKIT_STATE:-/var/lib/kubekit}

docker_answers() { command -v docker >/dev/null && docker info >/dev/null 2>&1; }

platform() {
  if [ -n "${PLATFORM:-}" ]; then
    case $PLATFORM in
      kind | kit | current) echo "$PLATFORM" ;;
      *) die "PLATFORM=$PLATFORM: accepted are kind, kit and current" ;;
    esac
  elif docker_answers; then
    echo kind
  elif [ -n "$kit" ]; then
    [ -x "$kit/up" ] || die "KUBEKIT=$kit has no program 'up'"
    echo kit
  else
    die "Docker is not running: start it (Docker Desktop, 'colima start', 'systemctl start docker')," \
      "then try again; for the cluster of kubectl's current context set PLATFORM=current"
  fi
}

need() { # PROGRAM WHERE-TO-GET-IT
  command -v "$1" >/dev/null || die "$1 is not installed: $2"
}

kind_exists() { kind get clusters 2>/dev/null | grep -qx "$kind_cluster"; }

# use_cluster : from here on kubectl and helm talk to the cluster of this platform, and only to it.
# Fails with one clear line where it cannot be reached.
use_cluster() {
  local on
  on=$(platform) || exit 1
  case $on in
    kind)
      need kind https://kind.sigs.k8s.io
      need kubectl https://kubernetes.io/docs/tasks/tools/
      kind_exists || die "there is no kind cluster $kind_cluster: make kind-up"
      use_own_kubeconfig kind get kubeconfig --name "$kind_cluster"
      ;;
    kit)
      [ -e "$kit_state/kubeconfig" ] || die "the kit's cluster is not up: make cluster-up"
      export KUBECONFIG=$kit_state/kubeconfig PATH=$kit_state/bin:$PATH
      ;;
    current) need kubectl https://kubernetes.io/docs/tasks/tools/ ;;
  esac
  local answer
  answer=$(kubectl get --raw=/readyz --request-timeout=10s 2>&1) ||
    die "the cluster ($on) does not answer: $(tail -n 1 <<<"$answer")"
}

# The commands of these scripts must not land in whatever context happens to be current.
use_own_kubeconfig() {
  own_kubeconfig=$(mktemp)
  trap 'rm -f "$own_kubeconfig"' EXIT
  "$@" >"$own_kubeconfig"
  export KUBECONFIG=$own_kubeconfig
}

# why_not NAMESPACE SELECTOR : one line for each container that cannot start: pod, container, reason,
# image; and for each pod that no node takes.
# shellcheck disable=SC2016  # the template's own variables
why_not() {
  local waiting='{{if .state.waiting}}{{$pod}} {{.name}} {{.state.waiting.reason}} {{.image}}{{"\n"}}{{end}}'
  local unscheduled='{{if and (eq .type "PodScheduled") (eq .status "False")}}{{$pod}} - {{.reason}} {{.message}}{{"\n"}}{{end}}'
  kubectl -n "$1" get pods -l "$2" -o go-template="{{range .items}}{{\$pod := .metadata.name}}\
{{range .status.conditions}}$unscheduled{{end}}\
{{range .status.initContainerStatuses}}$waiting{{end}}\
{{range .status.containerStatuses}}$waiting{{end}}{{end}}" 2>/dev/null |
    grep -vE ' (ContainerCreating|PodInitializing) ' || true
}

# wait_rollout NAMESPACE DEPLOYMENT [SECONDS] : until it is rolled out; ends early, and says why, where
# that cannot happen.
wait_rollout() {
  local namespace=$1 deployment=$2 seconds=${3:-180} selector reasons status=0 waiter log
  # shellcheck disable=SC2016  # the template's own variables
  selector=$(kubectl -n "$namespace" get deployment "$deployment" -o go-template='{{range $key, $value := .spec.selector.matchLabels}}{{$key}}={{$value}},{{end}}' 2>/dev/null) ||
    die "there is no deployment $deployment in namespace $namespace"
  selector=${selector%,}
  log=$(mktemp)
  kubectl -n "$namespace" rollout status "deployment/$deployment" --timeout="${seconds}s" >"$log" 2>&1 &
  waiter=$!
  while kill -0 $waiter 2>/dev/null; do
    reasons=$(why_not "$namespace" "$selector")
    if grep -qE ' (ErrImageNeverPull|ImagePullBackOff|InvalidImageName) ' <<<"$reasons"; then
      kill $waiter 2>/dev/null || true
      rm -f "$log"
      local reason image
      read -r _ _ reason image < <(grep -E ' (ErrImageNeverPull|ImagePullBackOff|InvalidImageName) ' <<<"$reasons")
      die "$deployment: the node has no image $image ($reason): make image kind-load IMAGES=$image"
    fi
    sleep 1
  done
  wait $waiter || status=$?
  if [ $status != 0 ]; then
    reasons=$(why_not "$namespace" "$selector")
    {
      tail -n 1 "$log"
      [ -z "$reasons" ] || printf '  %s\n' "$reasons"
      kubectl -n "$namespace" get events --field-selector type=Warning --sort-by=.lastTimestamp \
        -o custom-columns=OBJECT:.involvedObject.name,REASON:.reason,MESSAGE:.message 2>/dev/null | tail -n 6
    } >&2
    rm -f "$log"
    die "$deployment in $namespace is not rolled out after $seconds s (see above);" \
      "docs/how-to/troubleshooting.md has more"
  fi
  rm -f "$log"
  say "$deployment is rolled out"
}
