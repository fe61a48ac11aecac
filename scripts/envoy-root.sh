#!/usr/bin/env bash
# Lays out the rest of Envoy's image around OUT/usr/local/bin/envoy: the libraries that the loader finds
# for it, certificates, user, licences, configuration, descriptor set and SBOM. Runs in envoy/Dockerfile, in
# the folder with `proto` and `envoy.yaml`.
#
#   scripts/envoy-root.sh OUT
#
# Every file gets one time stamp, so that equal contents are equal layers.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

[ $# = 1 ] || die "usage: envoy-root.sh OUT"
out=$1
envoy=$out/usr/local/bin/envoy
packages=(ca-certificates)

loaded=$(ldd "$envoy")
if grep -F 'not found' <<<"$loaded"; then die "the loader does not find these"; fi
while read -r library; do
  install -D "$(readlink -f "$library")" "$out$library"
  packages+=("$(package_of "$(readlink -f "$library")")")
done < <(sed -nE 's,^(.* => |\s+)(/[^ ]+) \(0x.*,\2,p' <<<"$loaded")
for package in $(printf '%s\n' "${packages[@]}" | sort -u); do
  install -D -m 644 -t "$out/usr/share/doc/$package" "/usr/share/doc/$package/copyright"
done

install -D -m 644 -t "$out/etc/ssl/certs" /etc/ssl/certs/ca-certificates.crt
echo 'podsense:x:1000:1000::/:/nonexistent' >"$out/etc/passwd"
echo 'podsense:x:1000:' >"$out/etc/group"
echo 'hosts: files dns' >"$out/etc/nsswitch.conf"
# Envoy's own licence is the same Apache-2.0.
install -D -m 644 -t "$out/usr/share/doc/envoy" LICENSE

install -D -m 644 -t "$out/etc/envoy" envoy.yaml
# All of them: errors as JSON need the types of their details, which no service names.
mapfile -t protos < <(find proto -name '*.proto' | sort)
protoc -I proto/third_party -I proto --include_imports --descriptor_set_out="$out/etc/envoy/podsense.pb" "${protos[@]}"
chmod 644 "$out/etc/envoy/podsense.pb"

(cd "$out/etc/envoy" && "$envoy" --mode validate -c envoy.yaml --disable-hot-restart --log-level error)
scripts/make-sbom.py envoy --root "$out" --output "$out/usr/share/podsense/sbom.spdx.json" "${packages[@]}"
find "$out" -exec touch --no-dereference --date=@0 {} +
say "$("$envoy" --version | grep -oE '[0-9]+\.[0-9]+\.[0-9]+' | head -n 1), $(du -sm "$out" | cut -f1) MB"
