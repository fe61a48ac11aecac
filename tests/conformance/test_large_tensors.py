"""Binary tensors are not copied more than once between socket and ONNX Runtime: the server's memory at its
peak says so. tritonclient brings the bytes."""

import re
import unittest
from pathlib import Path

import numpy as np
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from harness import LIMIT
from repository import ConformanceCase

MIB = 1 << 20
ROWS = np.zeros((40 * MIB // 80, 20), dtype=np.float32)  # 40 MiB; what comes back is 8 MiB


class LargeTensors(ConformanceCase):
    FLAGS = ("--request-timeout", f"{LIMIT:.0f}s")

    def resident(self, what):
        status = Path(f"/proc/{self.server.pid}/status").read_text()
        return int(re.search(rf"{what}:\s+(\d+)", status)[1]) * 1024

    def growth(self, infer):
        """Of the peak over what was resident before, in sizes of the tensor."""
        Path(f"/proc/{self.server.pid}/clear_refs").write_text("5")  # the peak starts anew
        before = self.resident("VmRSS")
        infer()
        return (self.resident("VmHWM") - before) / ROWS.nbytes

    def ask(self, client, module, array):
        given = module.InferInput("features", list(array.shape), "FP32")
        given.set_data_from_numpy(array)
        more = {"client_timeout": LIMIT} if module is triton_grpc else {}
        answer = client.infer("rows", [given], **more)
        self.assertEqual(answer.as_numpy("label").shape, (len(array),))

    def test_rest_copies_the_bytes_once_at_most(self):
        client = triton_http.InferenceServerClient(self.url, network_timeout=LIMIT)
        self.addCleanup(client.close)
        self.ask(client, triton_http, ROWS[:1])
        # The body, an aligned copy of it where the JSON's length asks for one, and the answer: 2.0.
        self.assertLess(self.growth(lambda: self.ask(client, triton_http, ROWS)), 2.6)

    def test_grpc_copies_the_bytes_once(self):
        client = triton_grpc.InferenceServerClient(self.grpc_url)
        self.addCleanup(client.close)
        self.ask(client, triton_grpc, ROWS[:1])
        # What came from the socket, the message that it is read into, and the answer: 2.6, since gRPC's
        # buffers are not full.
        self.assertLess(self.growth(lambda: self.ask(client, triton_grpc, ROWS)), 3.2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
