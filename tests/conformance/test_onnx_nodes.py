"""ONNX's own tests of single operators, as the onnx package ships them: PodSense must answer as ONNX Runtime does when it
is called directly, over REST in binary, as JSON where the types have a JSON form, and over gRPC."""

import json
import shutil
import tempfile
import unittest
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import tritonclient.grpc as triton
from harness import Server, wait_until
from onnx import TensorProto, numpy_helper

NODES = Path(onnx.__file__).parent / "backend/test/data/node"
TYPES = {TensorProto.BOOL: "BOOL", TensorProto.UINT8: "UINT8", TensorProto.UINT16: "UINT16", TensorProto.UINT32: "UINT32",
         TensorProto.UINT64: "UINT64", TensorProto.INT8: "INT8", TensorProto.INT16: "INT16", TensorProto.INT32: "INT32",
         TensorProto.INT64: "INT64", TensorProto.FLOAT16: "FP16", TensorProto.FLOAT: "FP32", TensorProto.DOUBLE: "FP64",
         TensorProto.BFLOAT16: "BF16", TensorProto.STRING: "BYTES"}
NUMPY = {"BOOL": bool, "FP16": np.float16, "FP32": np.float32, "FP64": np.float64,
         **{f"{sign}INT{bits}": getattr(np, f"{sign.lower()}int{bits}") for sign in ("", "U") for bits in (8, 16, 32, 64)}}
# Fewer right answers than this is a step back. What the wheel has more: types that the protocol has not (float 8,
# integers of 4 bits, sequences, optionals), and models that ONNX Runtime does not open.
LEAST_RIGHT = 1200
# Models whose answers are not a function of their inputs.
OTHERWISE = ("bernoulli", "dropout", "random", "multinomial", "training_dropout")


class Node:
    """One test: a model, its inputs and the outputs they must give."""

    def __init__(self, folder, name):
        self.folder, self.name, self.title = folder, name, folder.name
        self.graph = onnx.load(folder / "model.onnx").graph
        data = folder / "test_data_set_0"
        self.inputs = self.read(data, "input", self.graph.input)
        self.outputs = self.read(data, "output", self.graph.output)

    @staticmethod
    def read(data, kind, infos):
        """[(name, datatype, array)], or nothing where one is no tensor of the protocol."""
        tensors = []
        files = sorted(data.glob(f"{kind}_*.pb"), key=lambda file: int(file.stem.split("_")[1]))
        for info, file in zip(infos, files, strict=False):
            if not info.type.HasField("tensor_type"):
                return None
            tensor = TensorProto.FromString(file.read_bytes())
            if tensor.data_type not in TYPES:
                return None
            tensors.append((info.name, TYPES[tensor.data_type], numpy_helper.to_array(tensor)))
        return tensors

    def ask_onnx_runtime(self):
        """Its own answers as what is right. False: it does not run this test."""
        try:
            session = onnxruntime.InferenceSession(self.folder / "model.onnx", providers=["CPUExecutionProvider"])
            answers = session.run(None, {name: array for name, _, array in self.inputs})
        except Exception:  # noqa: BLE001: whatever it says, there is nothing to compare with
            return False
        self.outputs = [(name, datatype, np.asarray(answer))
                        for (name, datatype, _), answer in zip(self.outputs, answers, strict=False)]
        return True

    @property
    def of_the_protocol(self):
        return bool(self.inputs) and bool(self.outputs)


def packed(datatype, array):
    if datatype == "BYTES":
        texts = [t if isinstance(t, bytes) else str(t).encode() for t in array.ravel()]
        return b"".join(len(t).to_bytes(4, "little") + t for t in texts)
    return np.ascontiguousarray(array).tobytes()


def unpacked(datatype, shape, data):
    if datatype == "BYTES":
        texts, at = [], 0
        while at < len(data):
            size = int.from_bytes(data[at:at + 4], "little")
            texts.append(data[at + 4:at + 4 + size].decode())
            at += 4 + size
        return np.array(texts, dtype=object).reshape(shape)
    if datatype == "BF16":
        return (np.frombuffer(data, np.uint16).astype(np.uint32) << 16).view(np.float32).reshape(shape)
    return np.frombuffer(data, NUMPY[datatype]).reshape(shape)


def alike(got, datatype, wanted):
    if list(got.shape) != list(wanted.shape):
        return False
    if datatype == "BYTES":
        return [str(t) for t in got.ravel()] == [t.decode() if isinstance(t, bytes) else str(t) for t in wanted.ravel()]
    if datatype in ("FP16", "BF16"):
        return np.allclose(got.astype(np.float32), wanted.astype(np.float32), rtol=2e-2, atol=2e-2, equal_nan=True)
    return np.allclose(got.astype(np.float64), wanted.astype(np.float64), rtol=1e-3, atol=1e-5, equal_nan=True)


class OnnxNodes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="podsense-nodes-")
        cls.addClassCleanup(folder.cleanup)
        nodes = [Node(path, f"n{i:04}") for i, path in enumerate(sorted(NODES.glob("test_*")))]
        cls.nodes = [node for node in nodes if node.of_the_protocol]
        for node in cls.nodes:
            version = Path(folder.name) / node.name / "1"
            version.mkdir(parents=True)
            shutil.copy(node.folder / "model.onnx", version / "model.onnx")
        cls.server = Server("--request-timeout", "60s", models=Path(folder.name), ready=False)
        cls.server.__enter__()
        cls.addClassCleanup(cls.server.__exit__, None, None, None)
        wait_until(lambda: cls.server.get("/health").json["started"], timeout=300, what="the models")
        served = {model["name"] for model in cls.server.get("/health").json["models"] if not model.get("reason")}
        cls.served = [node for node in cls.nodes if node.name in served]

    def rest_binary(self, node):
        inputs, data = [], b""
        for name, datatype, array in node.inputs:
            bytes_of = packed(datatype, array)
            inputs.append({"name": name, "shape": list(array.shape), "datatype": datatype,
                           "parameters": {"binary_data_size": len(bytes_of)}})
            data += bytes_of
        head = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
        answer = self.server.post(f"/v2/models/{node.name}/infer", head + data,
                                  headers={"Inference-Header-Content-Length": str(len(head))})
        if answer.status != 200:
            return answer.text
        size = int(answer.headers["inference-header-content-length"])
        outputs, at = {}, size
        for output in json.loads(answer.body[:size])["outputs"]:
            length = output["parameters"]["binary_data_size"]
            outputs[output["name"]] = unpacked(output["datatype"], output["shape"], answer.body[at:at + length])
            at += length
        return outputs

    def rest_json(self, node):
        def plain(datatype, array):
            if datatype == "BYTES":
                return [t.decode() if isinstance(t, bytes) else str(t) for t in array.ravel()]
            return array.ravel().tolist()

        answer = self.server.post(f"/v2/models/{node.name}/infer", json.dumps({"inputs": [
            {"name": name, "shape": list(array.shape), "datatype": datatype, "data": plain(datatype, array)}
            for name, datatype, array in node.inputs]}).encode())
        if answer.status != 200:
            return answer.text
        outputs = {}
        for output in answer.json["outputs"]:
            kind = object if output["datatype"] == "BYTES" else NUMPY[output["datatype"]]
            data = [np.nan if value is None else value for value in output["data"]]
            outputs[output["name"]] = np.array(data, dtype=kind).reshape(output["shape"])
        return outputs

    def grpc(self, node):
        inputs = []
        for name, datatype, array in node.inputs:
            tensor = triton.InferInput(name, list(array.shape), datatype)
            if datatype == "BYTES":
                array = np.array([t if isinstance(t, bytes) else str(t).encode() for t in array.ravel()],
                                 dtype=object).reshape(array.shape)
            tensor.set_data_from_numpy(array.astype(np.float32) if datatype == "BF16" else np.asarray(array))
            inputs.append(tensor)
        with triton.InferenceServerClient(f"127.0.0.1:{self.server.grpc_port}") as client:
            try:
                answer = client.infer(node.name, inputs)
            except triton.InferenceServerException as error:
                return str(error)
        return {output.name: answer.as_numpy(output.name) for output in answer.get_response().outputs}

    def verdict(self, node, outputs):
        if isinstance(outputs, str):
            return outputs
        for name, datatype, wanted in node.outputs:
            got = outputs[name]
            if datatype == "BYTES":
                got = np.array([t.decode() if isinstance(t, bytes) else t for t in got.ravel()], dtype=object).reshape(got.shape)
            if not alike(got, datatype, wanted):
                return f"output '{name}' differs"
        return ""

    @staticmethod
    def has_json_form(node):
        """JSON has no 16-bit floats here, no infinities, and texts must be UTF-8."""
        finite = all(datatype == "BYTES" or not np.isinf(array.astype(np.float64)).any()
                     for _, datatype, array in node.inputs + node.outputs)
        return finite and all(datatype not in ("FP16", "BF16") for _, datatype, _ in node.inputs + node.outputs)

    def test_every_operator_that_is_served(self):
        right, wrong = 0, []
        for node in self.served:
            if any(part in node.title for part in OTHERWISE) or not node.ask_onnx_runtime():
                continue
            ways = [("binary", self.rest_binary), ("gRPC", self.grpc)]
            if self.has_json_form(node):
                ways.append(("JSON", self.rest_json))
            faults = [(way, fault) for way, ask in ways if (fault := self.verdict(node, ask(node)))]
            right += not faults
            wrong += [f"{node.title} by {way}: {fault[:160]}" for way, fault in faults]
        print(f"{len(self.nodes)} tests have types of the protocol, {len(self.served)} models are served, {right} are right")
        self.assertEqual(wrong, [], "\n".join(wrong))
        self.assertGreaterEqual(right, LEAST_RIGHT)


if __name__ == "__main__":
    unittest.main()
