"""Runs for which nobody waits any more end: at the deadline, or when their clients have left. What an engine
cannot end gives its executor's place to another until it ends by itself."""

import json
import shutil
import struct
import tempfile
import time
from pathlib import Path

from harness import ServerCase, post, wait_until
from oip_models import TINY
from onnx_writer import INT64, add_one, int64s, model, node, put, value

ENDLESS = 1 << 62


def make_repository(root):
    shutil.copy(TINY / "slow_loop.onnx", put(root, "loop", None) / "model.onnx")
    put(root, "add", add_one())
    # One product of two matrices of [n, n], which is one call of a kernel; slow, as it is of whole numbers.
    put(root, "product", model(
        [node("Expand", ["x", "n"], ["a"]), node("MatMul", ["a", "a"], ["b"]),
         node("ReduceMax", ["b"], ["y"], keepdims=0)],
        [value("x", INT64, [1, 1]), value("n", INT64, [2])], [value("y", INT64, [])]))
    # As many numbers as its input says.
    put(root, "range", model(
        [node("Squeeze", ["n"], ["s"]), node("Range", ["zero", "s", "one"], ["r"]),
         node("ReduceMax", ["r"], ["y"], keepdims=1)],
        [value("n", INT64, [1])], [value("y", INT64, [1])],
        initializers=[int64s("zero", [0], []), int64s("one", [1], [])]))


def tensor(name, datatype, shape, data):
    return {"name": name, "datatype": datatype, "shape": shape, "data": data}


def loop_request(steps, **parameters):
    return {"inputs": [tensor("x", "FP32", [1, 16], [0.5] * 16), tensor("steps", "INT64", [], [steps])],
            "parameters": parameters}


def seconds(number):
    return int(number * 1e6)


class Cancelling(ServerCase):
    FLAGS = ("--executors", "1", "--request-timeout", "300s")

    @classmethod
    def setUpClass(cls):
        cls.repository = Path(tempfile.mkdtemp(prefix="podsense-test-"))
        cls.addClassCleanup(shutil.rmtree, cls.repository)
        make_repository(cls.repository)
        cls.MODELS = cls.repository
        super().setUpClass()

    def infer(self, name, request):
        return self.server.post_json(f"/v2/models/{name}/infer", request)

    def running(self, name):
        return self.server.metric("podsense_in_flight", model=name)

    def cancelled(self, name):
        return self.server.metric("podsense_cancelled_runs_total", model=name)

    def assert_free(self):
        """The one executor runs what comes."""
        answer = self.infer("loop", loop_request(1))
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(self.server.metric("podsense_stuck_executors"), 0)

    def test_an_endless_loop_frees_its_executor_at_its_deadline(self):
        before = self.cancelled("loop")
        answer = self.infer("loop", loop_request(ENDLESS, timeout=seconds(0.3)))
        self.assertEqual((answer.status, answer.json["error"]),
                         (504, "the deadline passed before there was an answer"))
        wait_until(lambda: self.running("loop") == 0, what="the end of the run")
        self.assertEqual(self.cancelled("loop"), before + 1)
        self.assert_free()
        self.assertEqual(self.server.log_lines("executor_stuck"), [])

    def test_a_run_whose_client_has_left_ends_long_before_its_deadline(self):
        with self.server.raw() as client:
            client.send(post("/v2/models/loop/infer", json.dumps(loop_request(ENDLESS)).encode()))
            wait_until(lambda: self.running("loop") == 1, what="the run")
        wait_until(lambda: self.running("loop") == 0, what="the end of the run")
        self.assert_free()

    def test_what_cannot_be_ended_gives_its_place_to_another(self):
        size = 2000  # some seconds
        answer = self.infer("product", {
            "inputs": [tensor("x", "INT64", [1, 1], [1]), tensor("n", "INT64", [2], [size, size])],
            "parameters": {"timeout": seconds(0.5)}})
        self.assertEqual(answer.status, 504, answer)
        wait_until(lambda: self.server.log_lines("executor_stuck"), what="another executor")
        wait_until(lambda: self.server.metric("podsense_stuck_executors") == 0, what="the end of the product")
        self.assert_free()

    def test_timeout_narrows_the_limit_of_what_waits(self):
        with self.server.raw() as client:
            client.send(post("/v2/models/loop/infer",
                             json.dumps(loop_request(ENDLESS, timeout=seconds(60))).encode()))
            wait_until(lambda: self.running("loop") == 1, what="the run")
            began = time.monotonic()
            answer = self.infer("loop", loop_request(1, timeout=seconds(0.2)))
            self.assertIn(answer.status, (503, 504), answer)
            self.assertLess(time.monotonic() - began, 30)
            self.assertEqual(self.running("loop"), 1)
        wait_until(lambda: self.running("loop") == 0, what="the end of the run")

    def test_timeout_holds_for_a_model_that_runs_where_it_is_read(self):
        request = {"inputs": [tensor("x", "FP32", [1, 2], [1, 2])]}
        self.assertEqual(self.plan("add"), "inline")
        self.assertEqual(self.infer("add", request | {"parameters": {"timeout": 0}}).status, 200, "0: no limit")
        self.assertEqual(self.infer("add", request | {"parameters": {"timeout": seconds(20)}}).status, 200)
        answer = self.infer("add", request | {"parameters": {"timeout": 1}})
        self.assertEqual((answer.status, answer.json["error"]),
                         (504, "the work asked for takes longer than the deadline allows"))

    def plan(self, name):
        return self.server.get(f"/v2/models/{name}/config").json["parameters"]["plan"]["string_value"]

    def test_nothing_whose_cost_follows_from_values_runs_on_an_io_thread(self):
        self.assertEqual([self.plan(name) for name in ("loop", "product", "range")], ["executor"] * 3)
        answer = self.infer("range", {"inputs": [tensor("n", "INT64", [1], [5])]})
        self.assertEqual(answer.json["outputs"][0]["data"], [4])

    def test_the_raw_form_is_cancelled_too(self):
        body = json.dumps({"inputs": [
            {"name": "x", "datatype": "FP32", "shape": [1, 16], "parameters": {"binary_data_size": 64}},
            {"name": "steps", "datatype": "INT64", "shape": [], "parameters": {"binary_data_size": 8}}],
            "parameters": {"timeout": seconds(0.2)}}).encode()
        answer = self.server.post("/v2/models/loop/infer", body + struct.pack("<16fq", *[0.5] * 16, ENDLESS),
                                  headers={"Inference-Header-Content-Length": str(len(body))})
        self.assertEqual(answer.status, 504, answer)
        wait_until(lambda: self.running("loop") == 0, what="the end of the run")
        self.assert_free()
