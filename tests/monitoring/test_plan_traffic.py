"""`podsense plan traffic`: a scenario from a real Prometheus that scrapes a real PodSense."""

import re
import subprocess
import tempfile
import unittest
from pathlib import Path

from prometheus import Prometheus, harness

LABELS = {"namespace": "shop", "pod": "web-1"}


def traffic(prometheus, out, *arguments):
    ranges = () if "--range" in arguments else ("--range", "5m")
    outs = () if "--out" in arguments else ("--out", str(out))
    return subprocess.run([str(harness.BINARY), "plan", "traffic", "--prometheus", prometheus, *outs, *ranges, *arguments],
                          text=True, capture_output=True, timeout=harness.LIMIT, check=False,
                          env=harness.clean_environment())


class Recorded:
    FEATURES = ()

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.out = Path(self.folder.name, "week.yaml")

    def record(self):
        """100 requests of 5 ms, after a first that makes the series."""
        server = self.enterContext(harness.Server("--executors=1"))
        prometheus = self.enterContext(
            Prometheus({"podsense": (server.admin_port, "/metrics", LABELS)}, [], self.FEATURES))
        total = "sum(podsense_requests_total)"
        server.post_json("/infer", {"cpu_ms": 5})
        harness.wait_until(lambda: prometheus.values(f"{total} >= 1"), what="the first request")
        for _ in range(100):
            self.assertEqual(server.post_json("/infer", {"cpu_ms": 5}).status, 200)
        # The command asks for the last whole second.
        harness.wait_until(lambda: prometheus.values("sum(podsense_requests_total offset 2s) >= 101"), what="all requests")
        return f"http://127.0.0.1:{prometheus.port}"

    def check(self, url):
        done = traffic(url, self.out, "--selector", '{namespace="shop"}')
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        counts = [int(line.split(",")[1]) for line in self.out.with_suffix(".csv").read_text().splitlines()[1:]]
        self.assertEqual(len(counts), 5)
        self.assertGreater(sum(counts), 60, "increase() extrapolates")
        self.assertLess(sum(counts), 200)
        scenario = self.out.read_text()
        values = [(float(ms), int(count)) for ms, count in
                  re.findall(r"\[([\d.]+)ms, (\d+)\]", scenario.split("run_cpu:")[1].split("\n")[0])]
        mean = sum(ms * count for ms, count in values) / sum(count for _, count in values)
        self.assertGreater(mean, 4.5)
        self.assertIn("start:", scenario)
        played = subprocess.run([str(harness.BINARY), "simulate", str(self.out)], text=True, capture_output=True,
                                timeout=harness.LIMIT, check=False)
        self.assertEqual((played.returncode, played.stderr), (0, ""))
        return scenario


class Fixed(Recorded, unittest.TestCase):
    def test_fixed_buckets(self):
        url = self.record()
        self.assertIn("fixed buckets", self.check(url))
        wrong = traffic(url, self.out, "--selector", 'namespace="sohp"')
        self.assertEqual((wrong.returncode, wrong.stdout), (2, ""))
        self.assertRegex(wrong.stderr, r'^podsense plan traffic: Prometheus has no podsense_requests_total\{namespace="sohp"\}; '
                                       r'it has podsense_requests_total with .*namespace="shop".*\n$')
        bad = traffic(url, self.out, "--selector", "{namespace=shop}")
        self.assertEqual(bad.returncode, 2)
        self.assertRegex(bad.stderr, r"^podsense plan traffic: Prometheus says: .*parse error.*\n$")

    def test_faults_are_one_line(self):
        for arguments, code, part in [((), 1, "--prometheus: "), (("--range", "1y"), 2, "accepted: such as 30m"),
                                      (("--out", "/nonexistent/x"), 2, "--out: cannot write /nonexistent/x"),
                                      (("--out", "x.csv"), 2, "--out and its trace are both x.csv"),
                                      (("--out", "-"), 2, "two files")]:
            done = traffic("http://127.0.0.1:1", self.out, *arguments)
            self.assertEqual((done.returncode, done.stdout), (code, ""), done.stderr)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
            self.assertIn(part, done.stderr)
        with harness.Server() as server:
            done = traffic(f"http://127.0.0.1:{server.http_port}", self.out)
            self.assertEqual(done.returncode, 1)
            self.assertIn("answers 404", done.stderr)
        self.assertFalse(self.out.exists())


class Native(Recorded, unittest.TestCase):
    FEATURES = ("native-histograms",)

    def test_native_buckets(self):
        self.assertNotIn("fixed buckets", self.check(self.record()))


if __name__ == "__main__":
    unittest.main()
