#!/usr/bin/env bash
# Lists what of a PodSense cluster is there and costs money. Only reads. After `eks-deploy.sh destroy` the
# list should be empty.
#
#   scripts/eks-cost-check.sh [--cluster NAME] [--region REGION]
#
# Exit: 0 nothing is left, 1 something is, 2 AWS could not be asked.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

cluster=podsense-eks-cluster region=${AWS_REGION:-ap-southeast-2}
while [ $# -gt 0 ]; do
  case $1 in
    --cluster | --region)
      [ $# -ge 2 ] || die "$1 needs a value"
      if [ "$1" = --cluster ]; then cluster=$2; else region=$2; fi
      shift
      ;;
    *) die "unknown argument $1 (accepted: --cluster NAME, --region REGION)" ;;
  esac
  shift
done
command -v aws >/dev/null || { echo "$script_name: the AWS command line (aws) is not installed" >&2; exit 2; }
export AWS_REGION=$region AWS_DEFAULT_REGION=$region AWS_PAGER=''

left=0
error=$(mktemp)
trap 'rm -f "$error"' EXIT

# list WHAT PRICE COMMAND… : one line for each thing that the command names.
list() {
  local what=$1 price=$2 found name
  shift 2
  if ! found=$(aws "$@" --output text 2>"$error"); then
    echo "$script_name: cannot list $what: $(tail -n 1 "$error")" >&2
    exit 2
  fi
  for name in $found; do
    [ "$name" != None ] || continue
    left=$((left + 1))
    printf '%-26s %-44s %s\n' "$what" "$name" "$price"
  done
}

# What Terraform made carries Cluster=NAME, what Kubernetes made kubernetes.io/cluster/NAME.
with_tag=Name=tag-key,Values=Cluster,kubernetes.io/cluster/$cluster
ours="Tags[?(Key=='Cluster' && Value=='$cluster') || Key=='kubernetes.io/cluster/$cluster']"
list instance 'by the hour' ec2 describe-instances \
  --filters "$with_tag" Name=instance-state-name,Values=pending,running,stopping,stopped \
  --query "Reservations[].Instances[?$ours][].InstanceId"
list volume 'by GiB and month' ec2 describe-volumes --filters "$with_tag" --query "Volumes[?$ours].VolumeId"
list snapshot 'by GiB and month' ec2 describe-snapshots --owner-ids self --filters "$with_tag" \
  --query "Snapshots[?$ours].SnapshotId"
list cluster 'by the hour' eks list-clusters --query "clusters[?@=='$cluster']"
list nat-gateway 'by the hour and GB' ec2 describe-nat-gateways \
  --filter "Name=tag:Cluster,Values=$cluster" Name=state,Values=pending,available --query 'NatGateways[].NatGatewayId'
list public-address 'by the hour' ec2 describe-addresses --filters "Name=tag:Cluster,Values=$cluster" \
  --query 'Addresses[].AllocationId'
list private-link 'by the hour and zone' ec2 describe-vpc-endpoints --filters "Name=tag:Cluster,Values=$cluster" \
  --query "VpcEndpoints[?VpcEndpointType=='Interface'].VpcEndpointId"

# By tag, over other services. The index forgets what is gone only after a while.
list load-balancer 'by the hour' resourcegroupstaggingapi get-resources \
  --resource-type-filters elasticloadbalancing:loadbalancer \
  --tag-filters "Key=elbv2.k8s.aws/cluster,Values=$cluster" --query 'ResourceTagMappingList[].ResourceARN'
list 'bucket, secret, key, log' 'by the month' resourcegroupstaggingapi get-resources \
  --resource-type-filters s3 secretsmanager:secret kms:key logs:log-group \
  --tag-filters "Key=Cluster,Values=$cluster" --query 'ResourceTagMappingList[].ResourceARN'
list image-repository 'by GB and month' ecr describe-repositories \
  --query "repositories[?repositoryName=='podsense' || repositoryName=='ml-inference-service'].repositoryName"

if [ $left = 0 ]; then
  echo "Nothing of $cluster in $region costs money any more (as far as tags tell)."
else
  echo "$left things of $cluster in $region are there."
  exit 1
fi
