"""HTTP/2 on both ports: the same answers as HTTP/1.1, in TLS too, whole however they are read; gRPC
beside them; and a drain that loses no call."""

import json
import signal
import ssl
import struct
import tempfile
import threading
import unittest

import http2_client as h2
from certificates import Authority
from harness import Server, ServerCase, multipart, photo, wait_until
from http2_client import (
    END_HEADERS,
    END_STREAM,
    HEADERS,
    WINDOW_UPDATE,
    Http2,
    encode,
    frame,
    grpc_fields,
    message,
    request_fields,
    settings,
)

JSON = [("content-type", "application/json")]
ROW = json.dumps({"features": [0.5] * 20}).encode()
READY = "/inference.GRPCInferenceService/ServerReady"
PARTS, MULTIPART = multipart(("image", photo(), "photo.jpg"))
TENSOR = json.dumps({"inputs": [{"name": "features", "datatype": "FP32", "shape": [1, 20],
                                 "data": [0.5] * 20}]}).encode()
# Method, path, headers, body.
REQUESTS = [
    *(("GET", path, (), None) for path in (
        "/", "/docs", "/openapi.json", "/health", "/livez", "/readyz", "/version", "/stats", "/v1/models", "/v2",
        "/v2/health/live", "/v2/health/ready", "/v2/models/random-forest",
        "/v2/models/random-forest/ready", "/v2/models/random-forest/config", "/v2/models/none", "/none",
        "/infer?cpu_ms=1", "/predict", "/health?x=%zz")),
    ("HEAD", "/openapi.json", (), None),
    ("OPTIONS", "/predict", (), None),
    ("OPTIONS", "/predict", [("origin", "https://example.com"),
                             ("access-control-request-method", "POST")], None),
    ("DELETE", "/predict", (), None),
    ("POST", "/health", (), b""),
    ("POST", "/predict", [("content-type", "image/jpeg")], photo()),
    ("POST", "/predict", [("content-type", MULTIPART)], PARTS),
    ("POST", "/predict", [("content-type", "text/plain")], b"hello"),
    ("POST", "/predict", [("content-type", "image/jpeg")], photo()[:1000]),
    ("POST", "/predict", [("content-type", "image/jpeg"), ("content-encoding", "br")], b"x"),
    ("POST", "/predict-single", JSON, ROW),
    ("POST", "/predict-single", JSON, b"{"),
    ("POST", "/predict-single", JSON, b" " * (1 << 21)),
    ("POST", "/predict-batch", JSON, json.dumps({"instances": [[0.5] * 20] * 3}).encode()),
    ("POST", "/v2/models/random-forest/infer", JSON, TENSOR),
    ("POST", "/v2/models/random-forest/infer", JSON, b"[]"),
    ("POST", READY, JSON, b"{}"),
    ("POST", READY, [("content-type", "application/grpc-web+proto")], message()),
]
# Of one answer alone, or of HTTP/1.1's framing.
OF_ITS_OWN = {"date", "x-request-id", "traceparent", "connection", "keep-alive", "content-length"}
CHANGING = {"request_id", "timing_ms", "uptime_s", "cpu_ms", "stats", "saturation"}


def steady(value):
    """Without what differs from answer to answer."""
    if isinstance(value, dict):
        return {key: steady(entry) for key, entry in value.items() if key not in CHANGING}
    return [steady(entry) for entry in value] if isinstance(value, list) else value


def shape(answer):
    """What has to be the same over every version of HTTP."""
    headers = sorted((name, value) for name, value in answer.all_headers if name not in OF_ITS_OWN)
    body = answer.body
    if answer.headers.get("content-type") == "application/json" and body:
        body = steady(json.loads(body))
    return answer.status, headers, body


class Routes(ServerCase):
    FLAGS = ("--cors-origins", "https://example.com", "--max-json-bytes", "1MiB")

    def test_answers_are_those_of_http1(self):
        with Http2(self.server.http_port) as client:
            for method, path, headers, body in REQUESTS:
                with self.subTest(method=method, path=path, body=(body or b"")[:20]):
                    wanted = self.server.request(method, path, body, dict(headers))
                    length = [("content-length", str(len(body)))] if body is not None else []
                    answer = client.request(method, path, body, [*headers, *length])
                    if path in ("/stats", "/health"):
                        self.assertEqual(answer.status, wanted.status)
                        self.assertEqual(answer.json.keys(), wanted.json.keys())
                    else:
                        self.assertEqual(shape(answer), shape(wanted))
                    self.assertEqual(answer.headers.get("content-length"),
                                     wanted.headers.get("content-length") if path == "/openapi.json" or
                                     wanted.status == 204 else str(len(answer.body)))

    def test_many_at_once_are_whole(self):
        # More pieces than one write takes, and more bytes than a socket.
        for path, count in (("/", 200), ("/openapi.json", 150)):
            wanted = self.server.get(path).body
            with self.subTest(path=path), Http2(self.server.http_port,
                                                first=settings(INITIAL_WINDOW=1 << 24)) as client:
                client.opens_windows = False
                client.send(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1 << 30)))
                head = encode(request_fields("GET", path))
                streams = range(1, 2 * count, 2)
                client.send(b"".join(frame(HEADERS, END_HEADERS | END_STREAM, stream, head)
                                     for stream in streams))
                for stream in streams:
                    self.assertEqual(client.answer(stream).body, wanted)

    def test_bodies_of_any_length_arrive(self):
        with Http2(self.server.http_port) as client:
            for spaces in (0, 1, 16383, 16384, 16385, 65535, 262143, 262144, 262145, 1000000):
                answer = client.request("POST", "/predict-single", ROW + b" " * spaces, JSON)
                self.assertEqual(answer.status, 200, answer)

    def test_a_request_beside_others(self):
        with Http2(self.server.http_port) as client:
            slow = client.ask(request_fields("POST", "/infer?cpu_ms=300"))
            held = client.ask(request_fields("POST", "/predict-single", JSON), ROW[:5], end=False)
            quick = client.request("GET", "/livez")
            self.assertEqual(quick.status, 200)
            self.assertFalse(client.answer_ended(slow))
            client.send_body(held, ROW[5:])
            self.assertEqual(client.answer(held).status, 200)
            self.assertEqual(client.answer(slow).status, 200)

    def test_grpc_on_the_http_port(self):
        with Http2(self.server.http_port) as client:
            answer = client.call(READY)
            self.assertEqual((answer.body, answer.trailers), (message(b"\x08\x01"), {"grpc-status": "0"}))
            self.assertEqual(client.request("GET", "/livez").status, 200)

    def test_the_grpc_port_has_no_other_routes(self):
        self.assertEqual(self.server.request("POST", READY, message(), {
            "content-type": "application/grpc-web+proto"}, self.server.grpc_port).status, 200)
        with Http2(self.server.grpc_port) as client:
            self.assertEqual(client.call(READY).trailers, {"grpc-status": "0"})
            self.assertEqual(client.request("POST", READY, message(), [
                ("content-type", "application/grpc-web+proto")]).status, 200)
            for path in ("/health", "/livez", "/readyz"):
                self.assertEqual(client.request("GET", path).status, 200, path)
                self.assertEqual(self.server.request("GET", path, port=self.server.grpc_port).status, 200)
            for method, path in (("POST", "/predict"), ("POST", "/predict-single"), ("GET", "/"), ("GET", "/docs"),
                                 ("POST", "/v2/models/random-forest/infer"), ("GET", "/openapi.json")):
                self.assertEqual(client.request(method, path, b"" if method == "POST" else None).status, 404, path)
                self.assertEqual(
                    self.server.request(method, path, port=self.server.grpc_port).status, 404, path)


class Tls(unittest.TestCase):
    def test_alpn_chooses(self):
        with tempfile.TemporaryDirectory() as folder:
            authority = Authority(folder, "authority")
            certificate, key = authority.issue("server")
            with Server("--tls-cert", certificate, "--tls-key", key, ready=False) as server:
                self.check(server, authority)

    def check(self, server, authority):
        def trust(*protocols):
            context = ssl.create_default_context(cafile=authority.certificate)
            context.set_alpn_protocols(protocols)
            return context

        wait_until(lambda: server.admin("GET", "/readyz").status == 200, what="readyz")
        for port in (server.http_port, server.grpc_port):
            for offered in (["h2"], ["http/1.1", "h2"]):
                with Http2(port, trust(*offered)) as client:
                    self.assertEqual(client.socket.selected_alpn_protocol(), "h2")
                    self.assertEqual(client.request("GET", "/livez").status, 200)
                    self.assertEqual(client.call(READY).trailers, {"grpc-status": "0"})
            for offered, chosen in ((["http/1.1"], "http/1.1"), ([], None)):
                with Http2(port, trust(*offered), preface=b"") as client:
                    self.assertEqual(client.socket.selected_alpn_protocol(), chosen)
                    client.send(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    self.assertTrue(client.socket.recv(100).startswith(b"HTTP/1.1 200"))
        with Http2(server.http_port, trust("h2")) as client:
            page = client.request("GET", "/openapi.json").body
            streams = [client.ask(request_fields("GET", "/openapi.json")) for _ in range(50)]
            self.assertEqual({client.answer(stream).body for stream in streams}, {page})
            answer = client.request("POST", "/predict", photo(), [("content-type", "image/jpeg")])
            self.assertEqual(answer.status, 200, answer)


class Caller(threading.Thread):
    """Calls in a closed loop, as gRPC's clients do: after GOAWAY none is begun, those up to its last
    stream are waited for, and the rest count as never begun."""

    IN_FLIGHT = 8

    def __init__(self, port):
        super().__init__()
        self.port = port
        self.answered, self.begun, self.failures = 0, threading.Event(), []
        self.client = Http2(port)

    def run(self):
        try:
            with self.client as client:
                streams = []
                while not client.goaways:
                    streams = [self.ask() for _ in range(self.IN_FLIGHT)]
                    while streams and not client.goaways:
                        self.take(streams.pop(0))
                    self.begun.set()
                for stream in streams:
                    if stream <= client.goaways[-1][0]:
                        self.take(stream)
                client.read_to_end()
        except Exception as error:  # a failure in a thread must reach the test
            self.failures.append(repr(error))

    def ask(self):
        return self.client.ask(request_fields("POST", "/predict-single", JSON), ROW)

    def take(self, stream):
        if self.client.goaways and stream > self.client.goaways[-1][0]:
            return
        answer = self.client.answer(stream)
        if answer.status != 200:
            self.failures.append(repr(answer))
        self.answered += 1


class Early(ServerCase):
    FLAGS = ("--idle-timeout", "1s")

    def test_an_early_answer_is_over_when_it_is_sent(self):
        """Whatever the client still sends: in the log, and in what is in flight."""
        with Http2(self.server.http_port) as client:
            stream = client.ask([(":method", "POST"), (":scheme", "http"), (":path", "/nowhere"),
                                 (":authority", "x")], end=False)
            self.assertEqual(client.answer(stream).status, 404)
            self.assertEqual(self.server.metric("podsense_requests_in_flight"), 0)
            line = wait_until(lambda: [line for line in self.server.log_lines("request")
                                       if line["path"] == "/nowhere"], what="its line")[0]
            self.assertLess(line["total_ms"], 900)  # a client is waited for, for a second
            client.read_to_end()
            self.assertEqual(len([line for line in self.server.log_lines("request")
                                  if line["path"] == "/nowhere"]), 1)

    def test_an_idle_connection_has_the_same_time_as_one_of_http1(self):
        for port in (self.server.http_port, self.server.grpc_port):
            with Http2(port) as client:
                self.assertEqual(client.request("GET", "/livez").status, 200)
                client.read_to_end()
                self.assertEqual({error for _, error, _ in client.goaways}, {h2.NO_ERROR})


class Drain(unittest.TestCase):
    def test_goaway_names_the_last_stream_and_no_call_is_lost(self):
        for repetition in range(5):
            with Server("--access-log", "errors") as server:
                callers = [Caller(server.http_port) for _ in range(4)]
                for caller in callers:
                    caller.start()
                for caller in callers:
                    self.assertTrue(caller.begun.wait(60))
                server.signal(signal.SIGTERM)
                self.assertEqual(server.wait_exit(), 0)
                for caller in callers:
                    caller.join()
                    self.assertEqual(caller.failures, [], f"repetition {repetition}")
                    self.assertEqual({error for _, error, _ in caller.client.goaways}, {h2.NO_ERROR})
                    # First one that refuses nothing, then the last stream that is answered.
                    self.assertEqual(caller.client.goaways[0][0], 2**31 - 1)
                    self.assertLess(caller.client.goaways[-1][0], caller.client.next_stream)

    def test_what_is_in_flight_is_answered(self):
        for port in ("http_port", "grpc_port"):
            with Server() as server, Http2(getattr(server, port)) as client, Http2(server.http_port) as idle:
                self.assertEqual(idle.request("GET", "/livez").status, 200)
                held = client.ask(grpc_fields(READY), message()[:3], end=False)
                wait_until(lambda: server.metric("podsense_requests_in_flight") == 1, what="the call")
                server.signal(signal.SIGTERM)
                while len(client.goaways) < 2:
                    self.assertIsNotNone(client.read_frame())
                self.assertEqual(client.goaways[-1][:2], (held, h2.NO_ERROR))
                idle.read_to_end()
                client.send_body(held, message()[3:])
                self.assertEqual(client.answer(held).trailers, {"grpc-status": "0"})
                client.read_to_end()
                self.assertEqual(server.wait_exit(), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
