#!/usr/bin/env bash
# An hour of mixed good and bad requests with a hot reload each minute; tests/endurance/long_run.py
# says what has to hold.
#
#   scripts/long-run.sh [--seconds 3600] [--reload-every 60] [--rate 40] [--json FILE]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

[ -x build/release/podsense ] || die "no build/release/podsense: run \`make build golden\`"
exec tests/endurance/run.sh long_run.py "$@"
