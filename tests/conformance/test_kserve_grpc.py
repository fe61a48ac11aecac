"""KServe's InferenceGRPCClient."""

import asyncio
import unittest

import grpc
import numpy as np
from harness import LIMIT
from kserve import InferenceGRPCClient, InferInput, InferRequest
from repository import ConformanceCase

ROWS = np.arange(8, dtype=np.float32).reshape(2, 4) / 3


def tensor(name, array, datatype, binary):
    made = InferInput(name, list(array.shape), datatype)
    made.set_data_from_numpy(array, binary_data=binary)
    return made


class KserveGrpc(ConformanceCase):
    def run_with_client(self, use):
        async def run():
            async with InferenceGRPCClient(self.grpc_url) as client:
                await asyncio.wait_for(use(client), LIMIT)

        asyncio.run(run())

    def test_readiness(self):
        async def use(client):
            self.assertIs(await client.is_server_live(), True)
            self.assertIs(await client.is_server_ready(), True)
            self.assertIs(await client.is_model_ready("add-one"), True)
            self.assertIs(await client.is_model_ready("none"), False)

        self.run_with_client(use)

    def test_infer_raw_and_typed(self):
        async def use(client):
            for binary in (True, False):
                with self.subTest(binary=binary):
                    answer = await client.infer(InferRequest(
                        "add-one", [tensor("x", ROWS, "FP32", binary)], request_id="r-1"))
                    np.testing.assert_array_equal(answer.outputs[0].as_numpy(), ROWS + 1)
                    self.assertEqual((answer.id, answer.model_name), ("r-1", "add-one"))
                    longs = np.array([[1, -(2**40)]], dtype=np.int64)
                    answer = await client.infer(
                        InferRequest("longs", [tensor("x", longs, "INT64", binary)]))
                    np.testing.assert_array_equal(answer.outputs[0].as_numpy(), longs * 2)
                    texts = np.array([b"a", "é€😀".encode(), b""], dtype=object)
                    answer = await client.infer(
                        InferRequest("texts", [tensor("x", texts, "BYTES", binary)]))
                    self.assertEqual(list(answer.outputs[0].as_numpy()), list(texts))

        self.run_with_client(use)

    def test_errors_are_the_servers_words(self):
        async def use(client):
            for model, name, status, words in (
                    ("none", "x", grpc.StatusCode.NOT_FOUND, "no model 'none' is served"),
                    ("add-one", "z", grpc.StatusCode.INVALID_ARGUMENT, "has no input 'z'")):
                with self.assertRaises(grpc.RpcError) as raised:
                    await client.infer(InferRequest(model, [tensor(name, ROWS, "FP32", True)]))
                self.assertEqual(raised.exception.code(), status)
                self.assertIn(words, raised.exception.details())

        self.run_with_client(use)


if __name__ == "__main__":
    unittest.main(verbosity=2)
