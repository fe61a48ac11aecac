#!/usr/bin/env bash
# Runs one test file with the pinned clients.
#
#   tests/conformance/run.sh test_tritonclient_http.py
set -eu -o pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ $# -ge 1 ] || { echo "usage: run.sh TEST.py [ARGUMENT…]" >&2; exit 2; }
test=$1
shift
case $test in # frameworks want other versions of packages than the clients do
  test_framework_pages.py) packages=frameworks ;;
  test_heavy_framework_pages.py) packages=heavy-frameworks ;;
  *) packages=conformance ;;
esac
requirements=$here/$packages-requirements.txt
[ -e "$requirements" ] || requirements=$here/requirements.txt
venv=$("$here/../../scripts/venv.sh" "$packages" "$requirements")
cd "$here"
PYTHONPATH="$here/../integration" exec "$venv/bin/python" -B "$here/$test" "$@"
