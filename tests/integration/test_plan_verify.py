"""`podsense plan verify`: a plan's traffic against a real server, its record, and what it says is off."""

import json
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

from harness import BINARY, LIMIT, Server, clean_environment
from kubernetes_double import Kubernetes, needs_kubectl

SCENARIO = """
length: 6s
objective: {latency: 250ms}
arrivals: {shape: "constant:20"}
service: {run_cpu: %s, request_cpu: 1ms, executors: 1}
"""


class Verify(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.environment = clean_environment() | {"XDG_STATE_HOME": self.folder.name, "HOME": self.folder.name}

    def verify(self, plan, *arguments):
        path = Path(self.folder.name, "plan")
        path.write_text(plan if isinstance(plan, str) else json.dumps(plan))
        return subprocess.run([str(BINARY), "plan", "verify", str(path), *map(str, arguments)], text=True,
                              capture_output=True, timeout=2 * LIMIT, check=False, env=self.environment)

    def replay(self, server, plan, *arguments):
        return self.verify(plan, "--url", f"http://127.0.0.1:{server.http_port}/infer", "-d", '{"cpu_ms": 10}',
                           "--admin", f"http://127.0.0.1:{server.admin_port}", *arguments)

    def records(self):
        return [json.loads(line) for line in Path(self.folder.name, "podsense/verified.jsonl").read_text().splitlines()]

    def test_a_scenario_is_replayed_recorded_and_remembered(self):
        with Server("--executors", "1") as server:
            done = self.replay(server, SCENARIO % "10ms")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertRegex(done.stdout, r"(?m)^p99 .*")
            again = self.replay(server, {"format": "podsense-plan/1", "verdict": "holds", "files": {},
                                         "scenario": {"length": "5s", "arrivals": {"shape": "constant:20"},
                                                      "service": {"run_cpu": "10ms", "executors": 1}}})
            self.assertEqual(again.returncode, 0, again.stderr)
        self.assertIn("error of the last 2 verified plans on 127.0.0.1: p50 ", again.stdout)
        first, second = self.records()
        self.assertEqual(first["cluster"], "127.0.0.1")
        self.assertEqual(first["format"], "podsense-verified/1")
        self.assertEqual(set(first["figures"]),
                         {"latency_p50_seconds", "latency_p95_seconds", "latency_p99_seconds", "late_share", "error_share"})
        self.assertGreater(second["figures"]["latency_p50_seconds"]["measured"], 0.009)

    def test_a_service_time_that_is_off_is_named(self):
        with Server("--executors", "1") as server:
            done = self.replay(server, SCENARIO % "1ms", "--strict")
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn("OUTSIDE", done.stdout)
        self.assertIn("off: service time: a request uses ", done.stdout)
        self.assertEqual([one["stage"] for one in self.records()[0]["off"]], ["service time"])

    @needs_kubectl
    def test_pods_of_a_cluster_are_watched(self):
        labels = {"app": "web"}
        deployment = {"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": "web", "namespace": "shop"},
                      "spec": {"selector": {"matchLabels": labels},
                               "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "a"}]}}}}
        pods = [{"kind": "Pod", "apiVersion": "v1", "metadata": {"name": name, "namespace": "shop", "labels": labels},
                 "spec": {"containers": [{"name": "a"}]},
                 "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
                for name in ("web-1", "web-2")]
        with Server("--executors", "1") as server:
            page = lambda: server.request("GET", "/metrics", port=server.admin_port).text
            raw = {"/api/v1/namespaces/shop/pods/web-1:8000/proxy/metrics": page}
            with Kubernetes({"Deployment": [deployment], "Pod": pods}, raw) as environment:
                self.environment |= environment
                done = self.verify(SCENARIO % "10ms", "--url", f"http://127.0.0.1:{server.http_port}/infer",
                                   "-d", '{"cpu_ms": 50}', "-n", "shop", "--name", "web")
        self.assertEqual(done.returncode, 0, done.stderr)
        [record] = self.records()
        self.assertEqual(record["cluster"], "c")
        self.assertEqual(record["figures"]["pods_most"]["measured"], 2)
        self.assertGreater(record["figures"]["pod_seconds"]["measured"], 10)
        self.assertIn("off: service time: a request uses ", done.stdout)

    def test_faults_are_one_line(self):
        free = "http://127.0.0.1:1/infer"
        for plan, arguments, code, part in [
                ("a: [", ("--url", free), 2, "not YAML"),
                ({"verdict": "holds"}, ("--url", free), 2, "the plan has no scenario"),
                ("length: 5s\n", ("--url", free), 2, "service.run_cpu must be given"),
                (SCENARIO % "1ms", ("--url", free, "-n", "shop"), 2, "go together"),
                (SCENARIO % "1ms", ("--url", free, "--admin", "http://127.0.0.1:1"), 1, "--admin"),
                (SCENARIO % "1ms", ("--url", free, "-H", "x"), 2, "NAME: VALUE"),
                (SCENARIO % "1ms", ("--url", free, "--record", "/dev/null/x"), 2, "--record: cannot write /dev/null/x"),
                (SCENARIO % "1ms", ("--url", free), 1, "127.0.0.1"),
        ]:
            done = self.verify(plan, *arguments)
            self.assertEqual((done.returncode, done.stdout), (code, ""), f"{part}: {done.stderr}")
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
            self.assertIn(part, done.stderr)
        self.assertFalse(os.path.exists(Path(self.folder.name, "podsense")))


if __name__ == "__main__":
    unittest.main()
