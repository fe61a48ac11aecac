"""h2spec: each rule of RFC 9113 and 7541 that a server can be asked about, on both ports that speak
HTTP/2."""

import subprocess
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from harness import ROOT, ServerCase

BUILD_LIMIT = 600  # seconds: a Go program is compiled once
RUN_LIMIT = 400
TESTS = 146
# Expects the end of the connection, and nothing before. A port that speaks HTTP/1.1 as well answers
# 400 to bytes that are neither, as RFC 9112 2.2 has it, and ends the connection then.
EXPECTED = {"Sends invalid connection preface"}


def h2spec():
    done = subprocess.run([ROOT / "scripts/go-tool.sh", "h2spec"], check=True, capture_output=True,
                          text=True, timeout=BUILD_LIMIT)
    return done.stdout.strip()


class H2spec(ServerCase):
    def failures(self, port):
        with tempfile.TemporaryDirectory(prefix="podsense-h2spec-") as folder:
            report = Path(folder, "report.xml")
            done = subprocess.run(
                [h2spec(), "--strict", "--host", "127.0.0.1", "--port", str(port), "--path", "/infer",
                 "--timeout", "10", "--junit-report", report],
                capture_output=True, text=True, timeout=RUN_LIMIT, check=False)
            self.assertTrue(report.exists(), done.stdout + done.stderr)
            cases = list(ElementTree.parse(report).iter("testcase"))
        self.assertEqual(len(cases), TESTS)
        return {case.get("classname") for case in cases
                if case.find("failure") is not None or case.find("error") is not None}

    def test_http_port(self):
        self.assertEqual(self.failures(self.server.http_port), EXPECTED)

    def test_grpc_port(self):
        self.assertEqual(self.failures(self.server.grpc_port), EXPECTED)


if __name__ == "__main__":
    unittest.main(verbosity=2)
