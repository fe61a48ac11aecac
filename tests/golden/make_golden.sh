#!/bin/sh
# Makes the golden set: real photographs, what the reference pipeline (Pillow, ONNX Runtime in Python)
# makes of them, and their labels. Quick when nothing changed.
#
#   tests/golden/make_golden.sh OUT [MODELS]      defaults: build/golden build/models
#
# MODELS holds efficientnet-lite0/1/model.onnx (fp32) and efficientnet-lite0/2/model.onnx (int8).
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=${1:-$root/build/golden}
models=${2:-$root/build/models}
python=${PYTHON:-python3}

fp32=$models/efficientnet-lite0/1/model.onnx
int8=$models/efficientnet-lite0/2/model.onnx
for model in "$fp32" "$int8"; do
  if [ ! -f "$model" ]; then
    echo "make_golden: no model at $model: run 'make models'" >&2
    exit 1
  fi
done

mkdir -p "$out"
out=$(cd "$out" && pwd)
stamp=$(cat "$here/make_golden.sh" "$here/make_golden.py" "$here/orientation.py" "$here/formats.py" "$fp32" "$int8" | sha256sum | cut -d' ' -f1)
if [ -f "$out/golden.json" ] && [ "$(cat "$out/.stamp" 2>/dev/null)" = "$stamp" ]; then
  echo "golden set is up to date: $out"
  exit 0
fi
rm -f "$out/.stamp"

venv=$out/.venv
packages="numpy==2.4.6 pillow==13.0.0 onnxruntime==1.31.1"
if [ ! -f "$venv/.done" ] || [ "$(cat "$venv/.done")" != "$packages" ]; then
  rm -rf "$venv"
  "$python" -m venv "$venv"
  # shellcheck disable=SC2086  # a list
  "$venv/bin/pip" --disable-pip-version-check -q install $packages
  echo "$packages" > "$venv/.done"
fi

# These carry the photographs. They are data: unpacked, never installed or imported.
data=$out/.data
if [ ! -f "$data/.done" ]; then
  rm -rf "$data"
  mkdir -p "$data"
  "$venv/bin/pip" --disable-pip-version-check -q download --no-deps --only-binary=:all: \
    -d "$data" foolbox==3.3.4 scikit-image==0.26.0 scikit-learn==1.9.1
  touch "$data/.done"
fi

ORT_DISABLE_TELEMETRY=1 "$venv/bin/python" "$here/make_golden.py" \
  --wheels "$data" --fp32 "$fp32" --int8 "$int8" --out "$out"
echo "$stamp" > "$out/.stamp"
