#!/usr/bin/env bash
# Runs one test file with gRPC's Python client.
#
#   tests/grpc/run.sh test_tls.py
# Environment: as tests/integration/harness.py
set -eu -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
[ $# -ge 1 ] || { echo "usage: run.sh TEST.py [ARGUMENT…]" >&2; exit 2; }
venv=$(../../scripts/venv.sh grpc "$PWD/requirements.txt")
test=$1
shift
exec "$venv/bin/python" -B "$test" "$@"
