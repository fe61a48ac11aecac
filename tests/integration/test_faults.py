"""Faults on purpose, by the admin API: off by default; a stuck executor, and nothing else, makes
liveness fail."""

import json
import signal
import struct
import subprocess
import time
import unittest

from harness import BINARY, LIMIT, Server, ServerCase, post, wait_until

ROW = json.dumps({"features": [0.5] * 20}).encode()


def set_faults(server, faults):
    answer = server.request("POST", "/v1/faults", json.dumps(faults), port=server.admin_port)
    assert answer.status == 200, answer
    return answer.json


class Faults(ServerCase):
    FLAGS = ("--fault-api",)

    def tearDown(self):
        set_faults(self.server, {})

    def status(self, path):
        return self.server.get(path).status

    def predict(self):
        return self.server.post("/predict-single", ROW, "application/json")

    def test_a_failing_model_answers_500_and_the_pod_stays_live_and_ready(self):
        set_faults(self.server, {"models": {"random-forest": {"fail": True}}})
        self.assert_error(self.predict(), 500, "INTERNAL",
                          "the model fails on purpose: a fault was set by the admin API")
        self.assertEqual(self.server.get("/infer?cpu_ms=1").status, 200)
        self.assertEqual([self.status("/livez"), self.status("/readyz")], [200, 200])

    def test_a_slow_model_is_slow_and_no_io_thread_waits_for_it(self):
        set_faults(self.server, {"models": {"random-forest": {"slow_ms": 200}}})
        answer = self.predict()
        self.assertEqual(answer.status, 200)
        self.assertGreaterEqual(answer.json["timing_ms"]["total"], 200)
        self.assertEqual(self.status("/livez"), 200)

    def test_unready_is_for_readiness_alone(self):
        set_faults(self.server, {"unready": True})
        wait_until(lambda: self.status("/readyz") == 503, what="unreadiness")
        self.assertEqual(self.status("/livez"), 200)
        self.assertEqual(self.predict().status, 200)
        set_faults(self.server, {})
        wait_until(lambda: self.status("/readyz") == 200, what="readiness")

    def test_nonsense_is_told_what_is_accepted(self):
        for body, what in (("[]", "the body is not a JSON object"),
                           ('{"slow": 1}', "'slow' is unknown or of the wrong type"),
                           ('{"unready": 1}', "'unready' is unknown or of the wrong type"),
                           ('{"models": {"a": 5}}', "the fault of model 'a' is not an object"),
                           ('{"models": {"a": {"slow_ms": -1}}}', "slow_ms is out of range"),
                           ('{"models": {"a": {"fail": "yes"}}}',
                            "'fail' is unknown or of the wrong type")):
            answer = self.server.request("POST", "/v1/faults", body,
                                         port=self.server.admin_port)
            self.assertEqual(answer.status, 400, body)
            self.assertTrue(answer.json["error"].startswith(what + "; accepted: "), answer)


class Stuck(unittest.TestCase):
    """Runs that never end: their clients are answered in time, and another executor goes on."""

    def start(self, *flags):
        server = Server("--fault-api", "--executors", "1", "--request-timeout", "1s",
                        *flags)
        self.addCleanup(server.__exit__, None, None, None)
        return server.__enter__()

    @staticmethod
    def stick(server, model="random-forest"):
        set_faults(server, {"models": {model: {"stuck": True}}})

    @staticmethod
    def status(server, path):
        return server.request("GET", path, port=server.admin_port).status

    def test_a_request_is_answered_at_its_deadline_and_its_connection_goes_on(self):
        server = self.start()
        self.stick(server)
        with server.raw() as client:
            # Binary data, which a run reads where the connection has put it.
            began = time.monotonic()
            client.send(post("/v2/models/random-forest/infer", struct.pack("<20f", *[0.5] * 20),
                             [("Inference-Header-Content-Length", "0")]))
            answer = client.read()
            self.assertEqual(answer.status, 504, answer)
            self.assertIn("the deadline passed", answer.json["error"])
            self.assertLess(time.monotonic() - began, LIMIT / 2)
            wait_until(lambda: server.metric("podsense_stuck_executors") == 1, what="another executor")
            for _ in range(20):  # what the stuck run reads is not theirs
                client.send(post("/infer?cpu_ms=0.1", b""))
                self.assertEqual(client.read().status, 200)
        wait_until(lambda: self.status(server, "/readyz") == 503, what="unreadiness: its one executor is stuck")
        self.assertIn("stuck", " ".join(server.health()["problems"]))
        self.assertEqual(self.status(server, "/livez"), 200)
        self.assertEqual(server.post_json("/infer?cpu_ms=0.1", {}).status, 200, "another has taken its place")
        set_faults(server, {})
        wait_until(lambda: self.status(server, "/readyz") == 200, what="readiness")
        self.assertEqual(server.metric("podsense_stuck_executors"), 0)
        self.assertEqual(server.log_lines("executor_stuck")[0]["stuck"], 1)
        self.assertEqual(server.post_json("/predict-single", {"features": [0.0] * 20}).status, 200)

    def test_the_same_over_grpc(self):
        server = self.start()
        self.stick(server)
        done = subprocess.run([BINARY, "load", f"grpc://127.0.0.1:{server.grpc_port}", "--oip", "binary", "--model",
                               "random-forest",
                               "-n", "2", "-c", "2", "--json", "-"], capture_output=True, text=True,
                              timeout=LIMIT, check=False)
        self.assertEqual(json.loads(done.stdout)["status"]["DEADLINE_EXCEEDED"]["count"], 2, done)
        set_faults(server, {})  # runs go on with messages whose calls are gone
        wait_until(lambda: server.metric("podsense_stuck_executors") == 0, what="the end of the runs")

    def test_liveness_fails_after_stuck_timeout_from_the_deadline_on(self):
        server = self.start("--stuck-timeout", "2s")
        self.stick(server)
        self.assertEqual(server.post_json("/predict-single", {"features": [0.0] * 20}).status, 504)
        wait_until(lambda: self.status(server, "/livez") == 503, what="failing liveness")
        self.assertEqual(server.health()["live"], False)
        set_faults(server, {})
        wait_until(lambda: self.status(server, "/livez") == 200, what="liveness")

    def test_when_every_place_is_taken_the_rest_is_refused(self):
        server = self.start()
        self.stick(server)
        for stuck in (1, 2, 3):
            self.assertEqual(server.post_json("/predict-single", {"features": [0.0] * 20}).status, 504)
            wait_until(lambda: server.metric("podsense_stuck_executors") == stuck, what="a stuck executor")
        self.assertIn(server.post_json("/infer?cpu_ms=0.1", {}).status, (503, 504))
        set_faults(server, {})
        wait_until(lambda: server.metric("podsense_stuck_executors") == 0, what="the end of the runs")
        self.assertEqual(server.post_json("/infer?cpu_ms=0.1", {}).status, 200)

    def test_a_stuck_run_does_not_hold_up_the_end(self):
        server = self.start()
        self.stick(server)
        self.assertEqual(server.post_json("/predict-single", {"features": [0.0] * 20}).status, 504)
        wait_until(lambda: server.metric("podsense_stuck_executors") == 1, what="a stuck executor")
        server.signal(signal.SIGTERM)
        self.assertEqual(server.wait_exit(), 0)


class OffByDefault(unittest.TestCase):
    def test_there_is_no_such_route(self):
        with Server() as server:
            self.assertEqual(server.request("POST", "/v1/faults", "{}",
                                            port=server.admin_port).status, 404)


if __name__ == "__main__":
    unittest.main()
