#!/usr/bin/env bash
# Compiles the locale en_US.UTF-8, by whose name ONNX Runtime's StringNormalizer asks, into DIR/en_US.utf8 (2.9 MB).
#
#   scripts/make-locale.sh [DIR]          default: build/deps/locale, where a binary built in place looks
#
# Where there is no localedef or no source (Debian's package locales), it says so and goes on: only models
# that ask for a locale need it.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=${1:-$root/build/deps/locale}
[ ! -e "$target/en_US.utf8/LC_CTYPE" ] || exit 0
if ! command -v localedef >/dev/null || [ ! -e /usr/share/i18n/locales/en_US ]; then
  say "no localedef, or no source of en_US: text models that ask for a locale will not load"
  exit 0
fi
mkdir -p "$target"
scratch=$(mktemp -d "$target/.new-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
# It warns of what other locales define differently.
localedef --no-archive --quiet -i en_US -f UTF-8 "$scratch/en_US.utf8" || [ -e "$scratch/en_US.utf8/LC_CTYPE" ]
mv "$scratch/en_US.utf8" "$target/"
say "en_US.UTF-8 is in $target"
