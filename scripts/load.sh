#!/usr/bin/env bash
# Sends requests with hey, or with `podsense load` where there is no hey: both take the same flags.
#
#   scripts/load.sh                          50 requests for one row, 10 at a time
#   scripts/load.sh url URL                  the same to /predict/url, for a picture on the web
#   scripts/load.sh image FILE               the same to /predict, with a picture from here
#
# Environment: BASE_URL (http://localhost:8080), REQUESTS (50), CONCURRENCY (10),
#   LOAD_TOOL: path of hey or of podsense; empty: hey, else build/release/podsense, else podsense
set -eu -o pipefail

base=${BASE_URL:-http://localhost:8080}
base=${base%/}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
die() {
  echo "load.sh: $*" >&2
  exit 2
}

find_tool() {
  local candidate
  for candidate in "${LOAD_TOOL:-}" hey "$here/build/release/podsense" podsense; do
    if [ -n "$candidate" ] && command -v "$candidate"; then return; fi
    [ -z "${LOAD_TOOL:-}" ] || die "LOAD_TOOL=$LOAD_TOOL: there is no such program"
  done
  die "neither hey nor podsense is here: run 'make build', or 'go install github.com/rakyll/hey'"
}

common=(-disable-keepalive -n "${REQUESTS:-50}" -c "${CONCURRENCY:-10}" -m POST)
case ${1:-row} in
  row)
    set -- -H 'Content-Type: application/json' \
      -d '{"features": [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20]}' "$base/predict-single"
    ;;
  url)
    [ $# = 2 ] || die "usage: load.sh url URL"
    # JSON forbids quotes and backslashes in a string, and a URL has none.
    case $2 in *[\"\\]*) die "'$2' is no URL" ;; esac
    set -- -H 'Content-Type: application/json' -d "{\"url\": \"$2\"}" "$base/predict/url"
    ;;
  image)
    [ $# = 2 ] || die "usage: load.sh image FILE"
    [ -f "$2" ] || die "there is no file $2"
    set -- -T application/octet-stream -D "$2" "$base/predict"
    ;;
  *) die "unknown argument $1 (accepted: row, url URL, image FILE)" ;;
esac
tool=$(find_tool)
command=("$tool")
[ "$(basename "$tool")" = hey ] || command+=(load)
echo "${command[*]} ${common[*]} … ${*: -1}" >&2
exec "${command[@]}" "${common[@]}" "$@"
