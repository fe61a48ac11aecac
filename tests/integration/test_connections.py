"""A serving process opens no connection of its own: no telemetry, no update check, no look-up."""

import json
import re
import shutil
import tempfile
import unittest
from pathlib import Path

from harness import BINARY, Origin, Server, photo

ROW = {"features": [0.5] * 20}


class Connections(unittest.TestCase):
    """Watches connect() of all threads from the first instruction on."""

    def setUp(self):
        if shutil.which("strace") is None:
            self.fail("strace is needed: apt install strace (scripts/setup.sh --test does)")
        if b"__asan_init" in BINARY.read_bytes() or b"__tsan_init" in BINARY.read_bytes():
            self.skipTest("sanitizers and ptrace do not go together")
        folder = tempfile.mkdtemp(prefix="podsense-strace-")
        self.addCleanup(shutil.rmtree, folder)
        self.trace = Path(folder) / "trace"
        self.wrapper = ("strace", "-f", "-qq", "-e", "trace=connect,sendto,sendmsg,sendmmsg",
                        "-e", "signal=none", "-o", str(self.trace))

    def to_the_network(self):
        """Lines with an address of a network family in an outgoing call."""
        return [line for line in self.trace.read_text().splitlines()
                if re.search(r"(connect|sendto|sendmsg|sendmmsg)\(.*AF_INET6?\b", line)]

    def test_serving_opens_none(self):
        with Server(wrapper=self.wrapper) as server:
            for version in ("", "?version=2"):
                self.assertEqual(server.post("/predict" + version, photo()).status, 200)
            self.assertEqual(server.post_json("/predict-single", ROW).status, 200)
            self.assertEqual(server.post_json("/predict-batch",
                                              {"instances": [ROW["features"]]}).status, 200)
            self.assertEqual(server.get("/infer?cpu_ms=1").status, 200)
            for path in ("/", "/docs", "/openapi.json", "/health", "/stats", "/version"):
                self.assertEqual(server.get(path).status, 200)
            self.assertEqual(server.admin("POST", "/v1/reload").status, 200)
            refused = server.post_json("/predict/url", {"url": "http://169.254.169.254/"})
            self.assertEqual(refused.status, 403)
        self.assertEqual(self.to_the_network(), [])

    def test_a_fetch_is_seen(self):
        # The control: the same watch does see the one connection that was asked for.
        with Origin({"/a.jpg": (200, {}, photo())}) as origin:
            with Server(*origin.flags, wrapper=self.wrapper) as server:
                answer = server.post_json("/predict/url", {"url": origin.url("/a.jpg")})
                self.assertEqual(answer.status, 200, json.dumps(answer.json))
            connects = [line for line in self.to_the_network() if "connect(" in line]
            self.assertEqual(len(connects), 1, connects)
            self.assertIn(f"htons({origin.port})", connects[0])


if __name__ == "__main__":
    unittest.main(verbosity=2)
