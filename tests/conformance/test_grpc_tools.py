"""grpcurl and ghz, which know the services from reflection alone."""

import base64
import json
import struct
import subprocess
import unittest

from harness import LIMIT, ROOT
from repository import ConformanceCase

BUILD_LIMIT = 1500  # seconds: Go programs are compiled once
INFER = "inference.GRPCInferenceService/ModelInfer"
TYPED = {"model_name": "add-one", "inputs": [
    {"name": "x", "datatype": "FP32", "shape": [1, 4], "contents": {"fp32_contents": [1, 2, 3, 4]}}]}
SERVICES = {"grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
            "grpc.reflection.v1alpha.ServerReflection",
            "inference.GRPCInferenceService", "podsense.v1.InferenceService"}


class GrpcTools(ConformanceCase):
    def run_tool(self, name, *arguments, given=None):
        tool = subprocess.run([ROOT / "scripts/go-tool.sh", name], check=True, capture_output=True,
                              text=True, timeout=BUILD_LIMIT).stdout.strip()
        return subprocess.run([tool, *arguments], capture_output=True, text=True, timeout=LIMIT,
                              input=given, check=False)

    def grpcurl(self, *arguments, given=None):
        return self.run_tool("grpcurl", "-plaintext", *arguments, given=given)

    def call(self, method, message):
        done = self.grpcurl("-d", "@", self.grpc_url, method, given=json.dumps(message))
        self.assertEqual(done.returncode, 0, done)
        return json.loads(done.stdout)

    def outputs(self, answer):
        data = base64.b64decode(answer["raw_output_contents"][0])
        return struct.unpack(f"<{len(data) // 4}f", data)

    def test_grpcurl_lists_and_describes(self):
        done = self.grpcurl(self.grpc_url, "list")
        self.assertEqual(set(done.stdout.split()), SERVICES, done)
        methods = self.grpcurl(self.grpc_url, "list", "inference.GRPCInferenceService").stdout
        self.assertIn(INFER.replace("/", "."), methods.split())
        described = self.grpcurl(self.grpc_url, "describe", ".inference.ModelInferRequest")
        self.assertIn("repeated bytes raw_input_contents = 7;", described.stdout)

    def test_grpcurl_calls(self):
        self.assertEqual(self.outputs(self.call(INFER, TYPED)), (2, 3, 4, 5))
        raw = base64.b64encode(struct.pack("<4f", 1, 2, 3, 4)).decode()
        self.assertEqual(self.outputs(self.call(INFER, {
            "model_name": "add-one", "raw_input_contents": [raw],
            "inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4]}]})), (2, 3, 4, 5))
        self.assertEqual(self.call("grpc.health.v1.Health/Check", {}), {"status": "SERVING"})
        stream = self.grpcurl("-d", "@", self.grpc_url, "inference.GRPCInferenceService/ModelStreamInfer",
                              given="\n".join([json.dumps(TYPED)] * 3))
        self.assertEqual(stream.stdout.count('"infer_response"'), 3, stream)

    def test_grpcurl_shows_errors(self):
        done = self.grpcurl("-d", "@", self.grpc_url, INFER,
                            given=json.dumps(TYPED | {"model_name": "none"}))
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("Code: NotFound", done.stderr)
        self.assertIn("no model 'none' is served", done.stderr)

    def test_ghz_gets_no_error(self):
        done = self.run_tool("ghz", "--insecure", "--call", INFER.replace("/", "."), "-d",
                             json.dumps(TYPED), "-n", "2000", "-c", "8", "--connections", "2",
                             "-O", "json", self.grpc_url)
        self.assertEqual(done.returncode, 0, done)
        report = json.loads(done.stdout)
        self.assertEqual(report["count"], 2000)
        self.assertEqual(report["statusCodeDistribution"], {"OK": 2000}, report)
        self.assertFalse(report.get("errorDistribution"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
