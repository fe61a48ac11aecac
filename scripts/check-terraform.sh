#!/usr/bin/env bash
# Holds infra/ against all that can be known without an AWS account: format, types and names (by the
# providers' schemas), plans of each tfvars file, tests with mocked providers, lint and policy.
# Nothing here talks to AWS.
#
#   scripts/check-terraform.sh            all
#   scripts/check-terraform.sh CHECK…     only these: fmt validate plan test
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

all_checks=(fmt validate plan test)
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
