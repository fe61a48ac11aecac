"""The real Envoy in front of the real server: JSON to gRPC as it ships.

Each case of the table goes three ways, and the answers are compared: native HTTP, gRPC, Envoy.
"""

import contextlib
import copy
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration")]

import grpc  # noqa: E402  the path has to be set first
from cases import BAD, GOOD, NARROWED, ROW  # noqa: E402
from envoy_process import CONFIGURATION, Envoy, validate  # noqa: E402
from google.protobuf import json_format  # noqa: E402
from harness import BINARY, LIMIT, MODELS, Answer, Server, clean_environment, wait_until  # noqa: E402
from protos import Protos, channel_to  # noqa: E402

DESCRIPTORS = Path(os.environ.get("PODSENSE_DESCRIPTORS", BINARY.parent / "podsense.pb"))
SERVICE = "podsense.v1.InferenceService"


def post(port, body, path="/v1/infer", headers=None, method="POST"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT)
    try:
        connection.request(method, path, body=None if body is None else json.dumps(body),
                           headers={"Content-Type": "application/json"} | (headers or {}))
        response = connection.getresponse()
        return Answer(response.status, response.getheaders(), response.read(), response.reason)
    finally:
        connection.close()


def settled(answer):
    """Without what differs from call to call; floats as 32 bits hold them."""
    answer = copy.deepcopy(answer)
    answer.pop("request_id")
    answer["timing_ms"] = sorted(answer["timing_ms"])
    for place in answer.get("predictions", []):
        place["score"] = round(place["score"], 5)
    if "probabilities" in answer:
        answer["probabilities"] = [round(p, 5) for p in answer["probabilities"]]
    return answer


class EnvoyCase(unittest.TestCase):
    FLAGS = ()
    CHANGES = ()

    @classmethod
    def setUpClass(cls):
        cls.protos = Protos(DESCRIPTORS)
        cls.server = cls.enterClassContext(Server(*cls.FLAGS))
        cls.envoy = cls.enterClassContext(
            Envoy(DESCRIPTORS, cls.server.grpc_port, cls.server.http_port, cls.CHANGES))
        cls.channel = cls.enterClassContext(channel_to(cls.server.grpc_port))
        cls.infer = staticmethod(cls.protos.call(cls.channel, SERVICE, "Infer"))
        cls.InferRequest = cls.protos.message("podsense.v1.InferRequest")

    def through_grpc(self, body, infer=None):
        """(answer as JSON, None) or (None, error)."""
        request = json_format.ParseDict(body, self.InferRequest())
        try:
            answer = (infer or self.infer)(request, timeout=LIMIT)
        except grpc.RpcError as error:
            return None, error
        return json_format.MessageToDict(answer, preserving_proto_field_name=True), None


class ThreeWays(EnvoyCase):
    def test_the_configuration_is_valid(self):
        folder = self.envoy.folder
        (folder / "as-shipped.yaml").write_text(CONFIGURATION.read_text())
        done = validate("as-shipped.yaml", folder)
        self.assertEqual(done.returncode, 0, done.stderr[-2000:])

    def test_good_requests_get_the_same_answer(self):
        for name, body in GOOD:
            with self.subTest(name):
                direct = post(self.server.http_port, body)
                self.assertEqual(direct.status, 200, direct)
                via = post(self.envoy.port, body, headers={"X-Request-Id": "the-same"})
                self.assertEqual(via.status, 200, via)
                self.assertEqual(via.headers["content-type"], "application/json")
                self.assertEqual(via.json["request_id"], "the-same")
                called, error = self.through_grpc(body)
                self.assertIsNone(error)
                self.assertEqual(settled(via.json), settled(direct.json))
                self.assertEqual(settled(called), settled(direct.json))
                self.assertEqual(list(via.json), list(direct.json))  # the fields' order, too

    def assert_error(self, via, status, code, message):
        self.assertEqual(via.status, status, via)
        self.assertEqual(set(via.json), {"error", "code", "request_id"}, via)
        self.assertEqual((via.json["error"], via.json["code"]), (message, code))
        self.assertEqual(via.headers["content-type"], "application/json")

    def test_bad_requests_get_the_same_error(self):
        for name, body, status, code, message in BAD:
            with self.subTest(name):
                direct = post(self.server.http_port, body)
                self.assertEqual((direct.status, direct.json["code"]), (status, code), direct)
                message = message or direct.json["error"]
                self.assertEqual(direct.json["error"], message)
                via = post(self.envoy.port, body, headers={"X-Request-Id": "mine"})
                self.assert_error(via, status, code, message)
                self.assertEqual(via.json["request_id"], "mine")
                _, error = self.through_grpc(body)
                self.assertEqual(error.code().name, code)
                self.assertEqual(error.details(), message)

    def test_what_http_tells_apart_keeps_its_code(self):
        for name, body, status in NARROWED:
            with self.subTest(name):
                direct = post(self.server.http_port, body)
                self.assertEqual(direct.status, status, direct)
                via = post(self.envoy.port, body)
                self.assert_error(via, 400, direct.json["code"], direct.json["error"])
                _, error = self.through_grpc(body)
                self.assertEqual(error.code(), grpc.StatusCode.INVALID_ARGUMENT)
                self.assertEqual(error.details(), direct.json["error"])

    def test_what_is_no_json_is_refused_by_envoy_itself(self):
        for name, body in (("text", b"not json"), ("wrong_type", b'{"features":"many"}'),
                           ("no_base64", b'{"image":"###"}'), ("list", b"[1,2]")):
            with self.subTest(name):
                connection = http.client.HTTPConnection("127.0.0.1", self.envoy.port, timeout=LIMIT)
                connection.request("POST", "/v1/infer", body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                self.assertEqual(answer.status, 400)
                self.assertEqual(json.loads(answer.read())["code"], "INVALID_ARGUMENT")
                connection.close()

    def test_health_and_models_are_there_as_json(self):
        health = post(self.envoy.port, None, "/v1/health", method="GET")
        self.assertEqual(health.status, 200)
        self.assertEqual((health.json["status"], health.json["ready"], health.json["draining"]),
                         ("ok", True, False))
        models = post(self.envoy.port, None, "/v1/models", method="GET").json["models"]
        self.assertLessEqual({"efficientnet-lite0", "random-forest", "simulated"},
                             {model["name"] for model in models})

    def test_everything_else_goes_to_http(self):
        self.assertEqual(post(self.envoy.port, None, "/readyz", method="GET").status, 200)
        answer = post(self.envoy.port, {"features": ROW}, "/predict-single")
        self.assertEqual(answer.status, 200)

    def test_grpc_goes_through_as_it_is(self):
        with channel_to(self.envoy.port) as channel:
            answer, error = self.through_grpc({"features": ROW},
                                              self.protos.call(channel, SERVICE, "Infer"))
            self.assertIsNone(error)
            self.assertEqual(answer["model"], "random-forest")
            stream = self.protos.call(channel, SERVICE, "InferStream")
            requests = [json_format.ParseDict({"features": ROW}, self.InferRequest())] * 5
            self.assertEqual([one.index for one in stream(iter(requests), timeout=LIMIT)],
                             [0, 1, 2, 3, 4])
            live = self.protos.call(channel, "inference.GRPCInferenceService", "ServerLive")
            self.assertTrue(live(self.protos.message("inference.ServerLiveRequest")()).live)

    def test_failures_are_logged_as_json(self):
        post(self.envoy.port, {}, headers={"X-Request-Id": "find-me"})

        def line():
            for text in self.envoy.log_text().splitlines():
                if "find-me" in text:
                    return json.loads(text)
            return None

        seen = wait_until(line, what="the line in Envoy's access log")
        self.assertEqual((seen["event"], seen["method"], seen["path"], seen["status"]),
                         ("access", "POST", "/v1/infer", 400))
        self.assertEqual(seen["upstream"], f"127.0.0.1:{self.server.grpc_port}")


class Limits(EnvoyCase):
    CHANGES = (("max_tokens: 20000, tokens_per_fill: 10000, fill_interval: 1s",
                "max_tokens: 3, tokens_per_fill: 1, fill_interval: 3600s"),)

    def test_beyond_the_rate_is_429(self):
        for _ in range(3):
            self.assertEqual(post(self.envoy.port, {"features": ROW}).status, 200)
        refused = post(self.envoy.port, {"features": ROW})
        self.assertEqual(refused.status, 429)
        self.assertEqual(refused.json["code"], "RATE_LIMITED")
        self.assertEqual(refused.headers["retry-after"], "1")


class IdleConnections(EnvoyCase):
    CHANGES = (("{idle_timeout: 600s}", "{idle_timeout: 0.5s}"),)

    def test_envoy_lets_go_of_them_before_the_servers_do(self):
        self.assertEqual(post(self.envoy.port, {"features": ROW}).status, 200)
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.envoy.port, timeout=LIMIT)) as connection:
            connection.request("GET", "/v2")
            self.assertEqual(connection.getresponse().status, 200)
        for cluster in ("grpc", "http"):
            name = f"cluster.podsense-{cluster}.upstream_cx_idle_timeout"
            wait_until(lambda name=name: not self.envoy.admin(f"/stats?filter={name}").endswith(": 0\n"), what=name)

    def test_the_limits_fit_the_servers(self):
        defaults = subprocess.run([BINARY, "serve", "--models", MODELS, "--print-config"], check=True, capture_output=True,
                                  text=True, env=clean_environment()).stdout
        served = int(re.search(r"^  idle_timeout: (\d+)s", defaults, re.MULTILINE)[1])
        text = CONFIGURATION.read_text()
        upstream = {int(seconds) for seconds in re.findall(r"{idle_timeout: (\d+)s}", text)}
        downstream = int(re.search(r"^ +idle_timeout: (\d+)s", text, re.MULTILINE)[1])
        self.assertLess(max(upstream), served)
        self.assertGreaterEqual(downstream, served)


class Drains(unittest.TestCase):
    def test_no_request_fails_while_a_server_drains_and_another_stays(self):
        """Two servers behind one Envoy; one ends under load."""
        with Server() as stays, Server("--drain-delay", "2s") as ends:
            second = ("- endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: "
                      f"{stays.grpc_port}}}}}}}")
            both = second + "\n              " + second.replace(str(stays.grpc_port), str(ends.grpc_port))
            with Envoy(DESCRIPTORS, stays.grpc_port, stays.http_port, [(second, both)]) as envoy:
                wait_until(lambda: envoy.healthy() == 2, what="both servers")
                failures, done, stop = [], [0, 0, 0, 0], threading.Event()

                def load(slot):
                    connection = http.client.HTTPConnection("127.0.0.1", envoy.port, timeout=LIMIT)
                    while not stop.is_set():
                        connection.request("POST", "/v1/infer", json.dumps({"features": ROW}),
                                           {"Content-Type": "application/json"})
                        answer = connection.getresponse()
                        body = answer.read()
                        done[slot] += 1
                        if answer.status != 200:
                            failures.append((answer.status, body))
                    connection.close()

                threads = [threading.Thread(target=load, args=(i,)) for i in range(4)]
                for thread in threads:
                    thread.start()
                try:
                    wait_until(lambda: ends.metric("podsense_requests_total", protocol="grpc") > 50,
                               what="requests at the server that will end")
                    ends.signal(signal.SIGTERM)
                    self.assertEqual(ends.wait_exit(), 0)
                    before = sum(done)
                    wait_until(lambda: sum(done) > before + 100, what="requests after the end")
                finally:
                    stop.set()
                    for thread in threads:
                        thread.join()
                self.assertEqual(failures[:3], [])


if __name__ == "__main__":
    unittest.main()
