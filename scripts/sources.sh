#!/usr/bin/env bash
# Prints the project's own files of one kind, NUL-separated: what git tracks or would track, or,
# outside a git checkout, everything but build output.
#
#   scripts/sources.sh all|cc|shell|python|yaml
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

every_file() {
  if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
    git ls-files -z --cached --others --exclude-standard
  else
    find . \( -path ./build -o -path ./.git -o -name __pycache__ -o -name node_modules \) -prune \
      -o -type f -printf '%P\0'
  fi | LC_ALL=C sort -z -u | while IFS= read -r -d '' file; do
    if [ -f "$file" ]; then printf '%s\0' "$file"; fi
  done
}

of_kind() { grep -zE "$1" || true; }

# Scripts without a suffix are recognised by their first line.
shell_by_first_line() {
  while IFS= read -r -d '' file; do
    case $(head -c 64 "$file" | tr '\0\n' '  ') in
      '#!'*/sh\ * | '#!'*/bash\ * | '#!'*env\ bash\ *) printf '%s\0' "$file" ;;
    esac
  done
}

case ${1:-} in
  all) every_file ;;
  cc) every_file | of_kind '\.(cc|h)$' ;;
  shell)
    every_file | of_kind '\.sh$'
    every_file | of_kind '(^|/)[^./]+$' | shell_by_first_line
    ;;
  python) every_file | of_kind '\.py$' ;;
  yaml) every_file | of_kind '\.ya?ml$' ;;
  *)
    echo "usage: sources.sh all|cc|shell|python|yaml" >&2
    exit 2
    ;;
esac
