#!/usr/bin/env bash
# Helm's own checks of the chart, with Helm 4 and 3 and every values file, and the chart's tests.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

helm=$(scripts/go-tool.sh helm)
helm3=$(scripts/go-tool.sh helm3)
yaml_python=$(scripts/venv.sh lint scripts/lint-requirements.txt)/bin/python
values=(helm/podsense/values.yaml helm/podsense/values-*.yaml helm/podsense/ci/*.yaml)

failed=0
for program in "$helm" "$helm3"; do
  for file in "${values[@]}"; do
    output=$("$program" lint --strict --quiet --kube-version 1.34.0 helm/podsense -f "$file" 2>&1) ||
      { echo "$(basename "$program") lint -f $file:" "$output" >&2; failed=1; }
  done
  output=$("$program" lint --strict --quiet --kube-version 1.34.0 compat/model-api/helm/model-api 2>&1) ||
    { echo "$(basename "$program") lint compat/model-api/helm/model-api:" "$output" >&2; failed=1; }
done
HELM=$helm HELM3=$helm3 "$yaml_python" scripts/python-tests.py build/junit/chart.xml discover -q -s tests/chart -p '*_test.py' || failed=1
[ $failed = 0 ] || die "the chart has faults"
say "${#values[@]} values files with Helm 4 and Helm 3"
