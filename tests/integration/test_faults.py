"""Faults on purpose, by the admin API: off by default; a stuck executor, and nothing else, makes
liveness fail."""

import json
import threading
import unittest

from harness import Server, ServerCase, wait_until

ROW = json.dumps({"features": [0.5] * 20}).encode()


def set_faults(server, faults):
    answer = server.request("POST", "/v1/faults", json.dumps(faults), port=server.admin_port)
    assert answer.status == 200, answer
    return answer.json


class Faults(ServerCase):
    FLAGS = ("--fault-api", "--stuck-timeout", "1s")

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

    def test_a_stuck_executor_makes_liveness_fail_until_it_goes_on(self):
        set_faults(self.server, {"models": {"random-forest": {"stuck": True}}})
        answers = []
        waiting = threading.Thread(target=lambda: answers.append(self.predict()))
        waiting.start()
        wait_until(lambda: self.status("/livez") == 503, what="failing liveness")
        self.assertEqual(self.server.health()["live"], False)
        wait_until(lambda: self.server.log_lines("executor_stuck"), what="the log line")
        set_faults(self.server, {})
        wait_until(lambda: self.status("/livez") == 200, what="liveness")
        waiting.join()
        self.assertEqual(answers[0].status, 200)

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


class OffByDefault(unittest.TestCase):
    def test_there_is_no_such_route(self):
        with Server() as server:
            self.assertEqual(server.request("POST", "/v1/faults", "{}",
                                            port=server.admin_port).status, 404)


if __name__ == "__main__":
    unittest.main()
