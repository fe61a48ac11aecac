"""API keys, tokens for control, rate limits: off by default, read again when their files change."""

import json
import os
import tempfile
import unittest
from pathlib import Path

from harness import Server, post, wait_until

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
        clients = {line.get("client") for line in server.log_lines("request")}
        self.assertTrue({"key:ana", "key:bob"} <= clients, clients)
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

    def test_each_key_has_its_rate(self):
        server = self.serve("--auth-rate", "0.01", "--auth-burst", "3")
        self.assertEqual([self.predict(server, ANA).status for _ in range(4)],
                         [200, 200, 200, 429])
        limited = self.predict(server, ANA)
        self.assertEqual(limited.json["code"], "RATE_LIMITED")
        self.assertGreater(int(limited.headers["retry-after"]), 30)
        self.assertEqual(self.predict(server, BOB).status, 200)

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
