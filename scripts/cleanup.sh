#!/usr/bin/env bash
# Removes what PodSense made on a cluster, and nothing else: Helm releases of its chart, then every
# object labelled app.kubernetes.io/part-of=podsense, then the namespaces that its manifests made, if
# nothing of others is left in them.
#
#   scripts/cleanup.sh                lists it, asks, removes it
#   scripts/cleanup.sh --dry-run      only lists it
#   scripts/cleanup.sh --yes          does not ask
#   scripts/cleanup.sh --kubeconfig   also removes contexts, clusters and users named *podsense* from
#                                     your kubeconfig (after `terraform destroy`)
#   scripts/cleanup.sh --cluster      also deletes the local cluster
#
# PLATFORM=current   the cluster of kubectl's current context instead of the local one
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh
# shellcheck source=scripts/kube-lib.sh
. scripts/kube-lib.sh

dry_run=0 yes=0 with_kubeconfig=0 with_cluster=0
for argument in "$@"; do
  case $argument in
    --dry-run) dry_run=1 ;;
    --yes) yes=1 ;;
    --kubeconfig) with_kubeconfig=1 ;;
    --cluster) with_cluster=1 ;;
    *) die "unknown argument $argument (accepted: --dry-run, --yes, --kubeconfig, --cluster)" ;;
  esac
done

ours=app.kubernetes.io/part-of=podsense
people_kubeconfig=${KUBECONFIG:-}
use_cluster

# "namespace name" of each Helm release whose chart is ours. Helm keeps a release in a labelled Secret.
releases() {
  kubectl get secrets --all-namespaces -l owner=helm -o go-template='{{range .items}}{{.metadata.namespace}} {{.metadata.labels.name}}{{"\n"}}{{end}}' |
    sort -u | while read -r namespace name; do
    [ -n "$name" ] || continue
    if command -v helm >/dev/null && helm -n "$namespace" get metadata "$name" 2>/dev/null | grep -qE '^CHART: podsense$'; then
      echo "$namespace $name"
    fi
  done
}

# "kind namespace name" of each labelled object; `-` where it has no namespace. What a controller
# made of another object (pods, endpoints, …) goes with that one.
kinds() { # namespaced=true|false
  kubectl api-resources "--namespaced=$1" --verbs=list,delete -o name |
    grep -vE '^(events|events.events.k8s.io|pods|endpoints|endpointslices.discovery.k8s.io|replicasets.apps|controllerrevisions.apps|pods.metrics.k8s.io|nodes.metrics.k8s.io|bindings|namespaces|leases.coordination.k8s.io)$' |
    paste -sd, -
}
objects() {
  kubectl get "$(kinds true)" --all-namespaces -l "$ours" --ignore-not-found -o go-template='{{range .items}}{{if not .metadata.ownerReferences}}{{.kind}} {{.metadata.namespace}} {{.metadata.name}}{{"\n"}}{{end}}{{end}}' 2>/dev/null || true
  kubectl get "$(kinds false)" -l "$ours" --ignore-not-found -o go-template='{{range .items}}{{.kind}} - {{.metadata.name}}{{"\n"}}{{end}}' 2>/dev/null || true
}
namespaces() { kubectl get namespaces -l "$ours" -o go-template='{{range .items}}{{.metadata.name}}{{"\n"}}{{end}}'; }

# others_in NAMESPACE : what would go with the namespace and is not ours
others_in() {
  kubectl get deployments,statefulsets,daemonsets,jobs,cronjobs,pods,services,ingresses,persistentvolumeclaims,configmaps,secrets \
    -n "$1" -l "app.kubernetes.io/part-of!=podsense" -o name 2>/dev/null |
    grep -vE '^(configmap/kube-root-ca.crt|secret/default-token-.*|secret/sh.helm.release.*)$' || true
}

# Contexts of others that merely live in the same file stay.
kubeconfig_names() { KUBECONFIG=$people_kubeconfig kubectl config "$1" -o name 2>/dev/null | grep -E 'podsense' | sed 's,^[a-z]*/,,' || true; }
kubeconfig_entries() {
  kubeconfig_names get-contexts | sed 's/^/context /'
  KUBECONFIG=$people_kubeconfig kubectl config get-clusters 2>/dev/null | tail -n +2 | grep podsense | sed 's/^/cluster /' || true
  KUBECONFIG=$people_kubeconfig kubectl config get-users 2>/dev/null | tail -n +2 | grep podsense | sed 's/^/user /' || true
}

found_releases=$(releases)
found_objects=$(objects)
found_namespaces=$(namespaces)
found_entries=$([ $with_kubeconfig = 0 ] || kubeconfig_entries)

echo "cleanup: on $(kubectl config current-context 2>/dev/null || platform), PodSense made:"
{
  [ -z "$found_releases" ] || awk '{ print "Helm release " $1 "/" $2 }' <<<"$found_releases"
  [ -z "$found_objects" ] || awk '{ print $1 " " ($2 == "-" ? "" : $2 "/") $3 }' <<<"$found_objects"
  [ -z "$found_namespaces" ] || awk '{ print "Namespace " $1 }' <<<"$found_namespaces"
  [ -z "$found_entries" ] || awk '{ print "kubeconfig " $0 }' <<<"$found_entries"
} | sed 's/^/  /'
if [ -z "$found_releases$found_objects$found_namespaces$found_entries" ]; then
  echo "  nothing"
elif [ $dry_run = 0 ]; then
  if [ $yes = 0 ]; then
    [ -t 0 ] || die "not a terminal: say --yes, or --dry-run to only look"
    read -r -p "remove these? [y/N] " answer
    [[ $answer == [yY]* ]] || die "nothing was removed"
  fi
  while read -r namespace name; do
    if [ -n "$name" ]; then
      say "helm uninstall $name -n $namespace"
      helm uninstall "$name" -n "$namespace" --wait --timeout 120s >/dev/null
    fi
  done <<<"$found_releases"
  while read -r kind namespace name; do
    if [ -n "$name" ]; then
      place=()
      [ "$namespace" = - ] || place=(-n "$namespace")
      kubectl delete "$kind" "$name" ${place[@]+"${place[@]}"} --ignore-not-found --timeout=120s >/dev/null
    fi
  done <<<"$found_objects"
  for namespace in $found_namespaces; do
    # Pods of ours may still be draining.
    kubectl -n "$namespace" wait --for=delete pods -l "$ours" --timeout=60s >/dev/null 2>&1 || true
    others=$(others_in "$namespace")
    if [ -n "$others" ]; then
      say "namespace $namespace stays: not ours in it: $(paste -sd' ' <<<"$others")"
    else
      kubectl delete namespace "$namespace" --ignore-not-found --timeout=120s >/dev/null
    fi
  done
  while read -r kind name; do
    case $kind in
      context) KUBECONFIG=$people_kubeconfig kubectl config delete-context "$name" >/dev/null ;;
      cluster) KUBECONFIG=$people_kubeconfig kubectl config delete-cluster "$name" >/dev/null ;;
      user) KUBECONFIG=$people_kubeconfig kubectl config delete-user "$name" >/dev/null ;;
    esac
  done <<<"$found_entries"
  say "removed"
fi
if [ $with_cluster = 1 ]; then
  if [ $dry_run = 1 ]; then say "would delete the local cluster"; else scripts/cluster.sh down; fi
fi
