"""Text models: the locale that StringNormalizer asks for, and operators from libraries that the configuration
names."""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from harness import BINARY, LIMIT, ROOT, Server, clean_environment
from onnx_writer import FLOAT, STRING, add_one, model, node, put, value

OPS = Path(os.environ.get("PODSENSE_CUSTOM_OPS", ROOT / "build/release/src/onnx/libcustom_ops_twice.so"))
PYTHON_OPS = Path(os.environ.get("PODSENSE_PYTHON_OPS", ROOT / "build/release/src/onnx/libcustom_ops_python.so"))


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


class TextModels(unittest.TestCase):
    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="podsense-test-"))
        self.addCleanup(shutil.rmtree, self.root)
        put(self.root, "add", add_one())

    def infer(self, server, name, datatype, shape, data):
        return server.post_json(f"/v2/models/{name}/infer",
                                {"inputs": [{"name": "x", "datatype": datatype, "shape": shape, "data": data}]})

    def put_lower(self):
        put(self.root, "lower", model([node("StringNormalizer", ["x"], ["y"], case_change_action="LOWER")],
                                      [value("x", STRING, ["N"])], [value("y", STRING, ["N"])]))

    def test_a_normaliser_of_texts_has_its_locale(self):
        self.put_lower()
        with Server(models=self.root) as server:
            answer = self.infer(server, "lower", "BYTES", [3], ["Äpfel", "KÖLN", "ΑΒΓ"])
            self.assertEqual(answer.status, 200, (answer, server.health()["models"]))
            self.assertEqual(answer.json["outputs"][0]["data"], ["äpfel", "köln", "αβγ"])

    def put_twice(self, name="twice"):
        put(self.root, name, model([node("Twice", ["x"], ["y"], domain="podsense.test")],
                                   [value("x", FLOAT, ["N", 2])], [value("y", FLOAT, ["N", 2])],
                                   domains=["podsense.test"]))

    def test_operators_come_from_libraries_that_are_named(self):
        self.put_twice()
        with Server("--custom-ops", f"{OPS}={digest(OPS)}", models=self.root) as server:
            answer = self.infer(server, "twice", "FP32", [2, 2], [1, 2, 3, 4])
            self.assertEqual(answer.json["outputs"][0]["data"], [2, 4, 6, 8], answer)
            config = server.get("/v2/models/twice/config").json
            self.assertEqual(config["parameters"]["plan"]["string_value"], "executor", "what it costs is not known")

    def test_check_takes_them_too(self):
        self.put_twice()
        for flags, code in ((["--custom-ops", f"{OPS}={digest(OPS)}"], 0), ([], 1)):
            done = subprocess.run([BINARY, "check", "--models", self.root, *flags], capture_output=True, text=True,
                                  timeout=LIMIT, env=clean_environment(), check=False)
            self.assertEqual(done.returncode, code, done)

    def test_without_it_the_model_alone_fails(self):
        self.put_twice()
        with Server(models=self.root) as server:
            self.assertEqual(self.infer(server, "add", "FP32", [1, 2], [1, 2]).status, 200)
            reasons = json.dumps(server.health()["models"])
            self.assertIn("podsense.test", reasons)

    def refused(self, *flags):
        done = subprocess.run([BINARY, "serve", "--models", self.root, "--http-port", "0", "--grpc-port", "0",
                               "--admin-port", "0", *flags], capture_output=True, text=True, timeout=LIMIT,
                              env=clean_environment(), check=False)
        self.assertNotEqual(done.returncode, 0, done)
        return done.returncode, done.stdout + done.stderr

    def test_what_is_not_what_was_meant_ends_the_start(self):
        other = "0" * 64
        self.assertIn(f"has the SHA-256 {digest(OPS)}, not {other}", self.refused("--custom-ops", f"{OPS}={other}")[1])
        self.assertIn("must be 64 hexadecimal digits", self.refused("--custom-ops", f"{OPS}=abc")[1])
        self.assertIn("a path must be absolute", self.refused("--custom-ops", f"ops.so={other}")[1])

    def test_the_folder_of_models_brings_no_code(self):
        inside = self.root / "ops.so"
        shutil.copy(OPS, inside)
        code, text = self.refused("--custom-ops", f"{inside}={digest(inside)}")
        self.assertEqual(code, 2)
        self.assertIn("is inside models.dir", text)
        link = Path(tempfile.mkdtemp(prefix="podsense-test-")) / "link.so"
        self.addCleanup(shutil.rmtree, link.parent)
        link.symlink_to(inside)
        self.assertIn("is inside models.dir", self.refused("--custom-ops", f"{link}={digest(inside)}")[1])

    def test_a_module_of_pythons_is_told_what_it_misses(self):
        text = self.refused("--custom-ops", f"{PYTHON_OPS}={digest(PYTHON_OPS)}")[1]
        self.assertIn("is an extension of Python's (it misses PyInstanceMethod_Type)", text)
        self.assertIn("LD_PRELOAD=libpython3", text)

    def test_without_its_locale_the_reason_says_so(self):
        self.put_lower()
        # A folder that somebody chose stands, even if it is empty.
        with Server(models=self.root, env={"LOCPATH": "/nonexistent"}) as server:
            self.assertIn("it needs the locale en_US.UTF-8, which this system has not",
                          json.dumps(server.health()["models"]))
