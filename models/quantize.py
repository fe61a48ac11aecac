#!/usr/bin/env python3
"""An fp32 image model to int8: QDQ, static, per channel, calibrated on photographs.

Unsigned activations and signed weights (signed activations ran twice as slowly); min-max
calibration over random crops; the softmax stays in float, since a quantised one does not sum to 1.
Ends with a check on the labelled photographs: too few right answers fail the recipe.
"""

import argparse
import json
import pathlib
import re
import tempfile

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process
from PIL import Image

CROPS = 64
SEED = 1
BATCH = 4


def load(path):
    return Image.open(path).convert("RGB")


def normalise(pixels, spec):
    """[n, H, W, 3] of 0..255 to the model's [n, 3, H, W]."""
    mean, std = np.float32(spec["mean"]), np.float32(spec["std"])
    return ((np.asarray(pixels, np.float32) - mean) / std).transpose(0, 3, 1, 2).copy()


def resized_square(image, left, top, side, spec):
    square = image.crop((left, top, left + side, top + side))
    return np.asarray(square.resize((spec["width"], spec["height"]), Image.Resampling.BICUBIC))


def centre_crop(image, spec):
    side = round(spec["crop_fraction"] * min(image.size))
    left, top = ((extent - side) // 2 for extent in image.size)
    return resized_square(image, left, top, side, spec)


def random_crops(images, count, spec):
    """Squares of 25 to 100 % of the short side's square, half of them mirrored."""
    random = np.random.default_rng(SEED)
    crops = []
    for index in range(count):
        image = images[index % len(images)]
        side = int(np.sqrt(random.uniform(0.25, 1.0)) * min(image.size))
        left, top = (int(random.integers(0, extent - side + 1)) for extent in image.size)
        crop = resized_square(image, left, top, side, spec)
        crops.append(crop[:, ::-1] if random.random() < 0.5 else crop)
    return np.stack(crops)


class Batches(CalibrationDataReader):
    def __init__(self, tensor, input_name):
        self.batches = iter(
            [{input_name: tensor[at : at + BATCH]} for at in range(0, len(tensor), BATCH)]
        )

    def get_next(self):
        return next(self.batches, None)


def quantize(source, target, tensor):
    model = onnx.load(source)
    softmax = [node.name for node in model.graph.node if node.op_type == "Softmax"]
    with tempfile.TemporaryDirectory() as folder:
        prepared = str(pathlib.Path(folder) / "prepared.onnx")
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            target,
            Batches(tensor, model.graph.input[0].name),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            nodes_to_exclude=softmax,
            extra_options={"WeightSymmetric": True},
        )
    quantized = onnx.load(target)  # quantize_static drops the metadata
    del quantized.metadata_props[:]
    quantized.metadata_props.extend(model.metadata_props)
    onnx.save(quantized, target)


def answers(path, tensor):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (result,) = session.run(None, {session.get_inputs()[0].name: tensor})
    return result.argmax(1)


def check(source, target, photographs, images, spec):
    tensor = normalise(np.stack([centre_crop(image, spec) for image in images]), spec)
    truth = [int(re.search(r"_(\d+)\.\w+$", path.name).group(1)) for path in photographs]
    before, after = answers(source, tensor), answers(target, tensor)
    report = {
        "photographs": len(truth),
        "fp32_right": int((before == truth).sum()),
        "int8_right": int((after == truth).sum()),
        "int8_agrees_with_fp32": int((before == after).sum()),
    }
    print(json.dumps(report))
    if min(report["fp32_right"], report["int8_right"]) < 0.85 * len(truth):
        raise SystemExit("too few right answers: the model is broken")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("photographs", type=pathlib.Path, help="folder of imagenet_NN_CLASS.jpg")
    arguments = parser.parse_args()
    photographs = sorted(arguments.photographs.glob("imagenet_*.jpg"))
    if not photographs:
        raise SystemExit(f"no photographs in {arguments.photographs}")
    properties = {p.key: p.value for p in onnx.load(arguments.source).metadata_props}
    spec = json.loads(properties["preprocess"])
    images = [load(path) for path in photographs]
    calibration = normalise(random_crops(images, CROPS, spec), spec)
    quantize(arguments.source, arguments.target, calibration)
    check(arguments.source, arguments.target, photographs, images, spec)


if __name__ == "__main__":
    main()
