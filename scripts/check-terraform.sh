#!/usr/bin/env bash
# Holds infra/ against all that can be known without an AWS account: format, types and names (by the
# providers' schemas), plans of each tfvars file, tests with mocked providers, lint and policy.
# Nothing here talks to AWS.
#
#   scripts/check-terraform.sh            all
#   scripts/check-terraform.sh CHECK…     only these: fmt validate plan chart test tflint checkov
#                                         rendered
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

all_checks=(fmt validate plan chart test tflint checkov rendered)
checks=("$@")
[ $# -gt 0 ] || checks=("${all_checks[@]}")
for check in "${checks[@]}"; do
  [[ " ${all_checks[*]} " == *" $check "* ]] || die "no check $check; there are: ${all_checks[*]}"
done

terraform=$(scripts/terraform.sh)
plugins=$(scripts/terraform-schema/make.sh infra)
# Terraform writes beside its sources: it gets a copy.
scratch=$PWD/build/terraform
export CHECKPOINT_DISABLE=1 TF_IN_AUTOMATION=1 TF_CLI_CONFIG_FILE=$scratch/none.tfrc
export AWS_EC2_METADATA_DISABLED=true

roots() { find infra -name '*.tf' -not -path '*/.terraform/*' -printf '%h\n' | sort -u; }
has_tests() { compgen -G "$1/tests/*.tftest.hcl" >/dev/null; }

# in_copy FOLDER ARGUMENT… : terraform there, after init.
in_copy() {
  local folder=$1
  shift
  if [ ! -e "$scratch/$folder/.ready" ]; then
    "$terraform" -chdir="$scratch/$folder" init -no-color -backend=false -input=false \
      -plugin-dir="$plugins" >"$scratch/init.log" 2>&1 || { cat "$scratch/init.log"; return 1; }
    touch "$scratch/$folder/.ready"
  fi
  "$terraform" -chdir="$scratch/$folder" "$@"
}

check_fmt() { "$terraform" fmt -check -diff -recursive infra; }

check_validate() {
  local folder
  while read -r folder; do
    in_copy "$folder" validate -no-color >"$scratch/validate.log" || { echo "$folder:"; cat "$scratch/validate.log"; return 1; }
  done < <(roots)
}

check_plan() {
  local file name
  for file in infra/*.tfvars; do
    name=$(basename "$file" .tfvars)
    in_copy infra plan -no-color -input=false -lock=false -refresh=false -var-file="$name.tfvars" \
      -out="$scratch/$name.plan" >"$scratch/plan.log" 2>&1 || { echo "$file:"; cat "$scratch/plan.log"; return 1; }
    in_copy infra show -json "$scratch/$name.plan" >"$scratch/$name.json"
  done
}

# JUnit files go where the count of .ci/run finds them.
check_test() {
  local folder log=$scratch/test.log
  while read -r folder; do
    has_tests "$folder" || continue
    in_copy "$folder" test -no-color -junit-xml="$scratch/$(echo "$folder" | tr / -).junit.xml" >"$log" 2>&1 ||
      { echo "$folder:"; grep -vE '\.\.\. (pass|in progress|tearing down)$' "$log"; return 1; }
    grep -E '^Success' "$log" | sed "s,^,$folder: ,"
  done < <(roots)
}

check_tflint() { "$(scripts/go-tool.sh tflint)" --chdir=infra --recursive --config="$PWD/infra/.tflint.hcl" --no-color; }

check_checkov() {
  local venv
  venv=$(scripts/venv.sh terraform scripts/terraform-requirements.txt)
  LOG_LEVEL=ERROR "$venv/bin/checkov" --config-file infra/.checkov.yaml
}

# PodSense's chart with the values that infra/install gives it, once for each way to the world.
check_chart() {
  local helm exposure
  helm=$(scripts/go-tool.sh helm)
  for exposure in nlb alb none; do
    in_copy infra/install plan -no-color -input=false -lock=false -refresh=false -out="$scratch/install.plan" \
      -var-file="$PWD/tests/infra/install.tfvars" -var "exposure=$exposure" >"$scratch/plan.log" 2>&1 ||
      { cat "$scratch/plan.log"; return 1; }
    in_copy infra/install show -json "$scratch/install.plan" |
      "$python" -c 'import json, sys
for resource in json.load(sys.stdin)["planned_values"]["root_module"]["resources"]:
    if resource["name"] == "podsense":
        for number, text in enumerate(resource["values"]["values"]):
            open(f"{sys.argv[1]}/values-{number}.yaml", "w").write(text)' "$scratch"
    "$helm" template podsense helm/podsense -n ml-inference -f "$scratch/values-0.yaml" -f "$scratch/values-1.yaml" \
      --api-versions monitoring.coreos.com/v1 >"$scratch/chart-$exposure.yaml"
  done
  grep -q 'eks.amazonaws.com/role-arn: arn:aws:iam::111122223333:role/ml-inference-pod-role' "$scratch/chart-nlb.yaml"
  grep -q 'loadBalancerClass: service.k8s.aws/nlb' "$scratch/chart-nlb.yaml"
  grep -q 'ingressClassName: alb' "$scratch/chart-alb.yaml"
  grep -q 'kind: ExternalSecret' "$scratch/chart-nlb.yaml"
  if grep -q 'type: LoadBalancer' "$scratch/chart-none.yaml"; then return 1; fi

  # The commands of docs/how-to/gke.md and minikube.md.
  "$helm" template model-api helm/podsense -n ml-serving -f helm/podsense/values-model-api.yaml \
    --set image.registry=us-central1-docker.pkg.dev --set image.repository=PROJECT_ID/podsense/podsense \
    --set image.tag=1.0.0 >"$scratch/gke.yaml"
  grep -q 'image: "\?us-central1-docker.pkg.dev/PROJECT_ID/podsense/podsense:1.0.0' "$scratch/gke.yaml"
  grep -q 'name: model-api-lb' "$scratch/gke.yaml"
  "$helm" template model-api helm/podsense -n ml-serving -f helm/podsense/values-model-api.yaml \
    --set image.tag=local --set image.pullPolicy=Never >"$scratch/minikube.yaml"
  grep -q 'imagePullPolicy: Never' "$scratch/minikube.yaml"
}

check_rendered() { scripts/render-infra.py --check; }

rm -rf "$scratch"
mkdir -p "$scratch"
: >"$TF_CLI_CONFIG_FILE"
cp -r infra helm "$scratch/"
log=$scratch/check.log
failed=()
for check in "${checks[@]}"; do
  SECONDS=0
  if ("check_$check") >"$log" 2>&1; then
    say "$check: ok ($SECONDS s)"
    [ "$check" != test ] || [ -n "${PODSENSE_QUIET:-}" ] || sed 's/^/  /' "$log"
  else
    failed+=("$check")
    echo "$script_name: $check: FAILED ($SECONDS s)" >&2
    head -n 200 "$log" >&2
  fi
done
[ ${#failed[@]} = 0 ] || die "failed: ${failed[*]}"
