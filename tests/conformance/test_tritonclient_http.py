"""NVIDIA's tritonclient over HTTP: sync, threaded and asyncio; JSON and binary data."""

import asyncio
import unittest

import numpy as np
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from repository import ConformanceCase
from tritonclient.utils import InferenceServerException

ROWS = np.arange(8, dtype=np.float32).reshape(2, 4) / 3


def tensor(client, name, array, datatype, binary=True):
    made = client.InferInput(name, list(array.shape), datatype)
    made.set_data_from_numpy(array, binary_data=binary)
    return made


class TritonHttp(ConformanceCase):
    def setUp(self):
        self.client = triton.InferenceServerClient(self.url, concurrency=4)
        self.addCleanup(self.client.close)

    def infer(self, model, inputs, **more):
        return self.client.infer(model, inputs, **more)

    def test_server_is_live_and_ready(self):
        self.assertTrue(self.client.is_server_live())
        self.assertTrue(self.client.is_server_ready())
        self.assertTrue(self.client.is_model_ready("add-one"))
        self.assertTrue(self.client.is_model_ready("add-one", "1"))
        self.assertFalse(self.client.is_model_ready("none"))
        self.assertFalse(self.client.is_model_ready("add-one", "2"))

    def test_server_metadata(self):
        metadata = self.client.get_server_metadata()
        self.assertEqual(metadata["name"], "podsense")
        self.assertIn("binary_tensor_data", metadata["extensions"])
        self.assertIn("statistics", metadata["extensions"])

    def test_model_metadata_and_config(self):
        metadata = self.client.get_model_metadata("sum")
        self.assertEqual(metadata["name"], "sum")
        self.assertEqual(metadata["versions"], ["1"])
        self.assertEqual(metadata["platform"], "onnxruntime_onnx")
        self.assertEqual(metadata["inputs"], [
            {"name": "a", "datatype": "FP32", "shape": [-1, 3]},
            {"name": "b", "datatype": "FP32", "shape": [-1, 3]}])
        config = self.client.get_model_config("sum", "1")
        self.assertGreater(config["max_batch_size"], 0)
        self.assertEqual([(i["name"], i["data_type"], i["dims"]) for i in config["input"]],
                         [("a", "TYPE_FP32", [3]), ("b", "TYPE_FP32", [3])])
        fixed = self.client.get_model_config("fixed")
        self.assertEqual((fixed["max_batch_size"], fixed["input"][0]["dims"]), (0, [2, 3]))
        self.assertEqual(self.client.get_model_config("texts")["input"][0]["data_type"],
                         "TYPE_STRING")

    def test_every_way_of_data_gives_the_same(self):
        for binary_in in (True, False):
            for binary_out in (True, False, None):
                with self.subTest(binary_in=binary_in, binary_out=binary_out):
                    outputs = None
                    if binary_out is not None:
                        outputs = [triton.InferRequestedOutput("y", binary_data=binary_out)]
                    answer = self.infer("add-one", [tensor(triton, "x", ROWS, "FP32", binary_in)],
                                        outputs=outputs, request_id="r 1")
                    np.testing.assert_array_equal(answer.as_numpy("y"), ROWS + 1)
                    body = answer.get_response()
                    self.assertEqual((body["id"], body["model_name"], body["model_version"]),
                                     ("r 1", "add-one", "1"))

    def test_every_type_of_these_models(self):
        longs = np.array([[1, -(2**40)]], dtype=np.int64)
        flags = np.array([True, False])
        texts = np.array(["a", "é€😀", ""], dtype=object)
        for binary in (True, False):
            with self.subTest(binary=binary):
                answer = self.infer("longs", [tensor(triton, "x", longs, "INT64", binary)])
                np.testing.assert_array_equal(answer.as_numpy("y"), longs * 2)
                answer = self.infer("bools", [tensor(triton, "x", flags, "BOOL", binary)])
                np.testing.assert_array_equal(answer.as_numpy("y"), ~flags)
                answer = self.infer("texts", [tensor(triton, "x", texts, "BYTES", binary)])
                self.assertEqual([t.decode() for t in answer.as_numpy("y")], list(texts))

    def test_inputs_in_any_order_and_some_outputs(self):
        a = np.ones((1, 3), dtype=np.float32)
        inputs = [tensor(triton, "b", a * 5, "FP32", False), tensor(triton, "a", a, "FP32")]
        answer = self.infer("sum", inputs, outputs=[triton.InferRequestedOutput("product")])
        np.testing.assert_array_equal(answer.as_numpy("product"), a * 5)
        self.assertIsNone(answer.as_numpy("sum"))

    def test_compression(self):
        for algorithm in ("gzip", "deflate"):
            for binary in (True, False):
                with self.subTest(algorithm=algorithm, binary=binary):
                    answer = self.infer("add-one", [tensor(triton, "x", ROWS, "FP32", binary)],
                                        request_compression_algorithm=algorithm,
                                        response_compression_algorithm=algorithm)
                    np.testing.assert_array_equal(answer.as_numpy("y"), ROWS + 1)

    def test_classification(self):
        image = np.random.default_rng(1).random((2, 3, 8, 8), dtype=np.float32)
        scores = self.infer("classes", [tensor(triton, "image", image, "FP32")]).as_numpy(
            "probabilities")
        wanted = triton.InferRequestedOutput("probabilities", class_count=2)
        best = self.infer("classes", [tensor(triton, "image", image, "FP32")],
                          outputs=[wanted]).as_numpy("probabilities")
        self.assertEqual(best.shape, (2, 2))
        for row in range(2):
            order = np.argsort(-scores[row])[:2]
            for place, index in enumerate(order):
                score, found = best[row][place].decode().split(":")[:2]
                self.assertEqual(int(found), index)
                self.assertAlmostEqual(float(score), float(scores[row][index]), places=5)

    def test_parameters_that_mean_nothing_here_are_taken(self):
        answer = self.infer("add-one", [tensor(triton, "x", ROWS, "FP32")], sequence_id=7,
                            sequence_start=True, sequence_end=True, priority=1, timeout=5_000_000,
                            parameters={"mine": "x", "number": 1.5, "flag": True})
        np.testing.assert_array_equal(answer.as_numpy("y"), ROWS + 1)

    def test_statistics_count_what_was_asked(self):
        def counts():
            stats = self.client.get_inference_statistics("fixed", "1")["model_stats"][0]
            runs = sum(one["compute_infer"]["count"] for one in stats["batch_stats"])
            return stats["inference_stats"]["success"]["count"], stats["execution_count"], runs

        before = counts()
        x = np.zeros((2, 3), dtype=np.float32)
        for _ in range(3):
            self.infer("fixed", [tensor(triton, "x", x, "FP32")])
        self.assertEqual(counts(), tuple(count + 3 for count in before))
        names = {entry["name"] for entry in self.client.get_inference_statistics()["model_stats"]}
        self.assertIn("busy", names)

    def test_errors_are_the_servers_words(self):
        with self.assertRaises(InferenceServerException) as raised:
            self.infer("none", [tensor(triton, "x", ROWS, "FP32")])
        self.assertIn("no model 'none' is served", raised.exception.message())
        self.assertEqual(raised.exception.status(), "404")
        with self.assertRaises(InferenceServerException) as raised:
            self.infer("add-one", [tensor(triton, "z", ROWS, "FP32")])
        self.assertIn("has no input 'z'", raised.exception.message())

    def test_threads(self):
        pending = [self.client.async_infer("add-one", [tensor(triton, "x", ROWS + i, "FP32")])
                   for i in range(32)]
        for i, request in enumerate(pending):
            np.testing.assert_array_equal(request.get_result().as_numpy("y"), ROWS + i + 1)

    def test_the_body_maker_and_reader(self):
        body, size = triton.InferenceServerClient.generate_request_body(
            [tensor(triton, "x", ROWS, "FP32")])
        answer = self.server.post("/v2/models/add-one/infer", body,
                                  headers={"Inference-Header-Content-Length": str(size)})
        result = triton.InferenceServerClient.parse_response_body(
            answer.body, header_length=int(answer.headers["inference-header-content-length"]))
        np.testing.assert_array_equal(result.as_numpy("y"), ROWS + 1)

    def test_repository_on_the_admin_port(self):
        admin = triton.InferenceServerClient(f"127.0.0.1:{self.server.admin_port}")
        self.addCleanup(admin.close)

        def state(name):
            return {entry["name"]: entry["state"] for entry in
                    admin.get_model_repository_index()}.get(name)

        self.assertEqual(state("pixels"), "READY")
        admin.unload_model("pixels")
        self.assertEqual(state("pixels"), "UNAVAILABLE")
        self.assertFalse(self.client.is_model_ready("pixels"))
        admin.load_model("pixels")
        self.assertEqual(state("pixels"), "READY")
        self.assertTrue(self.client.is_model_ready("pixels"))
        for refused in (lambda: admin.load_model("none"), lambda: admin.unload_model("none"),
                        lambda: admin.load_model("pixels", config="{}"),
                        self.client.get_model_repository_index):
            with self.assertRaises(InferenceServerException):
                refused()

    def test_shared_memory_is_refused_in_words(self):
        given = triton.InferInput("x", [2, 4], "FP32")
        given.set_shared_memory("region", 32)
        with self.assertRaises(InferenceServerException) as raised:
            self.infer("add-one", [given])
        self.assertIn("shared memory", raised.exception.message())


class TritonHttpAio(ConformanceCase):
    def test_asyncio(self):
        async def run():
            async with triton_aio.InferenceServerClient(self.url) as client:
                self.assertTrue(await client.is_server_ready())
                self.assertEqual((await client.get_model_metadata("add-one"))["name"], "add-one")
                answers = await asyncio.gather(*[
                    client.infer("add-one", [tensor(triton_aio, "x", ROWS + i, "FP32", i % 2 == 0)],
                                 request_compression_algorithm="gzip" if i % 3 == 0 else None)
                    for i in range(24)])
                for i, answer in enumerate(answers):
                    np.testing.assert_array_equal(answer.as_numpy("y"), ROWS + i + 1)
                with self.assertRaises(InferenceServerException):
                    await client.infer("none", [tensor(triton_aio, "x", ROWS, "FP32")])
                stats = await client.get_inference_statistics("add-one")
                self.assertGreaterEqual(
                    stats["model_stats"][0]["inference_stats"]["success"]["count"], 24)

        asyncio.run(run())


if __name__ == "__main__":
    unittest.main(verbosity=2)
