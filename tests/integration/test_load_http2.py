"""`podsense load --http2`, and gRPC over it: against servers that are not ours, and against bad ones."""

import json
import re
import ssl
import struct
import subprocess
import tempfile
import unittest
from pathlib import Path

from certificates import Authority
from harness import BINARY, LIMIT
from http2_double import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    OK,
    PING,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    Answer,
    Http2Double,
    RawServer,
    frame,
    literal,
)
from load_double import Double
from load_venv import schema_faults
from test_load import Run

TEXT = [("content-type", "text/plain")]


def status(code, *fields):
    return [(":status", str(code)), *fields]


def ran(*flags, limit="10s"):
    return Run(*flags, "--http2", "-t", limit)


class Http(unittest.TestCase):
    def ok(self, run, count):
        self.assertEqual((run.code, run.counts["ok"], run.counts["failed"]), (0, count, 0), run)
        self.assertEqual(schema_faults(run.report), "")
        return run

    def test_get_as_with_http1(self):
        with Http2Double(lambda request: Answer(body=b"x" * 1000)) as double:
            run = self.ok(ran(double.url + "/a?b=1", "-n", 20, "-c", 4, "-H", "X-Team: Blue",
                              "-H", "Host: models.example", "-a", "me:secret"), 20)
        self.assertEqual(run.report["target"], {"url": double.url + "/a?b=1", "method": "GET",
                                                "protocol": "http/2"})
        for phase in ("latency", "service_latency", "first_byte", "send_lag"):
            self.assertEqual(run.report[phase]["count"], 20, phase)
        self.assertGreater(run.report["bytes_received"], 20_000)
        self.assertEqual(double.requests[0].head, {
            ":method": "GET", ":scheme": "http", ":authority": "models.example", ":path": "/a?b=1",
            "x-team": "Blue", "authorization": "Basic bWU6c2VjcmV0", "user-agent": "podsense-load"})
        self.assertEqual((double.connections, double.most_at_once), (4, 1))

    def test_post_with_templates(self):
        with Http2Double() as double, tempfile.TemporaryDirectory() as folder:
            body = Path(folder) / "body.json"
            body.write_text('{"n": {{counter}}}')
            self.ok(ran(double.url + "/x/{{counter}}", "-n", 6, "-c", 2, "--body-file", body), 6)
        self.assertEqual(sorted(request.body for request in double.requests),
                         [b'{"n": %d}' % i for i in range(6)])
        first = min(double.requests, key=lambda request: request.head[":path"])
        self.assertEqual({name: first.head[name] for name in (":method", ":path", "content-type",
                                                              "content-length")},
                         {":method": "POST", ":path": "/x/0", "content-type": "application/json",
                          "content-length": "8"})

    def test_open_inference_tensors_follow_the_metadata(self):
        def answer(request):
            if request.head[":method"] == "GET":
                return Answer(body=b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}]}')
            return Answer()

        with Http2Double(answer) as double:
            self.ok(ran(double.url, "--oip", "json", "--model", "m", "-n", 2, "-c", 1, "-H", "X-Key: k"), 2)
            self.assertEqual([(request.head[":path"], request.head["x-key"]) for request in double.requests],
                             [("/v2/models/m", "k")] + 2 * [("/v2/models/m/infer", "k")])
            self.assertEqual(json.loads(double.requests[1].body)["inputs"][0]["shape"], [1, 2])
        with Http2Double(lambda request: Answer(status(404))) as double:
            run = ran(double.url, "--oip", "json", "--model", "m", "-n", 2, "-c", 1)
        self.assertEqual((run.code, run.err.count("\n")), (1, 1), run)
        self.assertIn("/v2/models/m answers 404", run.err)

    def test_head_and_empty_posts(self):
        with Http2Double(lambda request: Answer(status(200, ("content-length", "9")), b"")) as double:
            self.ok(ran(double.url, "-n", 2, "-c", 1, "-m", "HEAD"), 2)
        with Http2Double() as double:
            self.ok(ran(double.url, "-n", 2, "-c", 1, "-m", "POST"), 2)
        self.assertEqual(double.requests[0].head["content-length"], "0")

    def test_tls_agrees_on_it(self):
        with tempfile.TemporaryDirectory() as folder:
            authority = Authority(folder, "authority")
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*authority.issue("server"))
            context.set_alpn_protocols(["h2"])
            with Http2Double(tls=context) as double:
                self.ok(ran(double.url, "-n", 20, "-c", 4, "--streams", 2, "--cacert",
                            authority.certificate), 20)
                self.assertEqual(double.requests[0].head[":scheme"], "https")
                run = ran(double.url, "-n", 1, "-c", 1)
                self.assertEqual((run.code, run.err.count("\n")), (1, 1), run)
                self.assertIn("the certificate is refused", run.err)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*authority.issue("old"))
            for offered in ([], ["http/1.1"]):
                context.set_alpn_protocols(offered)
                with Double(tls=context) as double:
                    run = ran(double.url, "-n", 1, "-c", 1, "--insecure")
                    self.assertEqual((run.code, run.err.count("\n")), (1, 1), run)
                    self.assertIn("the server does not offer h2 in TLS (ALPN)", run.err)

    def test_statuses_and_samples(self):
        with Http2Double(lambda request: Answer(status(503, *TEXT), b"too busy " * 100)) as double:
            run = ran(double.url, "-n", 5, "-c", 1, "--fail-if", "status_503>4")
        self.assertEqual((run.code, run.report["status"]["503"]["count"]), (3, 5), run)
        self.assertTrue(run.report["samples"]["503"].startswith("too busy"))
        self.assertLessEqual(len(run.report["samples"]["503"]), 300)

    def test_interim_answers_are_no_answers(self):
        def talk(connection):
            connection.greet()
            for stream in connection.requests():
                connection.send(frame(HEADERS, END_HEADERS, stream, literal(b":status", b"103")),
                                frame(HEADERS, END_HEADERS, stream, OK),
                                frame(DATA, END_STREAM, stream, b"{}"))

        with RawServer(talk) as server:
            run = self.ok(ran(server.url, "-n", 3, "-c", 1), 3)
        self.assertEqual(run.report["status"], {"200": run.report["status"]["200"]})

    def test_what_is_expected_of_answers(self):
        with Http2Double(lambda request: Answer(body=b'{"prediction": 1}')) as double:
            self.ok(ran(double.url, "-n", 2, "-c", 1, "--expect", "json:prediction=1"), 2)
            run = ran(double.url, "-n", 2, "-c", 1, "--expect", "json:prediction=2")
        self.assertEqual((run.code, run.report["errors"]), (1, {"unexpected": 2}), run)

    def test_redirects(self):
        def answer(request):
            leads = {"/a": status(302, ("location", "b")), "/b": status(307, ("location", "/c"))}
            return Answer(leads.get(request.head[":path"], status(200)))

        with Http2Double(answer) as double:
            self.ok(ran(double.url + "/a", "-n", 3, "-c", 1, "-L", "-d", "x"), 3)
            self.assertEqual([(request.head[":method"], request.head[":path"], request.body)
                              for request in double.requests[:3]],
                             [("POST", "/a", b"x"), ("GET", "/b", b""), ("GET", "/c", b"")])
            run = ran(double.url + "/a", "-n", 3, "-c", 1)
        self.assertEqual(run.report["status"]["302"]["count"], 3, run)
        self.assertIn("redirects to b", run.report["samples"]["302"])

    def test_without_keep_alive(self):
        with Http2Double() as double:
            self.ok(ran(double.url, "-n", 9, "-c", 3, "--disable-keepalive"), 9)
        self.assertGreaterEqual(double.connections, 9)
        self.assertEqual(len({request.connection for request in double.requests}), 9)

    def test_bad_flags(self):
        for flags, pattern in (
                (("http://127.0.0.1/", "-H", "Connection: close"), "Connection belongs to HTTP/1.1"),
                (("http://127.0.0.1/", "-H", "Upgrade: h2c"), "Upgrade belongs to HTTP/1.1")):
            run = ran(*flags, "-n", 1)
            self.assertEqual((run.code, run.out, run.err.count("\n")), (2, "", 1), run)
            self.assertRegex(run.err, re.escape(pattern))
        run = Run("http://127.0.0.1/", "-n", 1, "--streams", 2)
        self.assertIn("--streams belongs to --http2 or --grpc", run.err)


class Streams(unittest.TestCase):
    def test_many_on_a_connection(self):
        with Http2Double(lambda request: Answer(latency=0.02)) as double:
            run = ran(double.url, "-n", 60, "-c", 6, "--streams", 3)
        self.assertEqual((run.counts["ok"], run.report["connections_opened"]), (60, 2), run)
        self.assertEqual((double.connections, double.most_at_once), (2, 3))

    def test_no_more_than_the_server_allows(self):
        with Http2Double(lambda request: Answer(latency=0.02), streams=2) as double:
            run = ran(double.url, "-n", 60, "-c", 6, "--streams", 6)
            self.assertEqual((run.code, run.counts["ok"], run.counts["dropped"]), (0, 60, 0), run)
            self.assertEqual(double.most_at_once, 2)
            self.assertGreaterEqual(double.connections, 3)
            run = ran(double.url, "--qps", 200, "--seconds", 1, "--max-connections", 2, "-c", 1)
        self.assertEqual(double.most_at_once, 2)
        self.assertGreater(run.counts["dropped"], 0, run)
        self.assertEqual(run.counts["sent"], run.counts["ok"], run)

    def test_a_name_with_several_addresses(self):
        with tempfile.TemporaryDirectory() as folder, Http2Double(address="0.0.0.0") as double:
            hosts = Path(folder) / "hosts"
            hosts.write_text("".join(f"127.0.0.{number} pods.test\n" for number in (1, 2, 3)))
            inside = ["unshare", "-rm", "sh", "-c", f'mount --bind {hosts} /etc/hosts && exec "$@"', "sh"]
            if subprocess.run([*inside, "true"], capture_output=True, check=False).returncode != 0:
                self.skipTest("no mount namespace to give a name several addresses in")
            done = subprocess.run([*inside, BINARY, "load", f"http://pods.test:{double.port}/", "--http2", "--threads",
                                   "2", "-c", "9", "-n", "90", "--quiet"], capture_output=True, text=True,
                                  timeout=LIMIT, check=False)
        self.assertEqual(done.returncode, 0, done)
        self.assertEqual(sorted(double.addresses), 3 * ["127.0.0.1"] + 3 * ["127.0.0.2"] + 3 * ["127.0.0.3"])

    def test_an_open_loop_begins_with_few_connections(self):
        with Http2Double() as double:
            run = ran(double.url, "--qps", 200, "--seconds", 1)
        self.assertEqual((run.code, run.counts["ok"]), (0, 200), run)
        self.assertEqual(double.connections, 4)

    def test_large_bodies_keep_to_the_servers_window(self):
        with Http2Double(window=1000) as double, tempfile.TemporaryDirectory() as folder:
            body = Path(folder) / "body"
            body.write_bytes(bytes(range(256)) * 1200)
            run = ran(double.url, "-n", 4, "-c", 2, "--streams", 2, "-D", body)
            self.assertEqual((run.code, run.counts["ok"]), (0, 4), run)
            self.assertEqual({request.body for request in double.requests}, {body.read_bytes()})
        self.assertGreater(run.report["bytes_sent"], 4 * 1200 * 256)

    def test_large_answers_are_not_held_up(self):
        size = 5_000_000
        with Http2Double(lambda request: Answer(body=bytes(size))) as double:
            run = ran(double.url, "-n", 2, "-c", 2, "--streams", 2)
        self.assertEqual((run.code, run.counts["ok"]), (0, 2), run)
        self.assertGreater(run.report["bytes_received"], 2 * size)

    def test_an_answer_before_all_was_sent(self):
        with Http2Double(lambda request: Answer(status(413), b"too large", early=True), window=100) as double, \
                tempfile.TemporaryDirectory() as folder:
            body = Path(folder) / "body"
            body.write_bytes(bytes(10_000))
            run = ran(double.url, "-n", 4, "-c", 1, "-D", body)
        self.assertEqual(run.report["status"]["413"]["count"], 4, run)
        self.assertEqual((run.report["errors"], double.connections), ({}, 1), run)

    def test_a_window_that_never_opens_ends_at_the_time_limit(self):
        def talk(connection):
            connection.greet((4, 0))  # INITIAL_WINDOW_SIZE
            connection.until_end()

        with RawServer(talk) as server:
            run = Run(server.url, "--http2", "-n", 2, "-c", 1, "-t", "300ms", "-d", "x")
        self.assertEqual((run.code, run.report["errors"]), (1, {"timeout": 2}), run)

    def test_a_request_that_is_late_does_not_end_the_others(self):
        slow = {"/": 0.0, "/slow": 5.0}
        with Http2Double(lambda request: Answer(latency=slow[request.head[":path"]])) as double:
            run = Run("--http2", "--target", f"quick={double.url}/", "--target", f"slow={double.url}/slow",
                      "--qps", 50, "--seconds", 1, "-t", "400ms")
        self.assertEqual((run.counts["ok"], run.report["errors"]), (25, {"timeout": 25}), run)


    def test_a_connection_on_which_nothing_comes_any_more_is_left(self):
        def talk(connection):
            connection.greet()
            for stream in connection.requests():
                if connection.number > 1:
                    connection.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, OK))

        with RawServer(talk) as server:
            run = ran(server.url, "-n", 4, "-c", 1, limit="400ms")
        self.assertEqual((run.counts["ok"], run.report["errors"]), (3, {"timeout": 1}), run)
        self.assertEqual(server.connections, 2)


class Leaving(unittest.TestCase):
    """A server that says GOAWAY costs nothing, as long as somebody takes the requests."""

    def test_in_turns(self):
        with Http2Double(lambda request: Answer(latency=0.002), leaves_after=10) as double:
            run = ran(double.url, "-n", 200, "-c", 8, "--streams", 4)
        self.assertEqual((run.code, run.counts["ok"], run.report["errors"]), (0, 200, {}), run)
        self.assertGreaterEqual(double.connections, 20)
        self.assertEqual(len(double.requests), 200, "nothing that was processed is sent again")

    def test_open_loop(self):
        with Http2Double(leaves_after=50) as double:
            run = ran(double.url, "--qps", 400, "--seconds", 1)
        self.assertEqual((run.code, run.counts["ok"]), (0, 400), run)
        self.assertEqual(len(double.requests), 400)

    def test_lost_connections_come_again(self):
        """Else all that follows a restart would go to one thread of the server."""
        def talk(connection):
            connection.greet()
            for stream in connection.requests():
                if connection.number <= 4:
                    return
                connection.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, OK))

        with RawServer(talk) as server:
            run = ran(server.url, "--qps", 40, "--seconds", 1)
        self.assertGreaterEqual(server.connections, 8, run)
        self.assertLessEqual(run.counts["failed"], 4, run)

    def test_a_refused_stream_is_sent_again_but_not_for_ever(self):
        refused = Answer(head=None, reset=7)
        with Http2Double(lambda request: Answer() if len(double.requests) % 2 == 0 else refused) as double:
            run = ran(double.url, "-n", 10, "-c", 1)
        self.assertEqual((run.code, run.counts["ok"], len(double.requests)), (0, 10, 20), run)
        with Http2Double(lambda request: refused) as double:
            run = ran(double.url, "-n", 2, "-c", 1)
        self.assertEqual((run.code, run.report["errors"]), (1, {"reset": 2}), run)
        self.assertEqual(len(double.requests), 10)
        self.assertIn("REFUSED_STREAM", run.report["samples"]["reset"])

    def test_goaway_at_once(self):
        def talk(connection):
            connection.greet()
            connection.send(frame(GOAWAY, payload=struct.pack(">II", 0, 11) + b"not you"))
            connection.until_end()

        with RawServer(talk) as server:
            run = ran(server.url, "-n", 20, "-c", 2)
        self.assertEqual(run.code, 1, run)
        self.assertRegex(run.err + run.out, "GOAWAY, ENHANCE_YOUR_CALM: not you")
        self.assertLess(server.connections, 200)

    def test_what_was_under_way_when_the_server_closed(self):
        def talk(connection):
            connection.greet()
            for _ in connection.requests():
                return

        with RawServer(talk) as server:
            run = ran(server.url, "-n", 4, "-c", 1)
        self.assertEqual((run.code, run.report["errors"]), (1, {"closed": 4}), run)
        self.assertIn("closed the connection before the answer", run.report["samples"]["closed"])


class BadServers(unittest.TestCase):
    """Each ends in a clear error, soon, and takes no memory."""

    def refused(self, talk, pattern, *flags):
        """None of its connections ever stands."""
        with RawServer(talk) as server:
            for kind, protocol in (("--http2", "HTTP/2"), ("--grpc", "gRPC")):
                run = Run(server.url if kind == "--http2" else server.host, kind, "-n", 2, "-c", 1,
                          "-t", "2s", *(["--features", "1"] if kind == "--grpc" else []))
                self.assertEqual((run.code, run.out, run.err.count("\n")), (1, "", 1), run)
                self.assertRegex(run.err, pattern.replace("PROTOCOL", protocol))

    def test_http1(self):
        with Double() as double:
            run = ran(double.url, "-n", 1, "-c", 1, limit="1s")
        self.assertEqual((run.code, run.err.count("\n")), (1, 1), run)

        def talk(connection):
            connection.read(10)
            connection.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            connection.until_end()

        self.refused(talk, "the server speaks HTTP/1, no PROTOCOL")

    def test_no_http_at_all(self):
        def closes(connection):
            connection.read(10)

        def speaks(connection):
            connection.send(b"220 smtp.example ESMTP\r\n")
            connection.until_end()

        def is_silent(connection):
            connection.until_end()

        def allows_nothing(connection):
            connection.greet((3, 0))  # MAX_CONCURRENT_STREAMS
            connection.until_end()

        self.refused(allows_nothing, "the server allows no streams")
        self.refused(closes, "the server accepts connections, but speaks no PROTOCOL")
        self.refused(speaks, "the server accepts connections, but speaks no PROTOCOL")
        self.refused(is_silent, "speaks no PROTOCOL: no SETTINGS within the time limit")

    def test_tls_where_none_is_expected(self):
        def talk(connection):
            connection.read(10)
            connection.send(b"\x15\x03\x03\x00\x02\x02\x46")

        self.refused(talk, "speaks TLS on this port: use --tls, https:// or grpcs://")

    def failed(self, reply, errors, pattern, count=3):
        """Connections stand; `reply(stream)` is what a request gets."""
        def talk(connection):
            connection.greet()
            for stream in connection.requests():
                connection.send(reply(stream))

        with RawServer(talk) as server:
            run = ran(server.url, "-n", count, "-c", 1)
        self.assertEqual((run.code, run.report["errors"]), (1, errors), run)
        self.assertRegex(" ".join(run.report["samples"].values()), pattern)
        self.assertEqual(schema_faults(run.report), "")

    def test_what_no_server_may_send(self):
        for name, reply, pattern in (
                ("a field in upper case", lambda stream: frame(
                    HEADERS, END_HEADERS | END_STREAM, stream, OK + literal(b"X-Bad", b"1")), "X-Bad"),
                ("no status", lambda stream: frame(
                    HEADERS, END_HEADERS | END_STREAM, stream, literal(b"a", b"1")), "HTTP/2"),
                ("data before a head", lambda stream: frame(DATA, END_STREAM, stream, b"x"), "HTTP/2"),
                ("less than it announced", lambda stream: frame(
                    HEADERS, END_HEADERS, stream, OK + literal(b"content-length", b"9"))
                 + frame(DATA, END_STREAM, stream, b"x"), "HTTP/2"),
                ("fields that do not decode", lambda stream: frame(
                    HEADERS, END_HEADERS | END_STREAM, stream, b"\xff\xff\xff\xff\xff\xff"), "HTTP/2"),
                ("an answer that nobody asked for", lambda stream: frame(
                    HEADERS, END_HEADERS | END_STREAM, stream + 100, OK), "HTTP/2"),
                ("a push", lambda stream: frame(
                    PUSH_PROMISE, END_HEADERS, stream, struct.pack(">I", 2) + OK), "HTTP/2"),
                ("a frame that is too large", lambda stream: frame(DATA, 0, stream, bytes(20_000)),
                 "HTTP/2")):
            with self.subTest(name):
                self.failed(reply, {"protocol": 3}, pattern)

    def test_resets(self):
        self.failed(lambda stream: frame(RST_STREAM, 0, stream, struct.pack(">I", 2)), {"reset": 200},
                    "the server reset the stream: INTERNAL_ERROR", count=200)

    def test_endless_headers(self):
        def reply(stream):
            return frame(HEADERS, 0, stream, OK) + 5000 * frame(CONTINUATION, 0, stream,
                                                                literal(b"a", b"x" * 100) * 100)

        def talk(connection):
            connection.greet()
            for stream in connection.requests():
                connection.send(reply(stream))
                connection.until_end()

        with RawServer(talk) as server:
            run = ran(server.url, "-n", 2, "-c", 1)
        self.assertEqual((run.code, run.report["errors"]), (1, {"protocol": 2}), run)

    def test_headers_that_are_too_large(self):
        field = literal(b"a", b"x" * 100)
        self.failed(lambda stream: frame(HEADERS, 0, stream, OK + field * 150)
                    + frame(CONTINUATION, 0, stream, field * 150) * 3
                    + frame(CONTINUATION, 0, stream, b"\x40\x01b\x7f\x61" + b"y" * 224) * 1
                    + frame(CONTINUATION, END_HEADERS, stream, b"\xbe" * 4000),
                    {"protocol": 3}, "headers are larger than 256 KiB")

    def test_floods(self):
        for flood in (frame(PING, payload=bytes(8)), frame(SETTINGS, payload=struct.pack(">HI", 3, 9))):
            with self.subTest(flood):
                def talk(connection, flood=flood):
                    connection.greet()
                    for _ in connection.requests():
                        while True:
                            connection.send(flood * 1000)

                with RawServer(talk) as server:
                    run = Run(server.url, "--http2", "-n", 2, "-c", 1, "-t", "3s")
                self.assertEqual(run.code, 1, run)
                self.assertLessEqual(set(run.report["errors"]), {"protocol", "timeout"}, run)

    def test_acknowledgements_alone_are_no_settings(self):
        self.refused(lambda connection: (connection.send(frame(SETTINGS, ACK)), connection.until_end()),
                     "the server accepts connections, but speaks no PROTOCOL")


def message(payload=b"", compressed=0):
    return struct.pack(">BI", compressed, len(payload)) + payload


GRPC = status(200, ("content-type", "application/grpc"))
DONE = [("grpc-status", "0")]


class Grpc(unittest.TestCase):
    def run_with(self, answer, *flags, limit="5s"):
        with Http2Double(lambda request: answer) as double:
            self.double = double
            return Run("--grpc", double.host, "--features", "1", "-n", 2, "-c", 1, "-t", limit, *flags)

    def test_a_call_on_the_wire(self):
        run = self.run_with(Answer(GRPC, message(b"abc"), DONE), "-H", "X-Bin-bin: a\x01?", limit="1500ms")
        self.assertEqual((run.code, run.counts["ok"]), (0, 2), run)
        self.assertEqual(run.report["bytes_received"], 6)
        request = self.double.requests[0]
        self.assertEqual(request.head, {
            ":method": "POST", ":scheme": "http", ":path": "/podsense.v1.InferenceService/Infer",
            ":authority": self.double.host, "te": "trailers", "content-type": "application/grpc",
            "grpc-timeout": "1500000u", "user-agent": "podsense-load", "x-bin-bin": "YQE/"})
        self.assertEqual(struct.unpack(">BI", request.body[:5]), (0, len(request.body) - 5))
        self.assertEqual(run.report["bytes_sent"], 2 * (len(request.body) - 5))

    def test_what_a_server_can_say(self):
        for answer, name, said in (
                (Answer(status(200, ("grpc-status", "14"), ("grpc-message", "f%C3%BCll%")), b""),
                 "UNAVAILABLE", "füll%"),
                (Answer(GRPC, message(), [("grpc-status", "5"), ("grpc-message", "none")]), "NOT_FOUND", "none"),
                (Answer(GRPC, message(), [("grpc-status", "99")]), "99", None),
                (Answer(status(502, *TEXT), b"bad"), "UNAVAILABLE", "HTTP status 502 in place of gRPC's"),
                (Answer(status(404), b""), "UNIMPLEMENTED", "HTTP status 404"),
                (Answer(status(200, *TEXT), b"hello"), "UNKNOWN", "no gRPC, but 'text/plain'"),
                (Answer(GRPC, message()), "UNKNOWN", "ended without a status"),
                (Answer(GRPC, b"", DONE), "INTERNAL", "OK without a message"),
                (Answer(GRPC, message() * 2, DONE), "INTERNAL", "several messages"),
                (Answer(GRPC, message(b"abc")[:-1], DONE), "INTERNAL", "not complete"),
                (Answer(GRPC, message(b"abc", 1), DONE), "INTERNAL", "compressed"),
                (Answer(None, reset=8), "CANCELLED", "reset the stream: CANCEL"),
                (Answer(None, reset=2), "INTERNAL", "INTERNAL_ERROR"),
                (Answer(None, reset=11), "RESOURCE_EXHAUSTED", "ENHANCE_YOUR_CALM"),
                (Answer(GRPC, message(b"abc"), reset=12), "PERMISSION_DENIED", "INADEQUATE_SECURITY")):
            with self.subTest(answer):
                run = self.run_with(answer)
                self.assertEqual(run.code, 1, run)
                self.assertEqual({code: result["count"] for code, result in run.report["status"].items()},
                                 {name: 2}, run)
                self.assertEqual(run.report["errors"], {}, run)
                if said:
                    self.assertIn(said, run.report["samples"][name])
                self.assertEqual(schema_faults(run.report), "")

    def test_a_server_that_leaves(self):
        with Http2Double(lambda request: Answer(GRPC, message(), DONE), leaves_after=5) as double:
            run = Run("--grpc", double.host, "--features", "1", "-n", 40, "-c", 4, "--streams", 2)
        self.assertEqual((run.code, run.counts["ok"], len(double.requests)), (0, 40, 40), run)


if __name__ == "__main__":
    unittest.main()
