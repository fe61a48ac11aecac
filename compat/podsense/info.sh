#!/bin/sh
exec "$(dirname "$0")/../../info.sh" "$@"
