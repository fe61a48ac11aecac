#!/bin/sh
exec "$(dirname "$0")/../../../scripts/restart.sh" "$@"
