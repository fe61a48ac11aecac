"""Models that people bring: each caller gets the answer to its own request, whatever others ask meanwhile."""

import json
import shutil
import struct
import tempfile
import threading
import unittest
from pathlib import Path

from harness import ServerCase, wait_until
from oip_models import TINY

CALLERS = 16
ASKS = 30
# Models of four numbers a row in and some out, which use the first dimension in ways of their own, or do not.
FOUR = ("mixes_softmax", "mixes_centred", "mixes_reversed", "mixes_similarity", "mixes_quantised", "mixes_nonzero",
        "mixes_twice_the_rows", "mixes_largest_decides", "passthrough", "apart_mlp", "apart_normalised")
OTHERS = ("tabular_texts", "divide_int32", "identity_dyn", "any_rank", "gather_fail")


class ModelsCase(ServerCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="podsense-models-")
        cls.addClassCleanup(folder.cleanup)
        cls.MODELS = Path(folder.name)
        for name in FOUR + OTHERS:
            version = cls.MODELS / name / "1"
            version.mkdir(parents=True)
            shutil.copy(TINY / f"{name}.onnx", version / "model.onnx")
            # Executors and large batches, so that requests that wait could be put together.
            (cls.MODELS / name / "model.yaml").write_text("batching: {max_batch: 32, max_delay_ms: 2}\n")
        super().setUpClass()
        wait_until(lambda: all(cls.config(name)["requests"] != "checking" for name in FOUR), what="checks of rows")

    @classmethod
    def config(cls, model):
        answer = cls.server.get(f"/v2/models/{model}/config")
        return {key: value["string_value"] for key, value in answer.json["parameters"].items()}

    def infer(self, model, inputs, **more):
        return self.server.post_json(f"/v2/models/{model}/infer", {"inputs": inputs, **more})

    @staticmethod
    def rows(values):
        return {"name": "x", "shape": [len(values) // 4, 4], "datatype": "FP32", "data": values}


class EachCallerGetsItsOwnAnswer(ModelsCase):
    @staticmethod
    def question(caller, ask):
        """One to three rows that no other question has."""
        count = 1 + (caller + ask) % 3
        return [round((caller * 7 + ask * 3 + i * 5) % 23 - 11 + caller / 100, 3) for i in range(4 * count)]

    def outputs(self, model, values, binary):
        request = {"inputs": [self.rows(values)]}
        if binary:
            request["parameters"] = {"binary_data_output": True}
        answer = self.server.post_json(f"/v2/models/{model}/infer", request)
        self.assertEqual(answer.status, 200, answer)
        size = int(answer.headers.get("inference-header-content-length", len(answer.body)))
        head = json.loads(answer.body[:size])
        return [(o["name"], o["shape"], o.get("data")) for o in head["outputs"]], answer.body[size:]

    def test_while_others_ask(self):
        for model in FOUR:
            with self.subTest(model=model):
                alone = {}
                for caller in range(CALLERS):
                    for ask in range(6):
                        key = (caller, ask)
                        alone[key] = self.outputs(model, self.question(*key), binary=caller % 2 == 0)
                wrong = []

                def run(caller, alone=alone, model=model, wrong=wrong):
                    for ask in range(ASKS):
                        key = (caller, ask % 6)
                        got = self.outputs(model, self.question(*key), binary=caller % 2 == 0)
                        if not self.alike(got, alone[key]):
                            wrong.append((key, got, alone[key]))

                threads = [threading.Thread(target=run, args=(caller,)) for caller in range(CALLERS)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                self.assertEqual(wrong[:1], [])

    def alike(self, got, wanted):
        """Equal but for the last digits of floats, which another batch size may change."""
        (heads, data), (wanted_heads, wanted_data) = got, wanted
        same = [h[:2] for h in heads] == [h[:2] for h in wanted_heads] and len(data) == len(wanted_data)
        numbers = list(struct.unpack(f"<{len(data) // 4}f", data)) + [n for h in heads for n in h[2] or []]
        right = list(struct.unpack(f"<{len(data) // 4}f", wanted_data)) + [n for h in wanted_heads for n in h[2] or []]
        return same and all(abs(a - b) <= 1e-5 + 1e-4 * abs(b) for a, b in zip(numbers, right, strict=True))

    def test_configuration_says_who_shares_runs(self):
        self.server.wait_for_row_checks()
        self.assertEqual(self.config("apart_mlp")["requests"], "shared")
        softmax = self.config("mixes_softmax")
        self.assertEqual(softmax["requests"], "alone")
        self.assertIn("Softmax", softmax["requests_reason"])
        self.assertEqual(self.server.get("/v2/models/mixes_softmax/config").json["max_batch_size"], 0)
        self.assertEqual(self.server.get("/v2/models/apart_mlp/config").json["max_batch_size"], 32)
        self.assertEqual(self.server.metric("podsense_requests_share_runs", model="mixes_softmax", version="1"), 0)
        self.assertEqual(self.server.metric("podsense_requests_share_runs", model="apart_mlp", version="1"), 1)

    def test_rows_of_a_batch_are_questions_of_their_own(self):
        rows = [[1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0], [0.0, 9.0, 0.0, 9.0]]
        together = self.server.post_json("/predict-batch", {"model": "mixes_softmax", "instances": rows})
        self.assertEqual(together.status, 200, together)
        for row, answer in zip(rows, together.json["predictions"], strict=True):
            alone = self.server.post_json("/predict-single", {"model": "mixes_softmax", "features": row}).json
            self.assertEqual(answer["probabilities"], alone["probabilities"])


class ValuesAndShapes(ModelsCase):
    def test_a_label_that_is_a_text(self):
        answer = self.server.post_json("/predict-single", {"model": "tabular_texts", "features": [0.5] * 20}).json
        self.assertIn(answer["prediction"], ("no", "jä"))
        self.assertEqual(answer["label"], answer["prediction"])
        self.assertEqual(len(answer["probabilities"]), 2)

    def test_missing_values(self):
        for body in (b'{"inputs":[{"name":"x","shape":[1,3],"datatype":"FP32","data":[1,null,NaN]}]}',
                     b'{"inputs":[{"name":"x","shape":[1,3],"datatype":"FP32","data":[[1, null, NaN]]}]}'):
            answer = self.server.post("/v2/models/identity_dyn/infer", body)
            self.assertEqual(answer.status, 200, answer)
            self.assertEqual(answer.json["outputs"][0]["data"], [1, None, None])
        answer = self.server.post("/predict-single", b'{"model":"tabular_texts","features":[' + b"null," * 19 + b"NaN]}")
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.json["probabilities"], [None, None])

    def test_no_rows_at_all(self):
        answer = self.infer("identity_dyn", [{"name": "x", "shape": [0, 3], "datatype": "FP32", "data": []}])
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.json["outputs"][0]["shape"], [0, 3])

    def test_any_rank(self):
        for shape in ([4], [2, 2], [1, 2, 2]):
            answer = self.infer("any_rank", [{"name": "x", "shape": shape, "datatype": "FP32", "data": [1, 2, 3, 4]}])
            self.assertEqual(answer.status, 200, answer)
            self.assertEqual(answer.json["outputs"][0]["shape"], shape)

    def test_a_division_without_a_result_fails_alone(self):
        def divide(a, b):
            return self.infer("divide_int32", [{"name": "a", "shape": [1], "datatype": "INT32", "data": [a]},
                                               {"name": "b", "shape": [1], "datatype": "INT32", "data": [b]}])

        for a, b in ((-2**31, -1), (1, 0)):
            answer = divide(a, b)
            if answer.status != 200:  # arm64 gives a number
                self.assertEqual(answer.status, 400, answer)
                self.assertIn("division", answer.json["error"].lower())
            self.assertEqual(divide(9, 3).json["outputs"][0]["data"], [3])

    def test_health_lists_warnings(self):
        self.assertEqual(self.server.health()["status"], "ok")
        self.assertTrue(any("gather" in w or "divide" in w for w in self.server.health()["warnings"]),
                        self.server.health()["warnings"])


if __name__ == "__main__":
    unittest.main()
