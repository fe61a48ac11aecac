#!/usr/bin/env bash
# PodSense on EKS: from an empty account to an answer, and back to nothing.
#
#   scripts/eks-deploy.sh                          prints every command, in order; changes nothing
#   scripts/eks-deploy.sh --apply                  runs all phases but destroy; again: goes on where it stopped
#   scripts/eks-deploy.sh --apply PHASE…           only these, even if done before
#   scripts/eks-deploy.sh destroy [--apply]        load balancers and volumes first, then all the rest
#
# Phases: infrastructure kubectl controllers irsa application verify, and destroy.
#
#   --var-file FILE    prod.tfvars (default) or ml-inference.tfvars, or your own, in infra/
#   --admin-cidr CIDR  who may reach the API server (default: this machine's public address)
#   --image-tag TAG    image to deploy (default: the commit, 12 characters)
#   --skip-image       the image is in ECR already
#   --photo FILE       picture that verify sends (default: photo.jpg)
#   --delete-data      with destroy: also images, models and the secret, which cannot be brought back
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

all_phases=(infrastructure kubectl controllers irsa application verify)
apply=0 var_file=prod.tfvars admin_cidr='' image_tag='' skip_image=0 photo=photo.jpg delete_data=0
phases=()

usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; }
needs_value() { [ $# -ge 2 ] || die "$1 needs a value"; }

while [ $# -gt 0 ]; do
  case $1 in
    --apply) apply=1 ;;
    --var-file) needs_value "$@"; var_file=$2; shift ;;
    --admin-cidr) needs_value "$@"; admin_cidr=$2; shift ;;
    --image-tag) needs_value "$@"; image_tag=$2; shift ;;
    --skip-image) skip_image=1 ;;
    --photo) needs_value "$@"; photo=$2; shift ;;
    --delete-data) delete_data=1 ;;
    -h | --help) usage; exit 0 ;;
    infrastructure | kubectl | controllers | irsa | application | verify | destroy) phases+=("$1") ;;
    *) die "unknown argument $1; phases: ${all_phases[*]} destroy; options: see --help" ;;
  esac
  shift
done
[ -f "infra/$var_file" ] || die "no infra/$var_file; there are: $(cd infra && echo *.tfvars)"

# What the script itself must know of a tfvars file: plain `name = "value"` lines.
setting() { sed -nE "s/^[ \t{]*(.*[ ,{])?$1 *= *\"([^\"]*)\".*/\2/p" "infra/$var_file" | head -n 1; }
cluster=$(setting cluster_name)
region=$(setting region)
namespace=$(setting namespace)
workload=$(sed -nE 's/^workload *= *\{ *//p' "infra/$var_file" | sed -nE 's/^name *= *"([^"]*)".*/\1/p')
[ -n "$workload" ] || workload=$(sed -nE '/^workload/,/^}/s/^ *name *= *"([^"]*)".*/\1/p' "infra/$var_file" | head -n 1)
: "${cluster:=podsense-eks-cluster}" "${region:=ap-southeast-2}" "${namespace:=podsense}" "${workload:=podsense}"
: "${image_tag:=$(git rev-parse --short=12 HEAD 2>/dev/null || echo untracked)}"
deployment=podsense
if [ "$(setting preset)" = ml-inference ]; then deployment=ml-inference-api; fi
export AWS_REGION=$region AWS_DEFAULT_REGION=$region AWS_PAGER='' TF_IN_AUTOMATION=1

# Which phases of which cluster are done; delete the file to begin anew.
done_file=${EKS_DEPLOY_STATE:-.eks-deploy}/$cluster.done

# run COMMAND… : prints it as one could type it; runs it with --apply.
run() {
  printf '  %s\n' "${*@Q}" | sed -E "s/'([A-Za-z0-9_.,:=@%\/+-]+)'/\1/g"
  [ $apply = 0 ] || "$@"
}
# shell TEXT : the same for a line with pipes or redirections.
shell() {
  printf '  %s\n' "$1"
  [ $apply = 0 ] || bash -euo pipefail -c "$1"
}
need() {
  local tool missing=()
  for tool in "$@"; do command -v "$tool" >/dev/null || missing+=("$tool"); done
  [ $apply = 0 ] || [ ${#missing[@]} = 0 ] || die "not found: ${missing[*]}. Install them, then run this again"
}

# Both stacks keep one state for each cluster: a workspace of its name.
stack() {
  run terraform -chdir="$1" init -input=false
  run terraform -chdir="$1" workspace select -or-create "$cluster"
}

# Sets admin_cidr, unless it was given.
find_admin_cidr() {
  [ -n "$admin_cidr" ] || [ $apply = 0 ] || admin_cidr=$(curl -fsS --max-time 10 https://checkip.amazonaws.com)/32 ||
    die "cannot find this machine's public address; give --admin-cidr"
  [ -n "$admin_cidr" ] || { admin_cidr=YOUR-ADDRESS/32; return; }
  [[ $admin_cidr =~ ^[0-9]+(\.[0-9]+){3}/[0-9]+$ ]] || die "'$admin_cidr' is no range to let in; give --admin-cidr such as 203.0.113.7/32"
}

phase_infrastructure() {
  need terraform aws
  run aws sts get-caller-identity --query Arn --output text
  find_admin_cidr
  stack infra
  run terraform -chdir=infra apply -input=false -auto-approve -var-file="$var_file" \
    -var "endpoint_public_access_cidrs=[\"$admin_cidr\"]"
}

# kubectl's commands name the cluster: whatever else the kubeconfig points at is left alone.
kubectl=(kubectl --context "$cluster")
kubeconfig() { run aws eks update-kubeconfig --region "$region" --name "$cluster" --alias "$cluster"; }

phase_kubectl() {
  need aws kubectl
  run aws eks wait cluster-active --name "$cluster"
  kubeconfig
  run "${kubectl[@]}" wait --for=condition=Ready nodes --all --timeout=300s
  run "${kubectl[@]}" get nodes -o wide
}

outputs_for_install() {
  stack infra
  shell 'umask 077; terraform -chdir=infra output -json install > infra/install/cluster.auto.tfvars.json'
}

phase_controllers() {
  need terraform aws helm
  outputs_for_install
  stack infra/install
  run terraform -chdir=infra/install apply -input=false -auto-approve -target=helm_release.controller
}

# Terraform made role and trust; here is seen that they are there and fit this cluster.
phase_irsa() {
  need aws
  run aws iam get-role --role-name "$workload-pod-role" --query Role.Arn --output text
  run aws iam list-attached-role-policies --role-name "$workload-pod-role" \
    --query 'AttachedPolicies[].PolicyName' --output text
  if [ $apply = 1 ]; then
    local issuer trust
    issuer=$(aws eks describe-cluster --name "$cluster" --query cluster.identity.oidc.issuer --output text)
    trust=$(aws iam get-role --role-name "$workload-pod-role" --query Role.AssumeRolePolicyDocument --output json)
    [[ $trust == *"${issuer#https://}"* || $trust == *pods.eks.amazonaws.com* ]] ||
      die "role $workload-pod-role does not trust $cluster (issuer $issuer): run the phase infrastructure again"
    aws iam list-attached-role-policies --role-name "$workload-pod-role" --output text |
      grep -q "$workload-pod-policy" || die "role $workload-pod-role lacks policy $workload-pod-policy"
    say "$workload-pod-role trusts $cluster and may read its models and secret"
  else
    echo "  # the role's trust must name the cluster's issuer, its policies $workload-pod-policy"
  fi
}

phase_application() {
  need terraform aws helm
  if [ $skip_image = 0 ]; then
    need docker
    shell "repository=\$(terraform -chdir=infra output -raw image_repository); aws ecr get-login-password | docker login --username AWS --password-stdin \"\${repository%%/*}\""
    shell "repository=\$(terraform -chdir=infra output -raw image_repository); docker buildx build --platform \"\$(terraform -chdir=infra output -raw image_platforms)\" -t \"\$repository:$image_tag\" --push ."
  fi
  outputs_for_install
  stack infra/install
  run terraform -chdir=infra/install apply -input=false -auto-approve -var "image_tag=$image_tag"
}

phase_verify() {
  need terraform kubectl curl
  run "${kubectl[@]}" rollout status "deployment/$deployment" -n "$namespace" --timeout=300s
  run "${kubectl[@]}" get pods,service,hpa -n "$namespace"
  # Where the service is depends on how it was exposed.
  # shellcheck disable=SC2016  # expanded when the line runs
  local url='$(bash -c "$(terraform -chdir=infra/install output -raw url_command)")'
  if [ $apply = 1 ] && [ -z "$(terraform -chdir=infra/install output -raw url_command)" ]; then
    say "exposure is none: kubectl --context $cluster port-forward -n $namespace deployment/$deployment 8080 reaches it"
    return
  fi
  shell "curl -fsS --retry 30 --retry-delay 10 --retry-all-errors \"$url/health\""
  if [ "$(setting preset)" = ml-inference ]; then
    shell "curl -fsS \"$url/predict-single\" -H 'Content-Type: application/json' -d '{\"features\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20]}'"
  else
    [ $apply = 0 ] || [ -f "$photo" ] || die "no picture $photo to send; give --photo FILE (JPEG, PNG or WebP), then run: scripts/eks-deploy.sh --apply verify"
    shell "curl -fsS --data-binary @${photo@Q} \"$url/predict?top_k=3\""
  fi
}

# Balancers that the controller made hold the VPC's addresses; volumes outlive the cluster.
balancers_left() {
  aws resourcegroupstaggingapi get-resources --resource-type-filters elasticloadbalancing:loadbalancer \
    --tag-filters "Key=elbv2.k8s.aws/cluster,Values=$cluster" --query 'ResourceTagMappingList[].ResourceARN' --output text
}
# Volumes that the EBS driver made for claims.
volumes_left() {
  aws ec2 describe-volumes --filters "Name=tag:kubernetes.io/cluster/$cluster,Values=owned" \
    Name=tag-key,Values=kubernetes.io/created-for/pvc/name --query 'Volumes[].VolumeId' --output text
}
# wait_until_gone WHAT FUNCTION
wait_until_gone() {
  local left tries=${EKS_DEPLOY_TRIES:-60}
  while true; do
    left=$("$2") || die "cannot list $1"
    [ -n "$left" ] || return 0
    tries=$((tries - 1))
    [ $tries -gt 0 ] || die "$1 are still there: $left. Delete them, then run destroy again"
    sleep "${EKS_DEPLOY_PAUSE:-10}"
  done
}

# What controllers made is taken away while they run: nobody else knows of it.
empty_cluster() {
  kubeconfig
  # shellcheck disable=SC2016  # expanded when the line runs
  shell "kubectl --context $cluster get crd nodepools.karpenter.sh -o name --ignore-not-found | while read -r _; do kubectl --context $cluster delete nodepools,nodeclaims --all --timeout=600s; done"
  run "${kubectl[@]}" delete ingress --all -A --timeout=300s
  # shellcheck disable=SC2016  # expanded when the line runs
  shell "kubectl --context $cluster get service -A -o jsonpath='{range .items[?(@.spec.type==\"LoadBalancer\")]}{.metadata.namespace} {.metadata.name}{\"\\n\"}{end}' | while read -r namespace name; do kubectl --context $cluster delete service -n \"\$namespace\" \"\$name\" --timeout=300s; done"
  echo "  # wait until no load balancer carries elbv2.k8s.aws/cluster=$cluster"
  [ $apply = 0 ] || wait_until_gone 'load balancers' balancers_left
  if outputs_for_install; then
    stack infra/install
    run terraform -chdir=infra/install destroy -input=false -auto-approve
  else
    say "infra has no outputs, so nothing was installed by infra/install"
  fi
  run "${kubectl[@]}" delete pvc --all -A --timeout=300s
  echo "  # wait until no volume of a claim carries kubernetes.io/cluster/$cluster"
  [ $apply = 0 ] || wait_until_gone volumes volumes_left
}

phase_destroy() {
  need terraform aws kubectl
  if [ $delete_data = 0 ]; then
    echo "  # images, models and the secret stay in the way of terraform destroy: --delete-data removes them too"
  fi
  # Nothing to empty where the cluster never came to be, or is gone since an earlier try.
  local there=$cluster
  [ $apply = 0 ] || there=$(aws eks list-clusters --query "clusters[?@=='$cluster']" --output text)
  if [ -n "$there" ]; then empty_cluster; else say "no cluster $cluster: only what is around it goes"; fi
  stack infra
  find_admin_cidr
  local vars=(-var-file="$var_file" -var "endpoint_public_access_cidrs=[\"$admin_cidr\"]")
  if [ $delete_data = 1 ]; then
    vars+=(-var force_destroy=true)
    run terraform -chdir=infra apply -input=false -auto-approve "${vars[@]}" -target=module.registry -target=module.workload
  fi
  run terraform -chdir=infra destroy -input=false -auto-approve "${vars[@]}"
  run rm -f infra/install/cluster.auto.tfvars.json "$done_file"
  run scripts/eks-cost-check.sh --cluster "$cluster" --region "$region"
}

[ $apply = 1 ] || echo "Nothing is changed: these are the commands for $cluster in $region (--apply runs them)."
[ $apply = 1 ] || echo "  export AWS_REGION=$region"
resume=0
if [ ${#phases[@]} = 0 ]; then
  phases=("${all_phases[@]}")
  resume=$apply
fi
for phase in "${phases[@]}"; do
  if [ $resume = 1 ] && grep -qsx "$phase" "$done_file"; then
    echo "== $phase: done before"
    continue
  fi
  echo "== $phase"
  "phase_$phase"
  if [ $apply = 1 ] && [ "$phase" != destroy ]; then
    mkdir -p "$(dirname "$done_file")"
    grep -qsx "$phase" "$done_file" || echo "$phase" >>"$done_file"
  fi
done
