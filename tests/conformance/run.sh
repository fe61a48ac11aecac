#!/usr/bin/env bash
# Runs one test file with the pinned clients.
#
#   tests/conformance/run.sh test_tritonclient_http.py
set -eu -o pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ $# -ge 1 ] || { echo "usage: run.sh TEST.py [ARGUMENT…]" >&2; exit 2; }
venv=$("$here/../../scripts/venv.sh" conformance "$here/requirements.txt")
test=$1
shift
cd "$here"
PYTHONPATH="$here/../integration" exec "$venv/bin/python" -B "$here/$test" "$@"
