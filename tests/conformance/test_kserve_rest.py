"""KServe's InferenceRESTClient, protocol v2."""

import asyncio
import unittest

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferOutput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput
from repository import ConformanceCase

ROWS = np.arange(8, dtype=np.float32).reshape(2, 4) / 3


class KserveRest(ConformanceCase):
    def run_with_client(self, use):
        async def run():
            client = InferenceRESTClient(RESTConfig(protocol="v2"))
            try:
                await use(client, f"http://{self.url}")
            finally:
                await client.close()

        asyncio.run(run())

    def test_readiness(self):
        async def use(client, url):
            self.assertIs(await client.is_server_live(url), True)
            self.assertIs(await client.is_server_ready(url), True)
            self.assertTrue(await client.is_model_ready(url, "add-one"))
            self.assertFalse(await client.is_model_ready(url, "none"))

        self.run_with_client(use)

    def test_infer_as_json_and_binary(self):
        async def use(client, url):
            for binary_in in (False, True):
                for binary_out in (False, True):
                    with self.subTest(binary_in=binary_in, binary_out=binary_out):
                        given = InferInput("x", list(ROWS.shape), "FP32")
                        given.set_data_from_numpy(ROWS, binary_data=binary_in)
                        request = InferRequest("add-one", [given], request_id="r-1", request_outputs=[
                            RequestedOutput("y", {"binary_data": binary_out})])
                        answer = await client.infer(url, request, model_name="add-one")
                        np.testing.assert_array_equal(answer.outputs[0].as_numpy(), ROWS + 1)
                        self.assertIsInstance(answer.outputs[0], InferOutput)
                        self.assertEqual(answer.id, "r-1")
                        self.assertEqual(answer.model_name, "add-one")

        self.run_with_client(use)

    def test_infer_from_a_dictionary(self):
        async def use(client, url):
            answer = await client.infer(url, {"inputs": [
                {"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [[1, 2, 3, 4]]}]},
                model_name="add-one")
            np.testing.assert_array_equal(answer.outputs[0].as_numpy(), [[2, 3, 4, 5]])

        self.run_with_client(use)

    def test_errors_are_the_servers_words(self):
        async def use(client, url):
            with self.assertRaises(httpx.HTTPStatusError) as raised:
                await client.infer(url, {"inputs": []}, model_name="add-one")
            self.assertIn("input 'x' is missing", str(raised.exception))

        self.run_with_client(use)


if __name__ == "__main__":
    unittest.main(verbosity=2)
