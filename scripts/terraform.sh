#!/usr/bin/env bash
# Prints the path of a Terraform from 1.11 on: the machine's own, or its OpenTofu, or an OpenTofu that
# is built once from its Go module into the cache that clean clones share.
#
#   terraform=$(scripts/terraform.sh)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=scripts/lib.sh
. ./lib.sh

version=v1.12.6
folder=$podsense_cache/go-tools/tofu-$version

# What 1.10 and older cannot do: variables that validate against each other, S3 lock files.
new_enough() {
  local found
  found=$("$1" version -json 2>/dev/null | sed -nE 's/.*"terraform_version": "([0-9]+)\.([0-9]+)\..*/\1 \2/p') || return 1
  read -r major minor <<<"$found"
  [ "${major:-0}" -gt 1 ] || { [ "${major:-0}" = 1 ] && [ "${minor:-0}" -ge 11 ]; }
}

for name in terraform tofu; do
  if command -v "$name" >/dev/null && new_enough "$name"; then
    command -v "$name"
    exit 0
  fi
done

# Its module replaces a dependency, which `go install` refuses: built from a copy of the module.
# make_tofu TO
make_tofu() {
  local go module work=$1/work
  go=$(go_program) && module=$("$go" mod download -json "github.com/opentofu/opentofu@$version" |
    sed -nE 's/^\t"Dir": "(.*)",$/\1/p') && cp -r "$module" "$work" && chmod -R u+w "$work" && cd "$work" &&
    GOFLAGS=-trimpath CGO_ENABLED=0 "$go" build -ldflags=-s -o "$1/tofu" ./cmd/tofu && rm -rf "$work"
}
build_once "$folder" "OpenTofu $version (or install Terraform 1.11 or newer)" make_tofu
echo "$folder/tofu"
