"""What clients of all kinds send without being asked: types, spellings of a path, parameters, encodings."""

import gzip
import json
import unittest

from harness import MODELS, Server, get, post, wait_until
from http2_client import Http2

ROW = json.dumps({"features": [0.5] * 20}).encode()
ORIGIN = {"Origin": "https://app.example"}
TENSOR = json.dumps({"inputs": [{"name": "features", "shape": [1, 20], "datatype": "FP32", "data": [0.5] * 20}]}).encode()
BODIES = {"/predict-single": ROW, "/predict-batch": json.dumps({"instances": [[0.5] * 20]}).encode(), "/v1/infer": ROW,
          "/infer": b'{"cpu_ms": 1}', "/v1/models/random-forest:predict": json.dumps({"instances": [[0.5] * 20]}).encode(),
          "/v2/models/random-forest/infer": TENSOR, "/invocations": ROW}


class Clients(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--cors-origins", "https://app.example", models=MODELS)
        cls.server.__enter__()
        cls.addClassCleanup(cls.server.__exit__, None, None, None)

    def test_text_is_taken_as_without_a_type(self):
        """fetch, aiohttp and StringContent say text/plain of a string."""
        for path, body in BODIES.items():
            for kind in (None, "text/plain", "text/plain;charset=UTF-8"):
                answer = self.server.post(path, body, kind)
                self.assertEqual(answer.status, 200, f"{path}, {kind}: {answer}")
            self.assertEqual(self.server.post(path, body, "text/html").status, 415, path)

    def test_a_byte_order_mark_is_passed_over_and_utf16_named(self):
        for path, body in BODIES.items():
            self.assertEqual(self.server.post(path, b"\xef\xbb\xbf" + body, "application/json").status, 200, path)
            for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
                answer = self.server.post(path, body.decode().encode(encoding), "application/json")
                self.assertEqual(answer.status, 400, f"{path}, {encoding}: {answer}")
                self.assertIn("UTF-16", answer.json["error"], f"{path}, {encoding}")
        answer = self.server.post("/predict", '{"image": "AAAA"}'.encode("utf-16"), "application/json")
        self.assertIn("UTF-16", answer.json["error"])

    def test_parameters_for_others_are_passed_over(self):
        for query in ("_=1700000000", "utm_source=mail&utm_medium=x", "gclid=a&fbclid=b", "ts=1&cb=2&nocache", "_=1&_=2",
                      "model=random-forest&_=1"):
            self.assertEqual(self.server.post(f"/predict-single?{query}", ROW).status, 200, query)
        self.assertEqual(self.server.post("/v1/infer?_=1", ROW).status, 200)
        for query in ("mode1=x", "topk=1", "v=1", "threshold=0.5"):
            answer = self.server.post(f"/predict-single?{query}", ROW)
            self.assertEqual(answer.status, 400, query)
            self.assertIn("accepted are: model, version", answer.json["error"])
        self.assertEqual(self.server.get("/health?probe=readiness&_=1").status, 200)
        self.assertEqual(self.server.get("/health?_=1&probe=live").status, 400)

    def test_other_spellings_of_a_path_find_its_route(self):
        for path in ("/predict%2Dsingle", "/predict-single/", "/predict%2dsingle/?_=1"):
            self.assertEqual(self.server.post(path, ROW).status, 200, path)
        self.assertEqual(self.server.post("/v1/models/random-forest%3Apredict", BODIES["/v1/models/random-forest:predict"]).status, 200)
        self.assertEqual(self.server.post("/v2/models/random%2Dforest/infer/", TENSOR).status, 200)
        self.assertEqual(self.server.get("/readyz/").status, 200)
        for path in ("/predict%2Fsingle", "/predict-single//", "/predict%2"):
            self.assertEqual(self.server.post(path, ROW).status, 404, path)
        for path in ("/v1/relo%61d", "/v1/reload/"):  # a filter in front may know one spelling only
            self.assertEqual(self.server.admin("POST", path).status, 404, path)

    def test_early_refusals_can_be_read_by_scripts(self):
        for method, path, status in (("GET", "/nothing", 404), ("POST", "/predict-singel", 404), ("PUT", "/predict", 405)):
            answer = self.server.request(method, path, headers=ORIGIN)
            self.assertEqual((answer.status, answer.headers.get("access-control-allow-origin")),
                             (status, ORIGIN["Origin"]), path)
        with self.server.raw() as client:
            answer = client.exchange(get("/predict", [("Host", "twice"), *ORIGIN.items()]))
            self.assertEqual((answer.status, answer.headers.get("access-control-allow-origin")), (400, ORIGIN["Origin"]))
        self.assertNotIn("access-control-allow-origin", self.server.request("GET", "/docs", headers=ORIGIN).headers)

    def test_headers_of_tracing_may_be_sent(self):
        answer = self.server.request("OPTIONS", "/predict", headers=ORIGIN | {"Access-Control-Request-Method": "POST"})
        allowed = {name.strip().lower() for name in answer.headers["access-control-allow-headers"].split(",")}
        self.assertLessEqual({"tracestate", "baggage", "x-requested-with", "traceparent"}, allowed)

    def test_other_protocols_on_a_plain_port_are_named(self):
        for opening, name in ((b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(40)), "TLS"),
                              (b"PROXY TCP4 192.0.2.1 10.0.0.1 1 2\r\n" + get("/"), "PROXY protocol"),
                              (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12), "PROXY protocol")):
            with self.server.raw() as client:
                answer = client.exchange(opening)
                self.assertEqual(answer.status, 400)
                self.assertIn(f"this is no HTTP but {'the ' if name != 'TLS' else ''}{name}", answer.json["error"])

    def test_any_version_of_a_page_is_known(self):
        for value in ("*", self.server.get("/docs").headers["etag"]):
            answer = self.server.get("/docs", {"If-None-Match": value})
            self.assertEqual((answer.status, answer.body), (304, b""), value)


class Compression(unittest.TestCase):
    ROWS = json.dumps({"instances": [[0.5] * 20] * 600}).encode()
    HEADERS = (("Content-Type", "application/json"), ("Accept-Encoding", "br, gzip;q=0.8"))

    def test_large_json_is_compressed_when_asked(self):
        with Server() as server:
            plain = server.post("/predict-batch", self.ROWS, "application/json")
            self.assertNotIn("content-encoding", plain.headers)
            self.assertEqual(plain.headers["vary"], "Accept-Encoding")
            with server.raw() as client:
                packed = client.exchange(post("/predict-batch", self.ROWS, self.HEADERS))
                self.assertEqual(packed.headers["content-encoding"], "gzip")
                self.assertLess(len(packed.body), len(plain.body) / 5)
                self.assertEqual(json.loads(gzip.decompress(packed.body))["predictions"], plain.json["predictions"])
            with Http2(server.http_port) as client:
                packed = client.request("POST", "/predict-batch", self.ROWS, [(name.lower(), value) for name, value in self.HEADERS])
                self.assertEqual(packed.headers["content-encoding"], "gzip")
                self.assertEqual(json.loads(gzip.decompress(packed.body))["predictions"], plain.json["predictions"])

    def test_small_answers_and_those_of_others_are_not(self):
        with Server() as server:
            small = server.post("/predict-single", ROW, headers={"Accept-Encoding": "gzip"})
            self.assertEqual((small.headers.get("content-encoding"), small.headers.get("vary")), (None, None))
            for accepted in ("identity", "gzip;q=0", "gzip; q=0.0", "br"):
                answer = server.post("/predict-batch", self.ROWS, headers={"Accept-Encoding": accepted})
                self.assertNotIn("content-encoding", answer.headers, accepted)
        with Server("--gzip-from", "0") as server:
            answer = server.post("/predict-batch", self.ROWS, headers={"Accept-Encoding": "gzip"})
            self.assertNotIn("content-encoding", answer.headers)


class Limits(unittest.TestCase):
    def test_the_message_names_what_holds_for_the_route(self):
        flags = ("--max-body-bytes", "200000", "--max-json-bytes", "300000", "--max-tensor-bytes", "400000")
        with Server(*flags) as server:
            for path, text in (
                    ("/predict", "accepted are up to 300000 of JSON or a form (limits.max_json_bytes), "
                                 "200000 of a picture as it is (limits.max_body_bytes)"),
                    ("/predict-single", "accepted are up to 300000 (limits.max_json_bytes)"),
                    ("/v2/models/random-forest/infer", "accepted are up to 400000 (limits.max_tensor_bytes)")):
                answer = server.post(path, bytes(500_000), "application/octet-stream")
                self.assertEqual(answer.status, 413)
                self.assertIn("the body has 500000 bytes; " + text, answer.json["error"])
            wait_until(lambda: server.get("/readyz").status == 200, what="readiness")


if __name__ == "__main__":
    unittest.main(verbosity=2)
