#!/usr/bin/env bash
# Makes (once, in the cache that clean clones share) a folder of stand-ins for the Terraform providers of
# providers.txt, as `terraform init -plugin-dir` takes it, and prints the folder. They know the types
# that the given folder's *.tf files use.
#
#   plugins=$(scripts/terraform-schema/make.sh infra)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib.sh
. "$here/../lib.sh"
script_name=terraform-schema

[ $# = 1 ] || die "usage: make.sh FOLDER"
sources=$1
case $(uname -m) in
  x86_64) platform=linux_amd64 ;;
  aarch64) platform=linux_arm64 ;;
  *) die "no stand-in for $(uname -m)" ;;
esac

# resource.aws_vpc and the like.
types_of() {
  grep -rhoE "^(resource|data) \"$1_[a-z0-9_]+\"" "$sources" --include='*.tf' | tr -d '"' | tr ' ' . | sort -u || true
}

binary=$podsense_cache/terraform-schema/stand-in-$(hash_of "$here"/main.go "$here"/go.* </dev/null)
make_binary() {
  if [ -e "$binary" ]; then return; fi
  local go
  go=$("$here/../go-tool.sh" --go)
  say "building the stand-in provider" >&2
  mkdir -p "$(dirname "$binary")"
  (cd "$here" && CGO_ENABLED=0 GOFLAGS=-trimpath "$go" build -ldflags=-s -o "$binary.new" .) >&2
  mv "$binary.new" "$binary"
}

key=$({ types_of aws; types_of helm; basename "$binary"; } | hash_of "$here"/{schema.py,providers.txt} -)
plugins=$podsense_cache/terraform-schema/plugins-$key

make_plugins() {
  if [ -e "$plugins" ]; then return; fi
  local scratch name version package host folder types
  scratch=$(mktemp -d "$podsense_cache/terraform-schema/new.XXXXXX")
  while read -r name version package; do
    mapfile -t types < <(types_of "$name")
    bindings=$podsense_cache/terraform-schema/${package/==/-}
    if [ ! -e "$bindings" ]; then
      say "getting $package" >&2
      rm -rf "$bindings.new"
      "$python" -m pip download -q --disable-pip-version-check --no-deps -d "$bindings.new" "$package" >&2
      mv "$bindings.new" "$bindings"
    fi
    say "reading the schema of hashicorp/$name $version" >&2
    "$python" "$here/schema.py" "$bindings"/*.whl ${types[@]+"${types[@]}"} >"$scratch/$name.json"
    for host in registry.terraform.io registry.opentofu.org; do
      folder=$scratch/plugins/$host/hashicorp/$name/$version/$platform
      mkdir -p "$folder"
      cp "$binary" "$folder/terraform-provider-${name}_v$version"
      cp "$scratch/$name.json" "$folder/schema.json"
    done
  done < <(grep -v '^#' "$here/providers.txt")
  mv "$scratch/plugins" "$plugins"
  rm -rf "$scratch"
}
[ -e "$binary" ] || with_lock terraform-schema make_binary
[ -e "$plugins" ] || with_lock terraform-schema make_plugins
echo "$plugins"
