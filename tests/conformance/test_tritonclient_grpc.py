"""NVIDIA's tritonclient over gRPC: sync, callbacks, asyncio and streams."""

import asyncio
import queue
import unittest

import grpc
import numpy as np
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from harness import LIMIT
from repository import ConformanceCase
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

ROWS = np.arange(8, dtype=np.float32).reshape(2, 4) / 3
# name of the client's method, its arguments
NOT_OFFERED = [
    ("get_system_shared_memory_status", ()),
    ("register_system_shared_memory", ("region", "/key", 64)),
    ("unregister_system_shared_memory", ()),
    ("get_cuda_shared_memory_status", ()),
    ("register_cuda_shared_memory", ("region", b"aGFuZGxl", 0, 64)),
    ("unregister_cuda_shared_memory", ()),
    ("get_trace_settings", ()),
    ("update_trace_settings", ("add-one", {"trace_rate": "1"})),
    ("get_log_settings", ()),
    ("update_log_settings", ({"log_verbose_level": 1},)),
]


def tensor(client, name, array, datatype):
    made = client.InferInput(name, list(array.shape), datatype)
    made.set_data_from_numpy(array)
    return made


class TritonGrpc(ConformanceCase):
    def setUp(self):
        self.client = triton.InferenceServerClient(self.grpc_url)
        self.addCleanup(self.client.close)

    def infer(self, model, inputs, **more):
        return self.client.infer(model, inputs, client_timeout=LIMIT, **more)

    def assert_refused(self, status, words, call, *arguments, **more):
        with self.assertRaises(InferenceServerException) as raised:
            call(*arguments, **more)
        self.assertEqual(raised.exception.status(), f"StatusCode.{status}")
        self.assertIn(words, raised.exception.message())

    def test_server_is_live_and_ready(self):
        self.assertTrue(self.client.is_server_live())
        self.assertTrue(self.client.is_server_ready())
        self.assertTrue(self.client.is_model_ready("add-one"))
        self.assertTrue(self.client.is_model_ready("add-one", "1"))
        self.assertFalse(self.client.is_model_ready("none"))
        self.assertFalse(self.client.is_model_ready("add-one", "2"))

    def test_metadata_and_config(self):
        server = self.client.get_server_metadata(as_json=True)
        self.assertEqual(server["name"], "podsense")
        self.assertIn("statistics", server["extensions"])
        model = self.client.get_model_metadata("sum", as_json=True)
        self.assertEqual((model["name"], model["versions"], model["platform"]),
                         ("sum", ["1"], "onnxruntime_onnx"))
        self.assertEqual(model["inputs"], [
            {"name": "a", "datatype": "FP32", "shape": ["-1", "3"]},
            {"name": "b", "datatype": "FP32", "shape": ["-1", "3"]}])
        config = self.client.get_model_config("sum", "1").config
        self.assertGreater(config.max_batch_size, 0)
        self.assertEqual([(i.name, i.data_type, list(i.dims)) for i in config.input],
                         [("a", triton.model_config_pb2.TYPE_FP32, [3]),
                          ("b", triton.model_config_pb2.TYPE_FP32, [3])])

    def test_raw_data_of_every_type_of_these_models(self):
        answer = self.infer("add-one", [tensor(triton, "x", ROWS, "FP32")], request_id="r 1")
        np.testing.assert_array_equal(answer.as_numpy("y"), ROWS + 1)
        body = answer.get_response()
        self.assertEqual((body.id, body.model_name, body.model_version), ("r 1", "add-one", "1"))
        longs = np.array([[1, -(2**40)]], dtype=np.int64)
        answer = self.infer("longs", [tensor(triton, "x", longs, "INT64")])
        np.testing.assert_array_equal(answer.as_numpy("y"), longs * 2)
        flags = np.array([True, False])
        answer = self.infer("bools", [tensor(triton, "x", flags, "BOOL")])
        np.testing.assert_array_equal(answer.as_numpy("y"), ~flags)
        texts = np.array(["a", "é€😀", "", b"\xff\x00".decode("latin-1")], dtype=object)
        answer = self.infer("texts", [tensor(triton, "x", texts, "BYTES")])
        self.assertEqual([t.decode() for t in answer.as_numpy("y")], list(texts))

    def test_typed_contents_by_the_clients_own_stub(self):
        def ask(model, name, datatype, shape, **contents):
            request = service_pb2.ModelInferRequest(model_name=model)
            given = request.inputs.add(name=name, datatype=datatype, shape=shape)
            for field, values in contents.items():
                getattr(given.contents, field).extend(values)
            return triton.InferResult(stub.ModelInfer(request, timeout=LIMIT)).as_numpy("y")

        with grpc.insecure_channel(self.grpc_url) as channel:
            stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            np.testing.assert_array_equal(
                ask("add-one", "x", "FP32", [2, 4], fp32_contents=ROWS.ravel().tolist()), ROWS + 1)
            np.testing.assert_array_equal(
                ask("longs", "x", "INT64", [1, 2], int64_contents=[3, -4]), [[6, -8]])
            np.testing.assert_array_equal(
                ask("bools", "x", "BOOL", [2], bool_contents=[True, False]), [False, True])
            self.assertEqual(
                list(ask("texts", "x", "BYTES", [2], bytes_contents=[b"a", b"\xff\x00"])),
                [b"a", b"\xff\x00"])

    def test_inputs_in_any_order_and_some_outputs(self):
        a = np.ones((1, 3), dtype=np.float32)
        inputs = [tensor(triton, "b", a * 5, "FP32"), tensor(triton, "a", a, "FP32")]
        answer = self.infer("sum", inputs, outputs=[triton.InferRequestedOutput("product")])
        np.testing.assert_array_equal(answer.as_numpy("product"), a * 5)
        self.assertIsNone(answer.as_numpy("sum"))

    def test_classification(self):
        image = np.random.default_rng(1).random((2, 3, 8, 8), dtype=np.float32)
        given = [tensor(triton, "image", image, "FP32")]
        scores = self.infer("classes", given).as_numpy("probabilities")
        wanted = triton.InferRequestedOutput("probabilities", class_count=2)
        best = self.infer("classes", given, outputs=[wanted]).as_numpy("probabilities")
        self.assertEqual(best.shape, (2, 2))
        for row in range(2):
            order = np.argsort(-scores[row])[:2]
            self.assertEqual([int(text.decode().split(":")[1]) for text in best[row]], list(order))

    def test_compression(self):
        for algorithm in ("gzip", "deflate"):
            with self.subTest(algorithm):
                answer = self.infer("add-one", [tensor(triton, "x", ROWS, "FP32")],
                                    compression_algorithm=algorithm)
                np.testing.assert_array_equal(answer.as_numpy("y"), ROWS + 1)

    def test_parameters_that_mean_nothing_here_are_taken(self):
        answer = self.infer("add-one", [tensor(triton, "x", ROWS, "FP32")], priority=1,
                            timeout=5_000_000, parameters={"mine": "x", "number": 1, "flag": True})
        np.testing.assert_array_equal(answer.as_numpy("y"), ROWS + 1)

    def test_statistics_count_what_was_asked(self):
        def phases():
            stats = self.client.get_inference_statistics("fixed", "1").model_stats[0]
            one = stats.inference_stats
            return [one.success.count, one.queue.count, one.compute_input.count,
                    one.compute_infer.count, one.compute_output.count, stats.execution_count,
                    sum(batch.compute_infer.count for batch in stats.batch_stats)]

        before = phases()
        for _ in range(3):
            self.infer("fixed", [tensor(triton, "x", np.zeros((2, 3), np.float32), "FP32")])
        self.assertEqual(phases(), [count + 3 for count in before])
        everything = self.client.get_inference_statistics(as_json=True)["model_stats"]
        self.assertIn("busy", {entry["name"] for entry in everything})

    def test_repository_index(self):
        index = {m.name: m.state for m in self.client.get_model_repository_index().models}
        self.assertEqual(index["add-one"], "READY")

    def test_loading_is_not_for_everybody(self):
        for call in (self.client.load_model, self.client.unload_model):
            self.assert_refused("PERMISSION_DENIED", "repository", call, "pixels")
        self.assertTrue(self.client.is_model_ready("pixels"))

    def test_errors_are_the_servers_words(self):
        self.assert_refused("NOT_FOUND", "no model 'none' is served", self.infer, "none",
                            [tensor(triton, "x", ROWS, "FP32")])
        self.assert_refused("INVALID_ARGUMENT", "has no input 'z'", self.infer, "add-one",
                            [tensor(triton, "z", ROWS, "FP32")])

    def test_what_is_not_offered_says_so(self):
        given = triton.InferInput("x", [2, 4], "FP32")
        given.set_shared_memory("region", 32)
        self.assert_refused("UNIMPLEMENTED", "shared memory", self.infer, "add-one", [given])
        for name, arguments in NOT_OFFERED:
            with self.subTest(name):
                words = "shared memory" if "memory" in name else "the server's configuration"
                self.assert_refused("UNIMPLEMENTED", words, getattr(self.client, name), *arguments)

    def test_callbacks(self):
        answers = queue.Queue()
        for i in range(32):
            self.client.async_infer(
                "add-one", [tensor(triton, "x", ROWS + i, "FP32")], request_id=str(i),
                callback=lambda result, error: answers.put((result, error)))
        for _ in range(32):
            result, error = answers.get(timeout=LIMIT)
            self.assertIsNone(error)
            np.testing.assert_array_equal(result.as_numpy("y"),
                                          ROWS + int(result.get_response().id) + 1)

    def test_stream_answers_in_order_and_goes_on_after_an_error(self):
        answers = queue.Queue()
        self.client.start_stream(callback=lambda result, error: answers.put((result, error)))
        for i in range(20):
            model = "none" if i == 7 else "add-one"
            self.client.async_stream_infer(model, [tensor(triton, "x", ROWS + i, "FP32")],
                                           request_id=str(i))
        for i in range(20):
            result, error = answers.get(timeout=LIMIT)
            if i == 7:
                self.assertIn("no model 'none' is served", error.message())
                continue
            self.assertIsNone(error)
            self.assertEqual(result.get_response().id, str(i))
            np.testing.assert_array_equal(result.as_numpy("y"), ROWS + i + 1)
            self.assertTrue(result.get_response().parameters["triton_final_response"].bool_param)
        self.client.stop_stream()

    def test_a_deadline_that_cannot_be_met(self):
        image = np.zeros((64, 3, 8, 8), dtype=np.float32)
        with self.assertRaises(InferenceServerException) as raised:
            self.infer("classes", [tensor(triton, "image", image, "FP32")], timeout=1)
        self.assertIn(raised.exception.status(),
                      ("StatusCode.DEADLINE_EXCEEDED", "StatusCode.UNAVAILABLE"))


class TritonGrpcAio(ConformanceCase):
    def run_with_client(self, use):
        async def run():
            async with triton_aio.InferenceServerClient(self.grpc_url) as client:
                await asyncio.wait_for(use(client), LIMIT)

        asyncio.run(run())

    def test_unary(self):
        async def use(client):
            self.assertTrue(await client.is_server_ready())
            self.assertEqual((await client.get_model_metadata("add-one")).name, "add-one")
            answers = await asyncio.gather(*[
                client.infer("add-one", [tensor(triton_aio, "x", ROWS + i, "FP32")])
                for i in range(24)])
            for i, answer in enumerate(answers):
                np.testing.assert_array_equal(answer.as_numpy("y"), ROWS + i + 1)
            with self.assertRaises(InferenceServerException) as raised:
                await client.infer("none", [tensor(triton_aio, "x", ROWS, "FP32")])
            self.assertEqual(raised.exception.status(), "StatusCode.NOT_FOUND")
            stats = (await client.get_inference_statistics("add-one")).model_stats[0]
            self.assertGreaterEqual(stats.inference_stats.success.count, 24)
            with self.assertRaises(InferenceServerException) as raised:
                await client.get_system_shared_memory_status()
            self.assertEqual(raised.exception.status(), "StatusCode.UNIMPLEMENTED")

        self.run_with_client(use)

    def test_stream(self):
        async def requests():
            for i in range(12):
                yield {"model_name": "none" if i == 5 else "add-one", "request_id": str(i),
                       "inputs": [tensor(triton_aio, "x", ROWS + i, "FP32")]}

        async def use(client):
            i = 0
            async for result, error in client.stream_infer(requests()):
                if i == 5:
                    self.assertIn("no model 'none' is served", error.message())
                else:
                    self.assertIsNone(error)
                    np.testing.assert_array_equal(result.as_numpy("y"), ROWS + i + 1)
                i += 1
            self.assertEqual(i, 12)

        self.run_with_client(use)


if __name__ == "__main__":
    unittest.main(verbosity=2)
