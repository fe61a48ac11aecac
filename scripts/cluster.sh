#!/usr/bin/env bash
# The local cluster: kind where Docker answers, else the cluster kit that KUBEKIT names.
#
#   scripts/cluster.sh up             create it, or find it there
#   scripts/cluster.sh load IMAGE…    give its nodes images of this machine
#   scripts/cluster.sh env            print the shell's settings for it: eval "$(scripts/cluster.sh env)"
#   scripts/cluster.sh status         what it is and whether it answers
#   scripts/cluster.sh down           delete it
#
# KIND_CLUSTER (k8s-inference-sim)  the kind cluster's name
# METRICS_SERVER=URL|none           manifest applied to a kind cluster, without which no HPA works
# PLATFORM=kind|kit|current         overrides what is found
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh
# shellcheck source=scripts/kube-lib.sh
. scripts/kube-lib.sh

metrics_server=${METRICS_SERVER:-https://github.com/kubernetes-sigs/metrics-server/releases/download/v0.8.0/components.yaml}

kind_up() {
  need kind https://kind.sigs.k8s.io
  need kubectl https://kubernetes.io/docs/tasks/tools/
  docker_answers || die "Docker is not running: start it, then try again"
  if kind_exists; then
    say "kind cluster $kind_cluster is there, using it"
    kind export kubeconfig --name "$kind_cluster" >/dev/null
  else
    say "creating kind cluster $kind_cluster"
    kind create cluster --name "$kind_cluster" --config k8s/kind.yaml --wait 180s
  fi
  use_cluster
  [ "$metrics_server" != none ] || return 0
  # A kind node's kubelet has a certificate of its own making.
  kubectl -n kube-system get deployment metrics-server >/dev/null 2>&1 || {
    kubectl apply -f "$metrics_server" >/dev/null ||
      die "cannot apply metrics-server ($metrics_server); without it no HPA works. METRICS_SERVER=none leaves it out"
    kubectl -n kube-system patch deployment metrics-server --type=json -p \
      '[{"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "--kubelet-insecure-tls"}]' >/dev/null
  }
  wait_rollout kube-system metrics-server 180
}

up() {
  local on
  on=$(platform)
  case $on in
    kind) kind_up ;;
    kit) "$kit/up" ;;
    current) use_cluster ;;
  esac
  say "the cluster ($on) is up"
}

down() {
  local on
  on=$(platform)
  case $on in
    kind)
      need kind https://kind.sigs.k8s.io
      if kind_exists; then kind delete cluster --name "$kind_cluster"; else say "there is no kind cluster $kind_cluster"; fi
      ;;
    kit) "$kit/down" ;;
    current) die "the cluster of kubectl's current context is not ours to delete" ;;
  esac
}

# has_image NAME : the machine's store has it
has_image() {
  if docker_answers; then
    docker image inspect "$1" >/dev/null 2>&1
  else
    command -v buildah >/dev/null && buildah inspect --type image "$1" >/dev/null 2>&1
  fi
}

load_into_kit() {
  local name archive
  archive=$(mktemp --suffix=.tar)
  # shellcheck disable=SC2064  # expanded now
  trap "rm -f '$archive'" EXIT
  for name in "$@"; do
    rm -f "$archive"
    # The archive names it docker.io/library/NAME, as a pod's image NAME is understood.
    buildah push --quiet "$name" "docker-archive:$archive:$name" >/dev/null
    "$kit/load-image" "$archive" >/dev/null
    say "loaded $name"
  done
}

load() {
  local on name
  [ $# -gt 0 ] || die "load: name the images"
  use_cluster
  on=$(platform)
  for name in "$@"; do
    has_image "$name" || die "this machine has no image $name: make image IMAGES=$name"
  done
  case $on in
    kind) kind load docker-image --name "$kind_cluster" "$@" ;;
    kit) load_into_kit "$@" ;;
    current) die "the nodes of kubectl's current context pull from a registry: push $* there" ;;
  esac
}

environment() {
  case $(platform) in
    kit) echo "export KUBECONFIG=$kit_state/kubeconfig PATH=$kit_state/bin:\$PATH" ;;
    kind) echo "kubectl config use-context kind-$kind_cluster >/dev/null" ;;
    current) ;;
  esac
}

status() {
  use_cluster
  kubectl get nodes
}

command=${1:-}
[ $# = 0 ] || shift
case $command in
  up | down | load | status) "$command" "$@" ;;
  env) environment ;;
  *) die "usage: cluster.sh up|load IMAGE…|env|status|down" ;;
esac
