"""Repositories laid out as others write them, served by the real binary; scan's own tests have the details."""

import json
import shutil
import tempfile
import unittest
from pathlib import Path

from harness import Server
from onnx_writer import FLOAT, INT64, add_one, floats, int64s, model, node, put, value

SEAL = 32  # bytes behind each optimised copy


def of_layout(warnings):
    """Without what the models' answers are warned of."""
    return [warning for warning in warnings if "its scores are no probabilities" not in warning]


class Layouts(unittest.TestCase):
    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="podsense-layouts-"))
        self.addCleanup(shutil.rmtree, self.root)

    def assert_serves(self, server, name, version="1"):
        answer = server.post_json(f"/v2/models/{name}/infer", {"inputs": [
            {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]})
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.json["outputs"][0]["data"], [2, 3])
        self.assertEqual(answer.json["model_version"], version)

    def ort_bytes(self):
        """A model in ONNX Runtime's own format: what it writes as an optimised copy."""
        cache = self.root / "cache"
        put(self.root / "onnx", "m", add_one())
        with Server("--model-cache", str(cache), models=self.root / "onnx") as server:
            self.assert_serves(server, "m")
        (copy,) = cache.glob("*.podsense-ort")
        return copy.read_bytes()[:-SEAL]

    def test_each_is_served(self):
        models = self.root / "models"
        put(models, "ort", self.ort_bytes(), file="model.ort")
        put(models, "hub", add_one(), version="1/onnx")
        put(models, "flat", add_one(), version=".")
        put(models, "single", add_one(), version="v2", file="resnet.onnx")
        put(models, "padded", add_one(), version="0002")
        put(models, "scripts", b"", version=".", file="train.py")
        with Server(models=models) as server:
            for name, version in (("ort", "1"), ("hub", "1"), ("flat", "1"), ("single", "2"), ("padded", "2")):
                self.assert_serves(server, name, version)
            health = server.health()
            self.assertEqual(health["status"], "ok")
            self.assertEqual(of_layout(health["warnings"]),
                             ["scripts: ignored: the folder holds no model (scripts/1/model.onnx)"])
            config = server.get("/v2/models/single/config").json
            self.assertEqual(config["default_model_filename"], "resnet.onnx")

    def test_triton_s_configuration(self):
        """What has a counterpart is followed; one warning lists the rest."""
        put(self.root, "m", add_one(), file="net.onnx")
        (self.root / "m/config.pbtxt").write_text("""
            platform: "onnxruntime_onnx"
            default_model_filename: "net.onnx"
            instance_group [ { count: 3 kind: KIND_CPU } ]
            optimization { graph { level: 1 } }
            parameters { key: "intra_op_thread_count" value: { string_value: "2" } }
        """)
        with Server(models=self.root) as server:
            self.assert_serves(server, "m")
            self.assertEqual(of_layout(server.health()["warnings"]),
                             ["m: these settings of config.pbtxt are ignored: optimization"])
            config = server.get("/v2/models/m/config").json
            self.assertEqual(config["default_model_filename"], "net.onnx")
            self.assertEqual(config["instance_group"][0]["count"], 3)
            self.assertEqual(config["parameters"]["threads"]["string_value"], "2")

    def test_a_warm_up_of_real_values(self):
        """Zeros are refused by this model: its warm-up's shape and range are in the manifest, or a whole request."""
        content = model([node("Sub", ["x", "first"], ["i"]), node("Gather", ["w", "i"], ["y"])],
                        [value("x", INT64, ["n"])], [value("y", FLOAT, ["n"])],
                        [int64s("first", [1000]), floats("w", [1.0, 2.0, 3.0])])
        request = {"inputs": [{"name": "x", "shape": [2], "datatype": "INT64", "data": [1000, 1002]}]}
        manifests = {"zeros": "", "range": "warmup: {inputs: {x: {shape: [4], range: [1000, 1002]}}}",
                     "request": "warmup: {request: request.json}"}
        for name, text in manifests.items():
            put(self.root, name, content)
            (self.root / name / "model.yaml").write_text(text)
        (self.root / "request/request.json").write_text(json.dumps(request))
        with Server(models=self.root) as server:
            (warning,) = server.health()["warnings"]
            self.assertIn("zeros/1: ", warning)
            self.assertIn("warm-up run failed", warning)

    def test_a_mounted_version(self):
        put(self.root, "3", add_one(), version=".")
        with Server(models=self.root) as server:
            self.assert_serves(server, "model", "3")

    def test_a_part_of_a_repository(self):
        for name in ("a", "b", "c"):
            put(self.root, name, add_one())
        with Server("--only-models", "a,c", models=self.root) as server:
            self.assertEqual({m["name"] for m in server.get("/v1/models").json["models"]}, {"a", "c"})
            self.assertEqual(server.get("/v2/models/b").status, 404)

    def test_a_new_pod_and_an_old_one_serve_the_same(self):
        put(self.root, "m", add_one())
        with Server(models=self.root) as old:
            put(self.root, "m", b"this is no model", version="2")
            self.assertEqual(old.admin("POST", "/v1/reload").status, 409)
            with Server(models=self.root) as new:
                for server in (old, new):
                    self.assert_serves(server, "m", "1")
                    self.assertEqual(server.health()["status"], "degraded")


if __name__ == "__main__":
    unittest.main()
