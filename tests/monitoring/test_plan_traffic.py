"""`podsense plan traffic` and `podsense plan --prometheus`: from a real Prometheus that scrapes a real PodSense."""

import http.server
import json
import re
import subprocess
import tempfile
import threading
import time
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


class KubeStateMetrics(http.server.BaseHTTPRequestHandler):
    """What it says of one pod, created so many seconds before the test."""

    CREATED = time.time() - 7

    def do_GET(self):
        body = f'kube_pod_created{{namespace="shop",pod="web-1"}} {self.CREATED:.0f}\n'.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class OneStep(unittest.TestCase):
    """A plan without a file: two models behind one Prometheus, and what was not recorded."""

    SEARCH = ("--objective", "p90=1s", "--runs", "2,2,2", "--range", "5m", "--allow", "signal=none", "--allow", "min=1,2",
              "--allow", "cpu_request=500m", "--selector", '{namespace="shop"}')

    def plan(self, *arguments, text=""):
        return subprocess.run([str(harness.BINARY), "plan", "--prometheus", self.url, *self.SEARCH, *arguments], input=text,
                              text=True, capture_output=True, timeout=harness.LIMIT, check=False, env=harness.clean_environment())

    def refused(self, part, *arguments, text=""):
        done = self.plan(*arguments, text=text)
        self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertIn(part, done.stderr)

    def record(self, *drops):
        """Requests of two models; metrics whose names match `drops` never reach Prometheus."""
        cluster = http.server.ThreadingHTTPServer(("127.0.0.1", 0), KubeStateMetrics)
        self.addCleanup(cluster.server_close)
        self.addCleanup(cluster.shutdown)
        threading.Thread(target=cluster.serve_forever, args=(0.05,), daemon=True).start()
        KubeStateMetrics.CREATED = time.time() - 7
        server = self.enterContext(harness.Server("--executors=1"))
        jobs = [{"job_name": name, "honor_labels": True, "static_configs": [{"targets": [f"127.0.0.1:{port}"], "labels": labels}],
                 "metric_relabel_configs": [{"source_labels": ["__name__"], "regex": drop, "action": "drop"} for drop in drops]}
                for name, port, labels in (("podsense", server.admin_port, LABELS), ("kube", cluster.server_address[1], {}))]
        prometheus = self.enterContext(Prometheus({}, [], ("native-histograms",), more=jobs))
        self.url = f"http://127.0.0.1:{prometheus.port}"
        asks = [("/infer", {"cpu_ms": 20})] * 3 + [("/predict-single", {"features": [1] * 20})]
        for path, body in asks:
            self.assertEqual(server.post_json(path, body).status, 200)
        harness.wait_until(lambda: prometheus.values("sum(podsense_requests_total) >= 4"), what="the first requests")
        for _ in range(15):
            for path, body in asks:
                server.post_json(path, body)
        harness.wait_until(lambda: prometheus.values("sum(podsense_requests_total offset 2s) >= 64"), what="all requests")

    def test_a_plan_of_what_was_recorded(self):
        self.record()
        self.refused("several models: simulated (")
        done = self.plan("--model", "simulated", "--json", "-")
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        made = json.loads(done.stdout)
        self.assertEqual(made["verdict"], "holds")
        scenario = made["scenario"]
        self.assertEqual((scenario["length"], scenario["arrivals"]["trace"]), ("5m", "recorded.csv"))
        self.assertIn("minute,count\n", made["files"]["recorded.csv"])
        times = scenario["service"]["run_cpu"]["values"]
        mean = sum(float(one.removesuffix("ms")) * count for one, count in times) / sum(count for _, count in times)
        self.assertGreater(mean, 15)  # the forest's runs, of less than one, are not in it
        pull, load = (float(scenario["start"][part]["values"][0][0].removesuffix("ms")) for part in ("pull", "load"))
        self.assertGreater(pull, 5000)
        self.assertGreater(load, 0)
        self.assertRegex(scenario["pod"]["memory_used"], r"^\d+Mi$")
        self.assertIn("from kube_pod_created", " ".join(made["assumed"]))
        own = self.plan("-", "--model", "simulated", "--json", "-", "--set", "start.pull=20s",
                        text="pod: {memory_request: 1Gi}\nstart: {propagation: 100ms}\n")
        self.assertEqual((own.returncode, own.stderr), (0, ""))
        own = json.loads(own.stdout)["scenario"]
        self.assertEqual((own["pod"]["memory_request"], own["start"]["pull"], own["start"]["propagation"]), ("1Gi", "20s", "100ms"))
        self.assertEqual(own["start"]["load"], scenario["start"]["load"])

    def test_it_does_not_plan_without_a_start(self):
        self.record("podsense_ready", "kube_.*")
        simulated = ("--model", "simulated")
        self.refused('start: no pod of {namespace="shop"} began within the range', *simulated)
        done = self.plan(*simulated, "--assume-start", "9s")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("assumed, not measured", done.stdout)
        self.assertEqual(self.plan(*simulated, "--set", "start.load=9s").returncode, 0)
        self.assertEqual(self.plan("-", *simulated, text="start: {load: 9s}").returncode, 0)


class Native(Recorded, unittest.TestCase):
    FEATURES = ("native-histograms",)

    def test_native_buckets(self):
        self.assertNotIn("fixed buckets", self.check(self.record()))


if __name__ == "__main__":
    unittest.main()
