"""API keys, tokens for control, rate limits: off by default, read again when their files change."""

import json
import os
import tempfile
import time
import unittest
from pathlib import Path

from harness import Server, post, wait_until
from tokens import Issuer

JSON_ROW = json.dumps({"features": [0.5] * 20}).encode()
ANA, BOB, OPS = "ana-0123456789abcdef", "bob-0123456789abcdef", "ops-0123456789abcdef"


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


def replace(path, text):
    """As editors and Kubernetes do it: whole, by a rename."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    os.replace(fresh, path)


class Access(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.keys = Path(folder.name) / "keys"
        self.keys.write_text(f"ana:{ANA}\nbob:{BOB}\n")
        self.control = Path(folder.name) / "control"
        self.control.write_text(f"ops:{OPS}\n")

    def serve(self, *flags):
        server = Server("--auth-api-keys", str(self.keys), "--auth-control-tokens",
                        str(self.control), "--auth-refresh-interval", "1s", *flags)
        server.__enter__()
        self.addCleanup(server.__exit__, None, None, None)
        return server

    def predict(self, server, key=None):
        return server.post("/predict-single", JSON_ROW, "application/json",
                           bearer(key) if key else {})

    def test_inference_needs_a_key_and_health_does_not(self):
        server = self.serve()
        refused = self.predict(server)
        self.assertEqual(refused.status, 401)
        self.assertEqual(refused.headers["www-authenticate"], 'Bearer realm="podsense"')
        self.assertEqual(refused.json["code"], "UNAUTHENTICATED")
        self.assertIn("Authorization: Bearer", refused.json["error"])
        self.assertEqual(self.predict(server, "wrong-0123456789abcd").status, 401)
        self.assertEqual(self.predict(server, ANA).status, 200)
        by_header = server.post("/predict-single", JSON_ROW, "application/json",
                                {"X-Api-Key": BOB})
        self.assertEqual(by_header.status, 200)
        for path in ("/livez", "/readyz", "/health"):
            self.assertEqual(server.get(path).status, 200, path)

        def clients():  # a line is written just after its answer
            return {line.get("client") for line in server.log_lines("request")}

        wait_until(lambda: {"key:ana", "key:bob"} <= clients(), what="both clients in the log")
        self.assertNotIn(ANA, server.log_text())

    def test_a_refused_body_is_not_waited_for(self):
        server = self.serve()
        with server.raw() as client:
            client.send(post("/predict", b"x" * 1000)[:-1000])  # head only
            self.assertEqual(client.read().status, 401)

    def test_control_has_tokens_of_its_own(self):
        server = self.serve()
        reload = ("POST", "/v1/reload")
        for key, status in ((None, 401), (ANA, 401), (OPS, 200)):
            answer = server.request(*reload, headers=bearer(key) if key else {},
                                    port=server.admin_port)
            self.assertEqual(answer.status, status, key)
        self.assertEqual(self.predict(server, OPS).status, 401)

    def test_changed_files_are_read_and_broken_ones_are_not_obeyed(self):
        server = self.serve()
        self.assertEqual(self.predict(server, BOB).status, 200)
        replace(self.keys, f"ana:{ANA}\n")
        wait_until(lambda: self.predict(server, BOB).status == 401, what="the key's end")
        self.assertEqual(self.predict(server, ANA).status, 200)
        replace(self.keys, "ana:short\n")
        wait_until(lambda: server.log_lines("credentials_refused"), what="the log line")
        self.assertIn(":1: key 'ana' has 5 characters",
                      server.log_lines("credentials_refused")[0]["message"])
        self.assertEqual(self.predict(server, ANA).status, 200)

    def test_the_reload_api_reads_changed_files_and_says_so(self):
        server = self.serve("--auth-refresh-interval", "1h")

        def reload(status):
            answer = server.request("POST", "/v1/reload", headers=bearer(OPS),
                                    port=server.admin_port)
            self.assertEqual(answer.status, status, answer)
            self.assertNotIn("certificates", answer.json)  # no TLS here
            return answer.json["credentials"]

        self.assertEqual(reload(200), {"result": "unchanged"})
        replace(self.keys, f"ana:{ANA}\n")
        self.assertEqual(reload(200), {"result": "read"})
        self.assertEqual(self.predict(server, BOB).status, 401)
        replace(self.keys, "ana:short\n")
        for _ in range(2):  # also when it was reported before
            refused = reload(409)
            self.assertEqual(refused["result"], "refused")
            self.assertIn(":1: key 'ana' has 5 characters", refused["reason"])
        self.assertEqual(self.predict(server, ANA).status, 200)
        replace(self.keys, f"ana:{ANA}\nbob:{BOB}\n")
        self.assertEqual(reload(200), {"result": "read"})
        self.assertEqual(self.predict(server, BOB).status, 200)

    REFUSED = ("credentials are needed: send 'Authorization: Bearer …' or 'X-Api-Key: …'",
               "the key is not known here", "Authorization takes the scheme Bearer")

    def test_every_way_to_infer_asks_for_a_key(self):
        server = self.serve("--auth-rate", "0.01", "--auth-burst", "9")
        oip = json.dumps({"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 20],
                                      "data": [0.5] * 20}]}).encode()
        ways = [("POST", "/v1/infer", JSON_ROW), ("POST", "/predict-single", JSON_ROW),
                ("POST", "/predict-batch", JSON_ROW), ("POST", "/predict", b"x"),
                ("POST", "/predict/url", b"{}"), ("POST", "/infer", b""),
                ("POST", "/v2/models/random-forest/infer", oip),
                ("POST", "/v2/models/random-forest/versions/1/infer", oip)]
        for method, path, body in ways:
            for headers, message in (({}, self.REFUSED[0]), (bearer("wrong-0123456789"), self.REFUSED[1]),
                                     (bearer(OPS), self.REFUSED[1]),
                                     ({"Authorization": "Basic YTpi"}, self.REFUSED[2])):
                with self.subTest(path=path, headers=headers):
                    answer = server.request(method, path, body,
                                            {"Content-Type": "application/json"} | headers)
                    self.assertEqual(answer.status, 401, answer)
                    self.assertEqual(answer.headers["www-authenticate"], 'Bearer realm="podsense"')
                    self.assertNotIn("retry-after", answer.headers)
                    self.assertEqual(answer.json["error"], message)
                    if path.startswith("/v2"):
                        self.assertEqual(set(answer.json), {"error"})
                    else:
                        self.assertEqual(answer.json["code"], "UNAUTHENTICATED")
        # Whatever comes of it, each request counts, on all paths together.
        statuses = [server.request(method, path, body, bearer(ANA) | {
            "Content-Type": "application/json"}).status for method, path, body in ways]
        self.assertNotIn(401, statuses)
        self.assertNotIn(429, statuses)
        server.post("/infer", b"", headers=bearer(ANA))
        for path, keys in (("/v1/infer", {"error", "code", "request_id"}),
                           ("/v2/models/random-forest/infer", {"error"})):
            limited = server.post(path, oip, "application/json", bearer(ANA))
            self.assertEqual(limited.status, 429)
            self.assertEqual(set(limited.json), keys)
            self.assertEqual(limited.json["error"], "too many requests with this key")
            self.assertTrue(30 < int(limited.headers["retry-after"]) <= 100, limited)

    def test_the_repository_asks_for_a_control_token(self):
        server = self.serve("--repository-api")
        load = ("POST", "/v2/repository/models/random-forest/load", b"")
        for headers, message in (({}, self.REFUSED[0]), (bearer(ANA), self.REFUSED[1])):
            answer = server.request(*load, headers, server.admin_port)
            self.assertEqual((answer.status, answer.json), (401, {"error": message}))
        self.assertEqual(server.request(*load, bearer(OPS), server.admin_port).status, 200)
        self.assertEqual(server.request(*load, bearer(OPS)).status, 404)  # not on everybody's port

    def test_tokens(self):
        issuer, stranger = Issuer(self.keys.parent), Issuer(self.keys.parent, "stranger")
        server = self.serve("--auth-jwks", str(issuer.jwks), "--auth-jwt-issuer", "https://id.example",
                            "--auth-jwt-audience", "podsense")
        claims = {"iss": "https://id.example", "aud": ["podsense", "other"], "sub": "ana",
                  "exp": int(time.time()) + 600}
        self.assertEqual(self.predict(server, issuer.token(**claims)).status, 200)
        self.assertEqual(self.predict(server, ANA).status, 200)  # keys go on beside tokens
        bad = {"expired": issuer.token(**claims | {"exp": int(time.time()) - 600}),
               "not yet": issuer.token(**claims | {"nbf": int(time.time()) + 600}),
               "issuer": issuer.token(**claims | {"iss": "https://elsewhere.example"}),
               "audience": issuer.token(**claims | {"aud": "other"}),
               "signature": stranger.token(**claims),
               "cut": issuer.token(**claims)[:-20]}
        for name, token in bad.items():
            with self.subTest(name):
                refused = self.predict(server, token)
                self.assertEqual((refused.status, refused.json["code"]), (401, "UNAUTHENTICATED"))
                self.assertTrue(refused.json["error"].startswith("the token"), refused)
        replace(issuer.jwks, stranger.jwks.read_text())
        wait_until(lambda: self.predict(server, bad["signature"]).status == 200, what="the new keys")
        self.assertEqual(self.predict(server, issuer.token(**claims)).status, 401)

    def test_each_key_has_its_rate(self):
        server = self.serve("--auth-rate", "0.01", "--auth-burst", "3")
        self.assertEqual([self.predict(server, ANA).status for _ in range(4)],
                         [200, 200, 200, 429])
        limited = self.predict(server, ANA)
        self.assertEqual(limited.json["code"], "RATE_LIMITED")
        self.assertGreater(int(limited.headers["retry-after"]), 30)
        self.assertEqual(self.predict(server, BOB).status, 200)

    def test_what_needs_a_key_is_what_the_documentation_says(self):
        server = self.serve()
        for path in ("/v1/models", "/v2", "/v2/models/random-forest", "/v2/models/random-forest/config",
                     "/stats", "/v2/models/stats", "/v2/models/random-forest/stats", "/version"):
            self.assertEqual(server.get(path).status, 401, path)
            self.assertEqual(server.get(path, bearer(ANA)).status, 200, path)
        for path in ("/livez", "/readyz", "/startupz", "/health", "/v2/health/live", "/v2/health/ready",
                     "/v2/models/random-forest/ready", "/openapi.json", "/docs", "/"):
            self.assertEqual(server.get(path).status, 200, path)
        for path in ("/v1/models", "/stats", "/version", "/metrics", "/health"):
            self.assertEqual(server.admin("GET", path).status, 200, path)

    def test_wrong_keys_of_one_address_are_limited(self):
        server = self.serve()
        statuses = [self.predict(server, f"wrong-{i:016}").status for i in range(200)]
        self.assertEqual(set(statuses), {401, 429})
        self.assertEqual(statuses[:50], [401] * 50)
        limited = next(answer for answer in (self.predict(server, "wrong-0123456789abc")
                                             for _ in range(20)) if answer.status == 429)
        self.assertEqual(limited.json["code"], "RATE_LIMITED")
        self.assertGreaterEqual(int(limited.headers["retry-after"]), 1)
        self.assertEqual(self.predict(server, ANA).status, 200)

    def test_a_pipe_as_a_file_of_keys_stops_the_start_and_holds_nothing(self):
        pipe = self.keys.with_name("pipe")
        os.mkfifo(pipe)
        server = Server("--auth-api-keys", str(pipe))
        with self.assertRaisesRegex(AssertionError, "ended with code 1"):
            server.__enter__()
        serving = self.serve("--auth-refresh-interval", "1s")
        os.replace(pipe, self.keys)
        wait_until(lambda: serving.log_lines("credentials_refused"), what="the refusal")
        self.assertEqual(self.predict(serving, ANA).status, 200)

    def test_a_broken_file_stops_the_start(self):
        self.keys.write_text("nonsense")
        server = Server("--auth-api-keys", str(self.keys))
        with self.assertRaisesRegex(AssertionError, "ended with code 1"):
            server.__enter__()

    def test_an_open_server_warns_where_the_network_reaches_it(self):
        with Server("--host", "0.0.0.0") as server:
            warned = [line["message"] for line in server.log_lines("open_to_all")]
            self.assertEqual(len(warned), 1)
            self.assertIn("auth.api_keys", warned[0])
        with Server() as server:
            self.assertEqual(server.log_lines("open_to_all"), [])
        self.assertEqual(self.serve("--host", "0.0.0.0").log_lines("open_to_all"), [])


if __name__ == "__main__":
    unittest.main()
