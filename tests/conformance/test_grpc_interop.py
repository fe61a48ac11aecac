"""gRPC's own interoperability tests: its Go client, and its Java client for compressed messages,
against their service on this server's means for calls (tests/grpc_interop)."""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

from certificates import Authority
from harness import BINARY, LIMIT, ROOT

BUILD_LIMIT = 1500  # seconds: Go programs are compiled once
SERVER = Path(os.environ.get("PODSENSE_INTEROP_SERVER", BINARY.parent / "grpc_interop_server"))
CASES = """empty_unary large_unary client_streaming server_streaming ping_pong empty_stream
    timeout_on_sleeping_server cancel_after_begin cancel_after_first_response status_code_and_message
    special_status_message custom_metadata unimplemented_method unimplemented_service
    rpc_soak channel_soak""".split()
COMPRESSED = """client_compressed_unary server_compressed_unary client_compressed_streaming
    server_compressed_streaming""".split()
# What the Java client has in common with the Go one: another peer's habits of sending.
JAVA = [case for case in CASES if not case.endswith("soak")] + COMPRESSED + ["very_large_request"]


def tool(*command):
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=BUILD_LIMIT)
    return done.stdout.strip()


class Service:
    """The interoperability tests' server as a child."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen([SERVER, *map(str, arguments)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.port = self.process.stdout.readline().strip()

    def stop(self):
        """Its exit code; 3: a call was still under way."""
        self.process.stdin.close()
        self.process.stdout.close()
        return self.process.wait(LIMIT)


class Interop(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="podsense-interop-")
        cls.addClassCleanup(folder.cleanup)
        cls.authority = Authority(folder.name, "authority")
        cls.identity = cls.authority.issue("server")

    def run_cases(self, cases, client, *identity):
        service = Service(*identity)
        try:
            for case in cases:
                with self.subTest(case=case):
                    done = subprocess.run(client(service.port, case), capture_output=True, text=True,
                                          timeout=LIMIT, check=False)
                    self.assertEqual(done.returncode, 0, done.stdout[-2000:] + done.stderr[-2000:])
        finally:
            code = service.stop()
        self.assertEqual(code, 0)

    def go(self, port, case):
        return [tool(ROOT / "scripts/go-tool.sh", "grpc-interop"), "-server_host=127.0.0.1",
                f"-server_port={port}", f"-test_case={case}"]

    def go_with_tls(self, port, case):
        return [*self.go(port, case), "-use_tls", "-use_test_ca", f"-ca_file={self.authority.certificate}"]

    def java(self, port, case):
        return ["java", "-cp", tool(ROOT / "scripts/grpc-interop-java.sh"),
                "io.grpc.testing.integration.TestServiceClient", "--server_host=127.0.0.1",
                f"--server_port={port}", f"--test_case={case}", "--use_tls=false"]

    def test_go_client(self):
        self.run_cases(CASES, self.go)

    def test_go_client_with_tls(self):
        self.run_cases(CASES, self.go_with_tls, *self.identity)

    def test_java_client(self):
        self.run_cases(JAVA, self.java)


if __name__ == "__main__":
    unittest.main(verbosity=2)
