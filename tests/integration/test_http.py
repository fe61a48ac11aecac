"""HTTP/1.1 as it stands on the wire: framing, connections, methods, encodings."""

import gzip
import json
import unittest

from harness import RawClient, Server, ServerCase, get, post

ROW = json.dumps({"features": [0.5] * 20}).encode()
SINGLE = post("/predict-single", ROW, [("Content-Type", "application/json")])
JSON = ("Content-Type", "application/json")


def chunked(path, chunks, headers=(), end=b"0\r\n\r\n"):
    head = f"POST {path} HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in headers)
    return head.encode() + b"\r\n" + b"".join(chunks) + end


def chunk(data, extension=b""):
    return b"%x%s\r\n%s\r\n" % (len(data), extension, data)


class Http(ServerCase):
    """One server with default limits."""

    def setUp(self):
        self.connection = self.server.raw()
        self.addCleanup(self.connection.socket.close)

    def exchange(self, data, method="GET"):
        return self.connection.exchange(data, method)

    def assert_still_open(self):
        self.assertEqual(self.exchange(get("/livez")).status, 200)

    def assert_refused(self, data, status, code, message=None):
        """The answer is an error and the connection ends: what follows cannot be told apart."""
        answer = self.exchange(data)
        self.assert_error(answer, status, code, message)
        self.assertEqual(answer.headers.get("connection"), "close")
        self.assertTrue(self.connection.is_closed())
        return answer


class KeepAlive(Http):
    def test_serves_many_requests_on_one_connection(self):
        for _ in range(20):
            answer = self.exchange(SINGLE)
            self.assertEqual(answer.status, 200, answer)
            self.assertNotIn("connection", answer.headers)

    def test_honours_connection_close(self):
        for value in ("close", "Close", "keep-alive, close"):
            with self.server.raw() as client:
                answer = client.exchange(get("/livez", [("Connection", value)]))
                self.assertEqual(answer.headers.get("connection"), "close", value)
                self.assertTrue(client.is_closed())

    def test_http_1_0_closes_unless_asked(self):
        answer = self.exchange(b"GET /livez HTTP/1.0\r\n\r\n")
        self.assertEqual((answer.status, answer.headers.get("connection")), (200, "close"))
        self.assertTrue(self.connection.is_closed())

    def test_http_1_0_keeps_alive_when_asked(self):
        for _ in range(3):
            answer = self.exchange(b"GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            self.assertEqual(answer.headers.get("connection"), "keep-alive")
            self.assertEqual(answer.headers.get("keep-alive"), "timeout=620")  # the idle limit

    def test_http_1_0_post_is_served(self):
        answer = self.exchange(post("/predict-single", ROW, [JSON], version="1.0"))
        self.assertEqual(answer.status, 200)

    def test_errors_of_content_keep_the_connection(self):
        for request in (post("/predict-single", b"{", [JSON]), get("/nothing"), get("/predict")):
            self.assertIn(self.exchange(request).status, (400, 404, 405))
        self.assert_still_open()


class Pipelining(Http):
    def test_ten_requests_in_one_write_are_answered_in_order(self):
        requests = [post("/predict-single", ROW, [JSON, ("X-Request-Id", f"r-{i}")])
                    for i in range(10)]
        self.connection.send(b"".join(requests))
        ids = [self.connection.read().headers["x-request-id"] for _ in range(10)]
        self.assertEqual(ids, [f"r-{i}" for i in range(10)])

    def test_slow_and_fast_requests_keep_their_order(self):
        self.connection.send(post("/infer?cpu_ms=30", b"", [("X-Request-Id", "slow")]) +
                             get("/livez", [("X-Request-Id", "fast")]) + SINGLE)
        self.assertEqual(self.connection.read().headers["x-request-id"], "slow")
        self.assertEqual(self.connection.read().headers["x-request-id"], "fast")
        self.assertEqual(self.connection.read().json["model"], "random-forest")

    def test_large_bodies_can_be_pipelined(self):
        body = json.dumps({"instances": [[0.25] * 20] * 3000}).encode()  # some 400 kB
        request = post("/predict-batch", body, [JSON])
        with self.server.raw() as client:
            for _ in range(3):
                client.send(request)
            for _ in range(3):
                self.assertEqual(len(client.read().json["predictions"]), 3000)

    def test_an_error_in_the_middle_does_not_shift_answers(self):
        self.connection.send(SINGLE + post("/predict-single", b"[]", [JSON]) + SINGLE)
        self.assertEqual([self.connection.read().status for _ in range(3)], [200, 400, 200])

    def test_the_last_answer_before_close_is_not_lost(self):
        closing = get("/livez", [("Connection", "close")])
        self.connection.send(get("/livez") + closing + SINGLE * 50)
        self.assertEqual(self.connection.read().status, 200)
        self.assertEqual(self.connection.read().headers["connection"], "close")
        self.assertTrue(self.connection.is_closed())

    def test_blank_lines_before_a_request_are_ignored(self):
        # RFC 9112 2.2: a server should ignore at least one empty line.
        self.assertEqual(self.exchange(get("/livez")).status, 200)
        self.assertEqual(self.exchange(b"\r\n" + get("/livez")).status, 200)


class Splits(Http):
    def test_a_request_may_be_cut_at_every_byte(self):
        for at in range(1, len(SINGLE)):
            self.connection.send(SINGLE[:at])
            self.connection.send(SINGLE[at:])
            self.assertEqual(self.connection.read().status, 200, f"cut at {at}")

    def test_a_request_may_come_byte_by_byte(self):
        for i in range(len(SINGLE)):
            self.connection.send(SINGLE[i:i + 1])
        self.assertEqual(self.connection.read().status, 200)

    def test_a_chunked_request_may_be_cut_at_every_byte(self):
        request = chunked("/predict-single", [chunk(ROW[:7]), chunk(ROW[7:], b";x=y")], [JSON],
                          b"0\r\nX-Trailer: 1\r\n\r\n")
        for at in range(1, len(request)):
            self.connection.send(request[:at])
            self.connection.send(request[at:])
            self.assertEqual(self.connection.read().status, 200, f"cut at {at}")


class Chunked(Http):
    def test_accepts_chunks_extensions_and_trailers(self):
        pieces = [ROW[i:i + 5] for i in range(0, len(ROW), 5)]
        for request in (
            chunked("/predict-single", map(chunk, pieces), [JSON]),
            chunked("/predict-single", [chunk(ROW, b";name=value")], [JSON]),
            chunked("/predict-single", [chunk(ROW, b';name="quoted; value"')], [JSON]),
            chunked("/predict-single", [chunk(ROW)], [JSON], b"0\r\nA: b\r\nC: d\r\n\r\n"),
            chunked("/predict-single", [b"%X\r\n%s\r\n" % (len(ROW), ROW)], [JSON]),
            chunked("/predict-single", [b"000%x\r\n%s\r\n" % (len(ROW), ROW)], [JSON]),
        ):
            self.assertEqual(self.exchange(request).status, 200, request)

    def test_an_empty_chunked_body_is_an_empty_body(self):
        self.assert_error(self.exchange(chunked("/predict-single", [], [JSON])), 400,
                          "INVALID_ARGUMENT")
        self.assertEqual(self.exchange(chunked("/infer?cpu_ms=0", [])).status, 200)

    def test_refuses_bad_chunks(self):
        for bad in (b"xyz\r\n", b"-5\r\nhello\r\n", b"0x5\r\nhello\r\n", b"5 5\r\nhello\r\n",
                    b"5\nhello\r\n", b"5\r\nhelloworld\r\n", b"\r\nhello\r\n",
                    b"fffffffffffffffff\r\nhello\r\n", b"ffffffffffffffff\r\nhello\r\n"):
            with self.server.raw() as client:
                answer = client.exchange(chunked("/predict-single", [bad], [JSON]))
                self.assertIn(answer.status, (400, 413), (bad, answer))
                self.assertEqual(answer.headers.get("connection"), "close")
                self.assertTrue(client.is_closed())

    def test_refuses_endless_chunk_extensions(self):
        with self.server.raw() as client:
            try:
                client.send(chunked("/predict-single", [b"5;" + b"x" * 1_000_000], [JSON], b""))
            except ConnectionError:
                pass  # the server need not take it all
            self.assertIn(client.read().status, (400, 413, 431))

    def test_refuses_endless_trailers(self):
        trailers = b"0\r\n" + b"X-T: " + b"y" * 1_000_000
        with self.server.raw() as client:
            try:
                client.send(chunked("/predict-single", [chunk(ROW)], [JSON], trailers))
            except ConnectionError:
                pass
            self.assertIn(client.read().status, (400, 413, 431))

    def test_trailers_do_not_change_the_request(self):
        request = chunked("/predict-single", [chunk(ROW)], [JSON, ("X-Request-Id", "mine")],
                          b"0\r\nContent-Type: text/csv\r\nX-Request-Id: other\r\n\r\n")
        answer = self.exchange(request)
        self.assertEqual((answer.status, answer.headers["x-request-id"]), (200, "mine"))


class ExpectContinue(Http):
    HEADERS = (JSON, ("Expect", "100-continue"), ("Content-Length", str(len(ROW))))

    def head(self, *replaced, path="/predict-single"):
        return get(path, replaced or self.HEADERS, method="POST")

    def test_is_told_before_the_body_is_sent(self):
        self.assertEqual(self.exchange(self.head()).status, 100)
        self.connection.send(ROW)
        self.assertEqual(self.connection.read().status, 200)
        self.assert_still_open()

    def test_is_told_before_chunks_are_sent(self):
        head = self.head(JSON, ("Expect", "100-Continue"), ("Transfer-Encoding", "chunked"))
        self.assertEqual(self.exchange(head).status, 100)
        self.connection.send(chunk(ROW) + b"0\r\n\r\n")
        self.assertEqual(self.connection.read().status, 200)

    def test_too_large_a_body_is_refused_without_100(self):
        head = self.head(JSON, ("Expect", "100-continue"), ("Content-Length", "99999999"))
        self.assert_refused(head, 413, "PAYLOAD_TOO_LARGE",
                            "the body has 99999999 bytes; accepted are up to 29360128 (limits.max_json_bytes)")

    def test_a_wrong_path_is_refused_without_100(self):
        self.assert_refused(self.head(path="/predict-singel"), 404, "NOT_FOUND",
                            "there is no /predict-singel; did you mean /predict-single?")

    def test_no_100_when_the_body_is_already_there(self):
        self.assertEqual(self.exchange(self.head() + ROW).status, 200)

    def test_http_1_0_is_not_told(self):
        head = get("/predict-single", self.HEADERS, method="POST", version="1.0")
        self.connection.send(head)
        self.connection.send(ROW)
        self.assertEqual(self.connection.read().status, 200)

    def test_other_expectations_are_refused(self):
        self.assert_error(self.exchange(get("/livez", [("Expect", "200-ok")])), 400,
                          "INVALID_ARGUMENT", "Expect takes no other value than 100-continue")


class ContentCoding(Http):
    def coded(self, body, coding="gzip"):
        return post("/predict-single", body, [JSON, ("Content-Encoding", coding)])

    def test_gzip_bodies_are_served(self):
        for coding in ("gzip", "GZIP", "x-gzip"):
            self.assertEqual(self.exchange(self.coded(gzip.compress(ROW), coding)).status, 200)
        self.assertEqual(self.exchange(self.coded(ROW, "identity")).status, 200)

    def test_members_are_joined(self):
        body = b"".join(gzip.compress(ROW[i:i + 9]) for i in range(0, len(ROW), 9))
        self.assertEqual(self.exchange(self.coded(body)).status, 200)

    def test_chunked_gzip_is_served(self):
        packed = gzip.compress(ROW)
        request = chunked("/predict-single", [chunk(packed[:9]), chunk(packed[9:])],
                          [JSON, ("Content-Encoding", "gzip")])
        self.assertEqual(self.exchange(request).status, 200)

    def test_broken_gzip_is_refused_and_the_connection_kept(self):
        packed = gzip.compress(ROW)
        message = "Content-Encoding is gzip, but the body is not: it is corrupt or cut off"
        flipped = packed[:-6] + bytes([packed[-6] ^ 1]) + packed[-5:]
        for body in (ROW, packed[:-1], packed[:12], packed[:1], flipped, packed + b"trailing",
                     packed + packed[:15]):
            self.assert_error(self.exchange(self.coded(body)), 400, "INVALID_ARGUMENT", message)
        self.assert_still_open()

    def test_a_bomb_is_refused(self):
        bomb = gzip.compress(b" " * 30_000_000)
        self.assertLess(len(bomb), 30_000)
        self.assert_error(self.exchange(self.coded(bomb)), 413, "PAYLOAD_TOO_LARGE",
                          "the body is larger than 29360128 bytes when its gzip is undone")

    def test_a_bomb_of_empty_members_is_cheap(self):
        before = self.server.cpu_seconds()
        body = gzip.compress(b"") * 300_000  # 6 MB that inflate to nothing
        self.assert_error(self.exchange(self.coded(body)), 400, "INVALID_ARGUMENT")
        self.assertLess(self.server.cpu_seconds() - before, 20)

    def test_other_codings_are_refused(self):
        for coding in ("br", "zstd", "gzip, gzip", "gzip, br"):
            self.assert_error(self.exchange(self.coded(b"x", coding)), 415,
                              "UNSUPPORTED_MEDIA_TYPE",
                              "Content-Encoding may be gzip, deflate or identity")


class Methods(Http):
    def test_head_is_get_without_the_body(self):
        for path in ("/", "/livez", "/version", "/openapi.json", "/nothing"):
            whole = self.exchange(get(path))
            head = self.exchange(get(path, method="HEAD"), "HEAD")
            for answer in (whole, head):
                for changing in ("date", "x-request-id"):
                    del answer.headers[changing]
            self.assertEqual(head.status, whole.status, path)
            self.assertEqual(head.headers, whole.headers, path)
        self.assert_still_open()

    def test_options_names_the_methods(self):
        for path, allow in (("/predict", "POST, OPTIONS"), ("/livez", "GET, HEAD, OPTIONS"),
                            ("/infer", "GET, HEAD, POST, OPTIONS"),
                            ("*", "GET, HEAD, POST, OPTIONS")):
            answer = self.exchange(get(path, method="OPTIONS"))
            self.assertEqual((answer.status, answer.headers["allow"], answer.body),
                             (204, allow, b""))
        self.assert_error(self.exchange(get("/nothing", method="OPTIONS")), 404, "NOT_FOUND")

    def test_wrong_methods_are_told_the_right_ones(self):
        for method, path, allow in (("GET", "/predict", "POST, OPTIONS"),
                                    ("DELETE", "/predict-single", "POST, OPTIONS"),
                                    ("PUT", "/infer", "GET, HEAD, POST, OPTIONS"),
                                    ("PATCH", "/livez", "GET, HEAD, OPTIONS"),
                                    ("TRACE", "/livez", "GET, HEAD, OPTIONS"),
                                    ("BREW", "/livez", "GET, HEAD, OPTIONS")):
            answer = self.exchange(get(path, method=method))
            self.assert_error(answer, 405, "METHOD_NOT_ALLOWED",
                              f"{path} does not take {method}; accepted: {allow}")
            self.assertEqual(answer.headers["allow"], allow)
        self.assert_still_open()

    def test_post_without_length_is_411(self):
        self.assert_error(self.exchange(b"POST /predict HTTP/1.1\r\nHost: x\r\n\r\n"), 411,
                          "LENGTH_REQUIRED",
                          "a body is needed: send Content-Length or Transfer-Encoding: chunked")
        self.assert_still_open()

    def test_unknown_paths_suggest_the_nearest(self):
        for path, message in (
            ("/predct", "there is no /predct; did you mean /predict?"),
            ("/healthz", "there is no /healthz; did you mean /health?"),
            ("/predict//", "there is no /predict//; did you mean /predict?"),
            ("/favicon.ico", "there is no /favicon.ico; GET /openapi.json lists what there is"),
        ):
            self.assert_error(self.exchange(get(path)), 404, "NOT_FOUND", message)


class Targets(Http):
    def test_absolute_form_is_served(self):
        for target in ("http://test/livez", "http://test:8080/livez?x=1", "HTTP://TEST/livez"):
            self.assertEqual(self.exchange(get(target)).status, 200, target)
        self.assertEqual(self.exchange(get("http://test")).headers["content-type"],
                         "text/html; charset=utf-8")
        self.assertEqual(self.exchange(get("http://test?x=/livez")).status, 200)

    def test_odd_targets_are_refused(self):
        for target in ("livez", "*", "test:443"):
            with self.server.raw() as client:
                self.assertIn(client.exchange(get(target)).status, (400, 404), target)

    def test_hosts(self):
        message = "an HTTP/1.1 request needs exactly one Host header"
        for lines in (b"", b"Host: a\r\nHost: a\r\n", b"Host: a\r\nHost: b\r\n"):
            with self.server.raw() as client:
                answer = client.exchange(b"GET /livez HTTP/1.1\r\n" + lines + b"\r\n")
                self.assert_error(answer, 400, "INVALID_ARGUMENT", message)
        self.assertEqual(self.exchange(b"GET /livez HTTP/1.1\r\nHost:\r\n\r\n").status, 200)


class Malformed(Http):
    def test_bad_heads_are_refused_and_the_connection_ends(self):
        for data in (
            b"GET /livez HTTP/1.1\nHost: x\n\n",
            b"GET /livez HTTP/1.1\r\nHost: x\nX: y\r\n\r\n",
            b"GET /livez HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
            b"GET /livez HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n",
            b"GET /livez HTTP/1.1\r\nHost: x\r\nX : y\r\n\r\n",
            b"GET /livez HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n",
            b"GET /livez HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
            b"GET /livez HTTP/1.1\r\n Host: x\r\n\r\n",
            b"GET  /livez HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /li vez HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /livez\r\nHost: x\r\n\r\n",
            b"GET /livez HTTP/2.0\r\nHost: x\r\n\r\n",
            b"GET /livez HTTP/1.9\r\nHost: x\r\n\r\n",
            b"GET /livez HTTPS/1.1\r\nHost: x\r\n\r\n",
            b"G@T /livez HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /li\0vez HTTP/1.1\r\nHost: x\r\n\r\n",
        ):
            with self.subTest(data=data), self.server.raw() as client:
                answer = client.exchange(data)
                self.assert_error(answer, 400, "INVALID_ARGUMENT")
                self.assertIn("not a valid HTTP/1.1 request", answer.json["error"])
                self.assertEqual(answer.headers["connection"], "close")
                self.assertTrue(client.is_closed())

    def test_requests_that_could_smuggle_another_are_refused(self):
        body = b"5\r\nhello\r\n0\r\n\r\n"
        for headers in (
            ["Content-Length: 5", "Content-Length: 6"], ["Content-Length: 5", "Content-Length: 5"],
            ["Content-Length: 5, 5"], ["Content-Length: 5, 6"], ["Content-Length: +5"],
            ["Content-Length: -5"], ["Content-Length: 0x5"], ["Content-Length: 5 5"],
            ["Content-Length:"], ["Content-Length: 99999999999999999999"],
            ["Content-Length: 5", "Transfer-Encoding: chunked"],
            ["Transfer-Encoding: chunked", "Content-Length: 5"],
            ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
            ["Transfer-Encoding: chunked", "Transfer-Encoding: identity"],
            ["Transfer-Encoding: identity, chunked"], ["Transfer-Encoding: chunked, identity"],
            ["Transfer-Encoding: gzip, chunked"], ["Transfer-Encoding: xchunked"],
            ["Transfer-Encoding: \x0bchunked"], ["Transfer-Encoding : chunked"],
            ["Transfer-Encoding: chunked", "Content-Length : 5"], ["Transfer-Encoding:"],
        ):
            head = "\r\n".join(["POST /infer?cpu_ms=0 HTTP/1.1", "Host: x", *headers])
            with self.subTest(headers=headers), self.server.raw() as client:
                answer = client.exchange(head.encode("latin-1") + b"\r\n\r\n" + body)
                self.assertIn(answer.status, (400, 413, 501), answer)
                self.assertEqual(answer.headers["connection"], "close")
                self.assertTrue(client.is_closed())

    def test_folded_lines_are_joined_by_a_space(self):
        # RFC 9112 5.2 lets a server refuse them or do this.
        answer = self.exchange(b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Request-Id: a\r\n b\r\n\r\n")
        self.assertEqual(answer.status, 200)
        self.assertNotIn(answer.headers["x-request-id"], ("a", "ab", "b"))
        body = b"5\r\nhello\r\n0\r\n\r\n"
        answer = self.exchange(b"POST /infer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n chunked"
                               b"\r\nContent-Length: 5\r\n\r\n" + body)
        self.assertEqual((answer.status, answer.headers["connection"]), (400, "close"))

    def test_chunked_in_http_1_0_is_refused(self):
        data = b"POST /infer HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        answer = self.exchange(data)
        self.assertEqual(answer.headers["connection"], "close")
        self.assertIn(answer.status, (200, 400))
        self.assertTrue(self.connection.is_closed())

    def test_too_large_heads_are_431(self):
        message = "request line and headers are over 16384 bytes"
        for data in (get("/" + "x" * 20000), get("/livez", [("X-Long", "y" * 20000)]),
                     get("/livez", [(f"X-{i}", "z" * 20) for i in range(800)])):
            with self.server.raw() as client:
                answer = client.exchange(data)
                self.assert_error(answer, 431, "HEADERS_TOO_LARGE", message)
                self.assertTrue(client.is_closed())

    def test_heads_just_under_the_limit_are_served(self):
        self.assertEqual(self.exchange(get("/livez", [("X-Long", "y" * 16000)])).status, 200)


class Cors(unittest.TestCase):
    PREFLIGHT = (("Access-Control-Request-Method", "POST"),
                 ("Access-Control-Request-Headers", "content-type"))

    def preflight(self, server, origin, path="/predict-single"):
        with server.raw() as client:
            return client.exchange(get(path, [("Origin", origin), *self.PREFLIGHT], "OPTIONS"))

    @staticmethod
    def cors_headers(answer):
        return {name for name in answer.headers if name.startswith("access-control-")}

    def test_is_off_by_default(self):
        with Server() as server:
            self.assertEqual(self.cors_headers(self.preflight(server, "https://a.example")), set())
            answer = server.post_json("/predict-single", {"features": [0.5] * 20},
                                      {"Origin": "https://a.example"})
            self.assertEqual(self.cors_headers(answer), set())

    def test_named_origins_are_allowed_and_foreign_ones_are_not(self):
        good, bad = "https://a.example", "https://evil.example"
        with Server("--cors-origins", good + ",https://b.example",
                    "--cors-max-age", "90s") as server:
            answer = self.preflight(server, good)
            self.assertEqual(answer.status, 204)
            self.assertEqual(answer.headers["access-control-allow-origin"], good)
            self.assertIn("POST", answer.headers["access-control-allow-methods"])
            self.assertIn("Content-Type", answer.headers["access-control-allow-headers"])
            self.assertEqual(answer.headers["access-control-max-age"], "90")
            self.assertEqual(answer.headers["vary"], "Origin")
            for origin in (bad, "null", good + ".evil.example", good + ":444"):
                refused = self.preflight(server, origin)
                self.assertNotIn("access-control-allow-origin", refused.headers, origin)
                self.assertEqual(refused.headers["vary"], "Origin")
            with server.raw() as client:
                body = post("/predict-single", ROW, [JSON, ("Origin", good)])
                self.assertEqual(
                    client.exchange(body).headers["access-control-allow-origin"], good)
                error = client.exchange(post("/predict-single", b"{", [("Origin", good)]))
                self.assertEqual(error.status, 400)
                self.assertEqual(error.headers["access-control-allow-origin"], good)
                self.assertIn("X-Request-Id", error.headers["access-control-expose-headers"])

    def test_any_origin(self):
        with Server("--cors-origins", "*") as server:
            answer = self.preflight(server, "https://whatever.example")
            self.assertEqual(answer.headers["access-control-allow-origin"], "*")
            with RawClient(server.admin_port) as admin:
                answer = admin.exchange(get("/health", [("Origin", "https://a.example")]))
                self.assertEqual(self.cors_headers(answer), set())  # never on the admin port


if __name__ == "__main__":
    unittest.main(verbosity=2)
