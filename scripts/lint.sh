#!/usr/bin/env bash
# Everything that can be held against the sources without running them. All checks run; the script
# fails if one failed.
#
#   scripts/lint.sh                    all
#   scripts/lint.sh --changed [REF]    clang-tidy only for what differs from REF (HEAD)
#   scripts/lint.sh CHECK…             only these: format modules tidy shell yaml docker workflows
#                                      python spelling text docs scripts helm manifests
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

all_checks=(text docs format modules scripts python shell yaml docker workflows spelling helm manifests tidy)
tidy_arguments=()
checks=()
while [ $# -gt 0 ]; do
  case $1 in
    --changed)
      tidy_arguments=(--changed "${2:-HEAD}")
      [ $# -lt 2 ] || shift
      ;;
    -*) die "unknown argument $1" ;;
    *)
      declare -F "check_$1" >/dev/null 2>&1 || [[ " ${all_checks[*]} " == *" $1 "* ]] ||
        die "no check $1; there are: ${all_checks[*]}"
      checks+=("$1")
      ;;
  esac
  shift
done
[ ${#checks[@]} -gt 0 ] || checks=("${all_checks[@]}")

tools=$(scripts/venv.sh lint scripts/lint-requirements.txt)/bin
PATH=$tools:$PATH

sources() { scripts/sources.sh "$1"; }

# The second: wording that readers stumbled over.
check_text() { sources all | scripts/check-text.py && sources all | scripts/check-words.py; }

# Every command of the documentation is run by scripts/try-docs.sh, or listed with a reason. Decisions have their form.
check_docs() { "$python" scripts/doc-commands.py check && "$python" scripts/adr.py check; }

check_format() { sources cc | xargs -0 -r clang-format-19 --dry-run -Werror; }

check_modules() { scripts/check-modules.py; }

# The checkers have tests of their own.
check_scripts() {
  "$python" scripts/python-tests.py build/junit/scripts.xml discover -q -s tests/scripts -p '*_test.py' 2>&1
}

check_python() { sources python | xargs -0 -r ruff check --quiet --no-cache; }

check_shell() { sources shell | xargs -0 -r shellcheck --external-sources --source-path=.; }

# Helm's templates are no YAML before they are rendered.
check_yaml() {
  sources yaml | grep -zvE '^(helm/.*/(templates|files)|fuzz/seeds)/' | xargs -0 -r yamllint --strict -c .yamllint.yaml
}

check_docker() {
  local files=()
  mapfile -d '' -t files < <(sources all | grep -zE '(^|/)Dockerfile(\.[a-z]+)?$')
  [ ${#files[@]} = 0 ] || hadolint "${files[@]}"
}

# Also the shell commands in them.
check_workflows() {
  local actionlint
  actionlint=$(scripts/go-tool.sh actionlint)
  "$actionlint" -color=false -shellcheck "$tools/shellcheck"
}

check_spelling() {
  sources all | grep -zvE '^fuzz/seeds/|/testdata/|/go\.sum$' | xargs -0 -r codespell --config .codespellrc
}

check_helm() { scripts/check-chart.sh; }

check_manifests() { scripts/check-manifests.sh; }

check_tidy() { scripts/tidy.py ${tidy_arguments[@]+"${tidy_arguments[@]}"}; }

log=$(mktemp)
trap 'rm -f "$log"' EXIT
failed=()
for check in "${checks[@]}"; do
  SECONDS=0
  if ("check_$check") >"$log" 2>&1; then
    say "$check: ok ($SECONDS s)$([ "$check" != tidy ] || echo ", $(tail -n 1 "$log")")"
  else
    failed+=("$check")
    echo "lint: $check: FAILED ($SECONDS s)" >&2
    # Helm tells of each link of the chart, each time.
    { grep -v 'found symbolic link in path' "$log" || true; } | head -n 200 >&2
  fi
done
[ ${#failed[@]} = 0 ] || die "failed: ${failed[*]}"
