#!/usr/bin/env bash
# Runs test_envoy.py in a virtual environment with Envoy and gRPC's Python client.
# Environment: as tests/integration/harness.py
set -eu -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
venv=$(../../scripts/venv.sh envoy "$PWD/requirements.txt")
exec "$venv/bin/python" -B test_envoy.py "$@"
