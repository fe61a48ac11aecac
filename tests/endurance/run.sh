#!/usr/bin/env bash
# Runs one file of this folder with gRPC's Python client.
#
#   tests/endurance/run.sh long_run.py --seconds 120 --reload-every 5
#   tests/endurance/run.sh drain.py --times 200
# Environment: as tests/integration/harness.py; PODSENSE_DESCRIPTORS: the services' descriptor set
# (build/release/podsense.pb).
set -eu -o pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ $# -ge 1 ] || { echo "usage: run.sh FILE.py [ARGUMENT…]" >&2; exit 2; }
venv=$("$here/../../scripts/venv.sh" endurance "$here/requirements.txt")
file=$1
shift
export PYTHONPATH=$here/../integration:$here/../envoy
exec "$venv/bin/python" -B "$here/$file" "$@"
