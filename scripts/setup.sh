#!/usr/bin/env bash
# Installs the Debian packages that PodSense is built with (12 "bookworm" and 13 "trixie").
#
#   scripts/setup.sh           what building needs
#   scripts/setup.sh --test    also what `make test` and `make lint` need
#   scripts/setup.sh --bench   also what bench/compare.py needs
#   scripts/setup.sh --image   also what building the container image without Docker needs
#   scripts/setup.sh --conformance also what clients of other languages need
#   scripts/setup.sh --proxies also the proxies of tests/endurance/proxies.py
#   scripts/setup.sh --dist    also what packing needs: scripts/make-dist.sh
#   scripts/setup.sh --recipes only what the models' recipes need
#   scripts/setup.sh --envoy   only what lays out Envoy's image: descriptors, SBOM
#   scripts/setup.sh --list    only print the names, one a line (with --test: all of them)
#
# Idempotent: where every package is there, nothing is run but one query of dpkg's database.
# Runs as root, or through sudo. On any other distribution it names what is needed and goes on if
# the tools are there.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

build_packages=(
  clang-19 lld-19 libclang-rt-19-dev llvm-19 ccache ninja-build cmake pkg-config
  libsimdjson-dev nlohmann-json3-dev libjpeg62-turbo-dev libspng-dev libwebp-dev
  libgif-dev libavif-dev libidn2-dev
  libcurl4-openssl-dev libssl-dev libnghttp2-dev zlib1g-dev prometheus-cpp-dev libfmt-dev
  libprotobuf-dev protobuf-compiler libcli11-dev libyaml-cpp-dev libexpected-dev
  libgtest-dev libgmock-dev libgrpc++-dev protobuf-compiler-grpc  # only tests and benchmarks use these
  python3 python3-venv python3-pip ca-certificates curl locales
)
test_packages=(
  clang-tidy-19 clang-format-19 libbenchmark-dev
  chromium chromium-driver fonts-dejavu-core file fish git iproute2 mandoc procps prometheus strace zsh
)

bench_packages=(libbenchmark-dev nginx-light wrk)
image_packages=(buildah podman runc mmdebstrap git)
conformance_packages=(maven)  # brings a Java along
proxy_packages=(nginx-light haproxy apache2-bin caddy)
dist_packages=(debhelper dpkg-dev lintian xz-utils git)
recipe_packages=(python3 python3-venv python3-pip ca-certificates)
envoy_packages=(protobuf-compiler libprotobuf-dev ca-certificates python3)

with_tests=0
with_bench=0
with_image=0
with_conformance=0
with_proxies=0
with_dist=0
only=()
list_only=0
for argument in "$@"; do
  case $argument in
    --test) with_tests=1 ;;
    --bench) with_bench=1 ;;
    --image) with_image=1 ;;
    --conformance) with_conformance=1 ;;
    --proxies) with_proxies=1 ;;
    --dist) with_dist=1 ;;
    --recipes) only+=("${recipe_packages[@]}") ;;
    --envoy) only+=("${envoy_packages[@]}") ;;
    --list) list_only=1 ;;
    *) echo "setup: unknown argument $argument (accepted: --test, --bench, --image, --conformance, --proxies, --dist, --recipes, --envoy, --list)" >&2; exit 2 ;;
  esac
done

os_field() { (. /etc/os-release 2>/dev/null; eval "printf %s \"\${$1:-}\""); }

distribution=$(os_field ID) release=$(os_field VERSION_ID)
case $distribution-$release in
  debian-12)
    build_packages+=(libboost1.81-dev)
    test_packages+=(libb64-0d)  # scripts/perf-analyzer.sh
    ;;
  *) build_packages+=(libboost1.83-dev) ;;
esac
packages=("${build_packages[@]}")
[ $with_tests = 0 ] || packages+=("${test_packages[@]}")
[ $with_bench = 0 ] || packages+=("${bench_packages[@]}")
[ $with_image = 0 ] || packages+=("${image_packages[@]}")
[ $with_conformance = 0 ] || packages+=("${conformance_packages[@]}")
[ $with_proxies = 0 ] || packages+=("${proxy_packages[@]}")
[ $with_dist = 0 ] || packages+=("${dist_packages[@]}")
[ ${#only[@]} = 0 ] || packages=("${only[@]}")

if [ $list_only = 1 ]; then
  printf '%s\n' "${packages[@]}"
  exit 0
fi

case $distribution-$release in
  debian-12 | debian-13) ;;
  *)
    missing=()
    for tool in clang++-19 ld.lld-19 ninja cmake pkg-config python3; do
      command -v "$tool" >/dev/null || missing+=("$tool")
    done
    echo "setup: this is ${distribution:-an unknown system} ${release}; packages are installed only" \
      "on Debian 12 and 13. Under Debian's names, the build needs: ${packages[*]}" >&2
    [ ${#missing[@]} = 0 ] || die "not found here: ${missing[*]}. Install them, then try again"
    echo "setup: the tools are there, going on" >&2
    exit 0
    ;;
esac

# One line for each package that is not fully installed.
not_installed() {
  local wanted installed
  wanted=$(printf '%s\n' "${packages[@]}" | sort)
  installed=$(dpkg-query -W -f '${db:Status-Status} ${binary:Package}\n' "${packages[@]}" \
    2>/dev/null | sed -nE 's/^installed ([^:]+)(:.*)?$/\1/p' | sort || true)
  comm -23 <(echo "$wanted") <(echo "$installed")
}

mapfile -t missing < <(not_installed)
if [ ${#missing[@]} = 0 ]; then
  say "all ${#packages[@]} packages are installed"
  exit 0
fi

as_root=()
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null ||
    die "not root, and there is no sudo. As root: apt-get install ${missing[*]}"
  as_root=(sudo)
fi
apt_get() {
  ${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive \
    apt-get -q -y -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 "$@"
}

install_missing() {
  mapfile -t missing < <(not_installed)
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing ${#missing[@]} packages: ${missing[*]}"
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  run_logged apt_get update
  run_logged apt_get install --no-install-recommends "${missing[@]}"
  mapfile -t missing < <(not_installed)
  [ ${#missing[@]} = 0 ] || die "apt-get succeeded, yet these are missing: ${missing[*]}"
}
run_logged() {
  "$@" >"$log" 2>&1 </dev/null || { tail -n 30 "$log" >&2; die "failed: $*"; }
}

# Some container images delete downloaded archives on every `apt-get update`, so update and install
# strictly follow each other, and the lock keeps a second run of this script out meanwhile.
with_lock setup install_missing
say "done"
