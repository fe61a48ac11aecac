#!/usr/bin/env bash
# Runs the commands of README, CONTRIBUTING.md and docs/ as a newcomer types them, page after page, in a bare Debian that
# has nothing but make and git. docs/commands.toml says which cannot be run there, and why.
#
#   scripts/try-docs.sh [--share-cache] [--suite bookworm|trixie] [PAGE…]
#   scripts/try-docs.sh --share-cache docs/tutorials docs/how-to/load-test.md
#
# PAGE            a page or a folder of pages; without one, all
# --share-cache   as for scripts/try-bare.sh, which see for what this needs: root, mmdebstrap
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

suite=bookworm options=()
while [[ ${1:-} == --* ]]; do
  case $1 in
    --share-cache) options+=("$1") ;;
    --suite)
      suite=${2:?--suite bookworm or trixie}
      shift
      ;;
    *) die "unknown argument $1 (accepted: --share-cache, --suite)" ;;
  esac
  shift
done
pages=("$@")
if [ ${#pages[@]} -gt 0 ]; then
  for page in "${pages[@]}"; do [ -e "$page" ] || die "there is no page $page"; done
fi
commands=$("$python" scripts/doc-commands.py script ${pages[@]+"${pages[@]}"})
exec scripts/try-bare.sh ${options[@]+"${options[@]}"} "$suite" bash -c "$commands"
