#!/usr/bin/env bash
# Holds infra/ against all that can be known without an AWS account: format, types and names (by the
# providers' schemas), plans of each tfvars file, tests with mocked providers, lint and policy.
# Nothing here talks to AWS.
#
#   scripts/check-terraform.sh            all
#   scripts/check-terraform.sh CHECK…     only these: fmt validate plan names chart test tflint checkov
#                                         rendered
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

all_checks=(fmt validate plan names chart test tflint checkov rendered)
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

# plan_of NAME FOLDER FILE : leaves $scratch/NAME.json
plan_of() {
  in_copy "$2" plan -no-color -input=false -lock=false -refresh=false -var-file="$3" \
    -out="$scratch/$1.plan" >"$scratch/plan.log" 2>&1 || { echo "$3:"; cat "$scratch/plan.log"; return 1; }
  in_copy "$2" show -json "$scratch/$1.plan" >"$scratch/$1.json"
}

# The folder of links in compat/ plans the very same.
check_plan() {
  local file
  for file in infra/*.tfvars; do plan_of "$(basename "$file" .tfvars)" infra "$(basename "$file")"; done
  plan_of compat-eks compat/eks/infrastructure prod.tfvars
  "$python" -c 'import json, sys
one, other = (json.load(open(path))["planned_values"] for path in sys.argv[1:])
sys.exit(one != other)' "$scratch/ml-inference.json" "$scratch/compat-eks.json" ||
    { echo "compat/eks/infrastructure plans something else than infra with ml-inference.tfvars"; return 1; }
}

# A second cluster in one account: what bears a name there must not bear that of the first.
check_names() {
  plan_of first infra prod.tfvars
  plan_of second infra "$PWD/tests/infra/second.tfvars"
  scripts/plan-names.py "$scratch/first.json" "$scratch/second.json"
  if scripts/plan-names.py "$scratch/first.json" "$scratch/first.json" 2>/dev/null; then
    echo "scripts/plan-names.py found no common name in one and the same plan"
    return 1
  fi
}

# JUnit files go where the count of .ci/run finds them.
check_test() {
  local folder junit log=$scratch/test.log
  while read -r folder; do
    has_tests "$folder" || continue
    # OpenTofu writes none.
    junit=(-junit-xml="$scratch/$(echo "$folder" | tr / -).junit.xml")
    [ "$(basename "$terraform")" = terraform ] || junit=()
    in_copy "$folder" test -no-color ${junit[@]+"${junit[@]}"} >"$log" 2>&1 ||
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

# install_case NAME ARGUMENT… : a plan of infra/install, and PodSense's chart with the values that it gives.
install_case() {
  local name=$1 file values=()
  shift
  in_copy infra/install plan -no-color -input=false -lock=false -refresh=false -out="$scratch/install.plan" "$@" \
    >"$scratch/plan.log" 2>&1 || { cat "$scratch/plan.log"; return 1; }
  in_copy infra/install show -json "$scratch/install.plan" >"$scratch/install-$name.json"
  "$python" -c 'import json, sys
for resource in json.load(sys.stdin)["planned_values"]["root_module"]["resources"]:
    if resource["name"] == "podsense":
        for number, text in enumerate(resource["values"]["values"]):
            open(f"{sys.argv[1]}-{number}.yaml", "w").write(text)' "$scratch/values-$name" <"$scratch/install-$name.json"
  for file in "$scratch/values-$name"-*.yaml; do values+=(-f "$file"); done
  "$helm" template podsense helm/podsense -n podsense "${values[@]}" --api-versions monitoring.coreos.com/v1 \
    >"$scratch/chart/$name.yaml"
}

# expect FILE TEXT… : what the rendered file must hold.
expect() {
  local file=$scratch/chart/$1.yaml text
  shift
  for text in "$@"; do
    # Quotes are YAML's own matter: a rendering may have them or not.
    tr -d '"' <"$file" | grep -F -e "${text//\"/}" >/dev/null || { echo "$file lacks: $text"; return 1; }
  done
}

# The chart as infra/install, docs/how-to/gke.md and docs/how-to/minikube.md install it, and the objects in
# docs/how-to/eks.md; every object by the schema of its kind.
check_chart() {
  local helm exposure schemas
  helm=$(scripts/go-tool.sh helm)
  schemas=$(scripts/kube-schemas.sh)
  mkdir -p "$scratch/chart"
  for exposure in nlb alb none; do
    install_case "$exposure" -var-file="$PWD/tests/infra/install.tfvars" -var "exposure=$exposure"
  done
  install_case gateway -var-file="$PWD/tests/infra/install-other.tfvars" -var exposure=gateway
  expect nlb 'eks.amazonaws.com/role-arn: arn:aws:iam::111122223333:role/ml-inference-pod-role' \
    'loadBalancerClass: service.k8s.aws/nlb' '"kind": "ExternalSecret"'
  expect alb 'ingressClassName: alb'
  expect gateway '"kind": "Gateway"' 'kind: HTTPRoute' 'sectionName: websecure' '"kind": "ClusterIssuer"' \
    '"kind": "Certificate"' '"kind": "SecretProviderClass"' 'driver: secrets-store.csi.k8s.io'
  if grep -q 'type: LoadBalancer' "$scratch"/chart/{none,gateway}.yaml; then return 1; fi
  if grep -q 'kind: HTTPRoute' "$scratch/chart/nlb.yaml"; then return 1; fi

  "$helm" template model-api helm/podsense -n ml-serving -f helm/podsense/values-model-api.yaml \
    --set image.registry=us-central1-docker.pkg.dev --set image.repository=PROJECT_ID/podsense/podsense \
    --set image.tag=1.0.0 >"$scratch/chart/gke.yaml"
  expect gke us-central1-docker.pkg.dev/PROJECT_ID/podsense/podsense:1.0.0 'name: model-api-lb'
  "$helm" template model-api helm/podsense -n ml-serving -f helm/podsense/values-model-api.yaml \
    --set image.tag=local --set image.pullPolicy=Never >"$scratch/chart/minikube.yaml"
  expect minikube 'imagePullPolicy: Never'

  # shellcheck disable=SC2016  # the fence of a Markdown block
  sed -n '/^```yaml$/,/^```$/{/^```/!p}' docs/how-to/eks.md >"$scratch/chart/eks-guide.yaml"
  expect eks-guide 'kind: EC2NodeClass' 'kind: NodePool'
  "$(scripts/go-tool.sh kubeconform)" -strict -summary -kubernetes-version 1.35.0 \
    -schema-location "$schemas/{{ .NormalizedKubernetesVersion }}-standalone{{ .StrictSuffix }}/{{ .ResourceKind }}{{ .KindSuffix }}.json" \
    -schema-location "$schemas/custom/{{ .ResourceKind }}_{{ .ResourceAPIVersion }}.json" \
    -schema-location "tests/chart/schemas/{{ .ResourceKind }}_{{ .ResourceAPIVersion }}.json" "$scratch"/chart/*.yaml
  scripts/chart-values.py "$scratch"/install-*.json
}

check_rendered() { scripts/render-infra.py --check; }

rm -rf "$scratch"
mkdir -p "$scratch"
: >"$TF_CLI_CONFIG_FILE"
cp -r infra helm compat "$scratch/"
log=$scratch/check.log
failed=()
for check in "${checks[@]}"; do
  SECONDS=0
  # Not in the condition of an `if`: there `set -e` would be off, and a check would end as its last command does.
  set +e
  (set -e; "check_$check") >"$log" 2>&1
  status=$?
  set -e
  if [ $status = 0 ]; then
    say "$check: ok ($SECONDS s)"
    [ "$check" != test ] || [ -n "${BUILD_QUIET:-}" ] || sed 's/^/  /' "$log"
  else
    failed+=("$check")
    echo "$script_name: $check: FAILED ($SECONDS s)" >&2
    head -n 200 "$log" >&2
  fi
done
[ ${#failed[@]} = 0 ] || die "failed: ${failed[*]}"
