"""NVIDIA's perf_analyzer, with the statistics that it asks the server for."""

import csv
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

from harness import LIMIT, ROOT
from repository import ConformanceCase

DOWNLOAD_LIMIT = 600  # seconds


class PerfAnalyzer(ConformanceCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tool = subprocess.run([ROOT / "scripts/perf-analyzer.sh"], check=True, capture_output=True,
                                  text=True, timeout=DOWNLOAD_LIMIT).stdout.strip()

    def measure(self, *arguments):
        """What it printed, and the row of its report. How steady the machine is does not matter."""
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report.csv"
            done = subprocess.run(
                [self.tool, "--concurrency-range", "2", "--measurement-mode", "count_windows",
                 "--measurement-request-count", "100", "--measurement-interval", "100", "--max-trials",
                 "3", "--stability-percentage", "100000", "-f", report, *arguments],
                capture_output=True, text=True, timeout=LIMIT, check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            with report.open() as lines:
                return done.stdout, next(csv.DictReader(lines))

    def check(self, text, row, batch=1):
        """The server's counts are those of the client, but for what both ends cut differently."""
        def count(what):
            return int(re.search(rf"{what}: (\d+)", text)[1])

        requests = count("Request count")
        self.assertGreaterEqual(requests, 100)
        self.assertAlmostEqual(count("Successful request count"), requests, delta=requests * 0.1 + 8)
        self.assertAlmostEqual(count("Inference count"), batch * requests,
                               delta=batch * (requests * 0.1 + 8))
        self.assertGreater(float(row["Inferences/Second"]), 0)
        self.assertGreater(float(row["Server Compute Infer"]), 0)

    def test_grpc(self):
        self.check(*self.measure("-m", "add-one", "-i", "grpc", "-u", self.grpc_url))

    def test_grpc_stream(self):
        self.check(*self.measure("-m", "add-one", "-i", "grpc", "-u", self.grpc_url, "--streaming"))

    def test_http_batches(self):
        text, row = self.measure("-m", "add-one", "-i", "http", "-u", self.url, "-b", "4")
        self.check(text, row, batch=4)

    def test_open_shapes_and_a_queue(self):
        self.check(*self.measure("-m", "classes", "-i", "http", "-u", self.url, "-x", "1"))
        self.check(*self.measure("-m", "identity", "-i", "grpc", "-u", self.grpc_url, "--shape",
                                 "x:7"))

    def test_shared_memory_fails_with_the_servers_words(self):
        done = subprocess.run([self.tool, "-m", "add-one", "-i", "grpc", "-u", self.grpc_url,
                               "--shared-memory", "system"], capture_output=True, text=True,
                              timeout=LIMIT, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("shared memory is not offered", done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
