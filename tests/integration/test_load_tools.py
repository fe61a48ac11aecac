"""The k6 script and scripts/load.sh with hey, run as people run them against the real server. The
programs are built once into the cache by scripts/go-tool.sh."""

import os
import re
import subprocess
import unittest

from harness import BINARY, LIMIT, ROOT, TESTDATA, ServerCase

BUILD_LIMIT = 1500  # seconds: k6 is large, and compiled once


def go_tool(name):
    return subprocess.run([ROOT / "scripts/go-tool.sh", name], check=True, capture_output=True,
                          text=True, timeout=BUILD_LIMIT).stdout.strip()


class Tools(ServerCase):
    def environment(self, **more):
        return os.environ | {"BASE_URL": f"http://127.0.0.1:{self.server.http_port}"} | more

    def run_tool(self, *command, **environment):
        return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT * 2,
                              check=False, env=self.environment(**environment))

    def test_load_sh_with_hey_and_without(self):
        picture = TESTDATA / "jpeg_420.jpg"
        for tool, ok in ((go_tool("hey"), r"\[200\]\s+20 responses"), (BINARY, r"OK=20 failed=0")):
            for arguments in ([], ["image", picture]):
                done = self.run_tool(ROOT / "scripts/load.sh", *arguments, LOAD_TOOL=str(tool),
                                     REQUESTS="20", CONCURRENCY="4")
                self.assertEqual(done.returncode, 0, done)
                self.assertRegex(done.stdout, ok, done)

    def test_load_sh_says_what_is_wrong(self):
        for arguments, said in ((["nothing"], "accepted"), (["url"], "usage"),
                                (["image", "/no/such/file"], "no file")):
            done = self.run_tool(ROOT / "scripts/load.sh", *arguments)
            self.assertEqual(done.returncode, 2, done)
            self.assertIn(said, done.stderr)

    def test_the_k6_script_passes_against_the_server(self):
        done = self.run_tool(go_tool("k6"), "run", "--quiet", "-e", "RATE=10", "-e", "DURATION=2s",
                             "-e", "RAMP=1s", "-e", "P99_MS=20000",
                             "-e", f"BASE_URL=http://127.0.0.1:{self.server.http_port}",
                             ROOT / "tests/load-test.js", K6_NO_USAGE_REPORT="true")
        self.assertEqual(done.returncode, 0, done.stdout[-3000:] + done.stderr[-3000:])
        self.assertTrue(re.search(r"checks_succeeded[.: ]+100", done.stdout), done.stdout[-3000:])


if __name__ == "__main__":
    unittest.main()
