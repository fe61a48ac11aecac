#!/usr/bin/env python3
"""The golden set: photographs, their reference tensors and their reference top-5 (see make_golden.sh).

OUT/golden.json   {"photos": [{name, file, kind, label, width, height, tensor, top5: {fp32, int8}}],
                   "orientation": [{name, file, width, height}],  (orientation.py)
                   "formats": [likewise]}  (formats.py)
OUT/photos/       the photographs as they were published                       (kind "photo")
OUT/png/          the same pixels as PNG, so that decoders cannot differ        (kind "png")
OUT/large/        enlarged four times, as JPEG: what scaled decoding is for     (kind "large")
OUT/tensors/      uint8 [224, 224, 3]: centre square of 0.875 x the short side, bicubic
OUT/bench/        inputs of image_bench
A label is the ImageNet class where the publisher names it, else null.
"""
import argparse
import io
import json
import shutil
import zipfile
from pathlib import Path

import formats
import numpy as np
import onnxruntime as ort
import orientation
from PIL import Image, ImageOps

SIDE, FRACTION = 224, 0.875
MEAN, STD = np.float32(127), np.float32(128)
PHOTOS = (
    ("foolbox-", "foolbox/data/imagenet_"),
    ("scikit_learn-", "sklearn/datasets/images/"),
    ("scikit_image-", "skimage/data/astronaut.png"),
    ("scikit_image-", "skimage/data/chelsea.png"),
    ("scikit_image-", "skimage/data/coffee.png"),
    ("scikit_image-", "skimage/data/motorcycle_left.png"),
    ("scikit_image-", "skimage/data/rocket.jpg"),
    ("scikit_image-", "skimage/data/retina.jpg"),
    ("scikit_image-", "skimage/data/hubble_deep_field.jpg"),
)
OTHER_LABELS = {"coffee": 967}  # espresso


def photographs(wheels):
    """(name, suffix, bytes, label) of every photograph, in a fixed order."""
    for package, prefix in PHOTOS:
        (wheel,) = wheels.glob(package + "*.whl")
        with zipfile.ZipFile(wheel) as archive:
            for member in sorted(archive.namelist()):
                if member.startswith(prefix) and member.endswith((".jpg", ".png")):
                    path = Path(member)
                    label = OTHER_LABELS.get(path.stem)
                    if path.stem.startswith("imagenet_"):
                        label = int(path.stem.rsplit("_", 1)[1])
                    yield path.stem, path.suffix, archive.read(member), label


def decode(data):
    return ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")


def reference_tensor(image):
    width, height = image.size
    side = round(FRACTION * min(width, height))
    left, top = (width - side) // 2, (height - side) // 2
    crop = image.crop((left, top, left + side, top + side))
    return np.asarray(crop.resize((SIDE, SIDE), Image.Resampling.BICUBIC))


class Model:
    def __init__(self, path):
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name

    def top5(self, tensor):
        batch = ((tensor.astype(np.float32) - MEAN) / STD).transpose(2, 0, 1)[None]
        scores = self.session.run(None, {self.input: batch})[0][0]
        best = np.argsort(-scores, kind="stable")[:5]
        return [{"class": int(i), "score": round(float(scores[i]), 6)} for i in best]


class Golden:
    def __init__(self, out, models):
        self.out, self.models, self.entries = out, models, []
        for folder in ("photos", "png", "large", "tensors", "bench"):
            shutil.rmtree(out / folder, ignore_errors=True)
            (out / folder).mkdir(parents=True)

    def add(self, kind, folder, name, suffix, data, label):
        image = decode(data)
        tensor = reference_tensor(image)
        file, tensor_file = f"{folder}/{name}{suffix}", f"tensors/{kind}_{name}.u8"
        (self.out / file).write_bytes(data)
        (self.out / tensor_file).write_bytes(tensor.tobytes())
        self.entries.append({
            "name": name, "file": file, "kind": kind, "label": label,
            "width": image.width, "height": image.height, "tensor": tensor_file,
            "top5": {which: model.top5(tensor) for which, model in self.models.items()},
        })
        return image

    def finish(self):
        text = json.dumps({"photos": self.entries, "orientation": orientation.make(self.out),
                           "formats": formats.make(self.out)}, indent=1)
        (self.out / "golden.json").write_text(text + "\n")


def encoded(image, **options):
    out = io.BytesIO()
    image.save(out, **options)
    return out.getvalue()


def bench_files(image, folder):
    small = image.resize((640, 480), Image.Resampling.LANCZOS)
    twelve = image.resize((4000, 3000), Image.Resampling.LANCZOS)
    grain = np.random.default_rng(0).normal(0, 4, (3000, 4000, 1))  # a sensor's, for real file sizes
    twelve = Image.fromarray(np.clip(np.asarray(twelve) + grain, 0, 255).astype(np.uint8))
    for name, picture, options in (
        ("640x480.jpg", small, dict(quality=90)),
        ("640x480.png", small, dict()),
        ("640x480.webp", small, dict(quality=90)),
        ("12mp.jpg", twelve, dict(quality=90)),
        ("12mp_progressive.jpg", twelve, dict(quality=90, progressive=True)),
        ("12mp.png", twelve, dict(compress_level=1)),
    ):
        picture.save(folder / name, **options)


def main():
    parser = argparse.ArgumentParser()
    for name in ("wheels", "fp32", "int8", "out"):
        parser.add_argument("--" + name, required=True, type=Path)
    args = parser.parse_args()
    golden = Golden(args.out, {"fp32": Model(args.fp32), "int8": Model(args.int8)})
    for name, suffix, data, label in photographs(args.wheels):
        image = golden.add("photo", "photos", name, suffix, data, label)
        if suffix == ".jpg":
            golden.add("png", "png", name, ".png", encoded(image, format="PNG", compress_level=1), label)
        if max(image.size) <= 700:
            large = image.resize((image.width * 4, image.height * 4), Image.Resampling.LANCZOS)
            golden.add("large", "large", name, ".jpg", encoded(large, format="JPEG", quality=90), label)
        if name == "coffee":
            bench_files(image, args.out / "bench")
    golden.finish()
    for which in ("fp32", "int8"):
        named = [e for e in golden.entries if e["kind"] == "photo" and e["label"] is not None]
        right = sum(e["top5"][which][0]["class"] == e["label"] for e in named)
        print(f"{which}: {right} of {len(named)} labelled photographs right (top-1, reference pipeline)")


if __name__ == "__main__":
    main()
