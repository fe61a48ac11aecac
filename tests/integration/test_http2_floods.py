"""What an HTTP/2 client may send at no cost to itself costs the server little, and others nothing:
it ends in GOAWAY with ENHANCE_YOUR_CALM, or is bounded otherwise. On both ports."""

import itertools
import struct
import unittest

import http2_client as h2
from harness import BINARY, ServerCase
from http2_client import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    HEADERS,
    PING,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Http2,
    encode,
    frame,
    grpc_fields,
    message,
    request_fields,
    settings,
    text,
)

SANITIZED = b"__asan_init" in BINARY.read_bytes() or b"__tsan_init" in BINARY.read_bytes()
MOST_SECONDS = 0.1  # of CPU time for one connection
MOST_MEMORY = 16 << 20
READY = "/inference.GRPCInferenceService/ServerReady"
METADATA = "/inference.GRPCInferenceService/ServerMetadata"
STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"
INFER = "/inference.GRPCInferenceService/ModelInfer"
GET = encode(request_fields("GET", "/v1/models"))
CALL = encode(grpc_fields(READY))
INFER_HEAD = encode(grpc_fields(INFER))
BATCH = 200  # frames in one write
CALMED = "podsense_http2_connections_calmed_total"


def batches(frames, count):
    """`count` frames, many in one write."""
    frames = iter(frames)
    while count > 0:
        yield b"".join(itertools.islice(frames, min(BATCH, count)))
        count -= BATCH


def with_streams(make, count=20_000):
    """Frames of `make(stream)` for one stream after the other."""
    return batches((make(stream) for stream in itertools.count(1, 2)), count)


def continued(first, rest, count):
    """A HEADERS frame and `count` CONTINUATION frames that do not end it."""
    yield frame(HEADERS, 0, 1, first)
    yield from batches(itertools.repeat(frame(CONTINUATION, 0, 1, rest)), count)


def head_fields(count, size):
    """Many HEADERS frames whose fields are over the limit by far."""
    block = GET + b"".join(encode([(f"x-{number}", "v" * size)]) for number in range(count))
    yield frame(HEADERS, 0, 1, block[:16384])
    for at in range(16384, len(block), 16384):
        yield frame(CONTINUATION, 0, 1, block[at:at + 16384])
    yield frame(CONTINUATION, END_HEADERS, 1, b"")


def long_text(size):
    """A literal whose value is said to have `size` bytes."""
    return GET + b"\x00" + text("a") + text(b"", size)


def bomb():
    """One entry of nearly 4 kB in the table, then references to it alone: 64 MB a frame."""
    return GET + b"\x40" + text("a") + text("v" * 3900)


def reset(error=h2.CANCEL):
    return lambda stream: (frame(HEADERS, END_HEADERS, stream, INFER_HEAD) +
                           frame(RST_STREAM, 0, stream, struct.pack(">I", error)))


def made_to_reset(then):
    """Requests that the server has to reset itself, since what follows is wrong."""
    head = encode(grpc_fields(INFER, [("content-length", "0")]))
    return lambda stream: frame(HEADERS, END_HEADERS, stream, head) + then(stream)


# Each: the writes of one connection. All of them end in GOAWAY with ENHANCE_YOUR_CALM, for a reason.
FLOODS = {
    "reset": (lambda: with_streams(reset()), "flood"),
    "reset of requests": (lambda: with_streams(
        lambda stream: frame(HEADERS, END_HEADERS | END_STREAM, stream, GET) +
        frame(RST_STREAM, 0, stream, struct.pack(">I", h2.CANCEL))), "flood"),
    "made to reset by a window": (lambda: with_streams(made_to_reset(
        lambda stream: frame(WINDOW_UPDATE, 0, stream, b"\x7f\xff\xff\xff"))), "flood"),
    "made to reset by a length": (lambda: with_streams(made_to_reset(
        lambda stream: frame(DATA, 0, stream, b"x"))), "flood"),
    "more streams than may be": (lambda: with_streams(
        lambda stream: frame(HEADERS, END_HEADERS | END_STREAM, stream, GET)), "flood"),
    "empty continuation": (lambda: continued(GET, b"", 20_000), "flood"),
    "small continuation": (lambda: continued(GET, encode([("a", "b")]), 20_000), "flood"),
    "large head": (lambda: head_fields(2000, 100), "headers"),
    "large fields": (lambda: head_fields(100, 15_000), "headers"),
    "table bomb": (lambda: continued(bomb(), b"\xbe" * 16384, 1000), "headers"),
    "settings": (lambda: batches(itertools.repeat(
        frame(SETTINGS, 0, 0, settings(INITIAL_WINDOW=65535))), 20_000), "flood"),
    "settings in one frame": (lambda: batches(itertools.repeat(
        frame(SETTINGS, 0, 0, settings(INITIAL_WINDOW=65535) * 2000)), 2000), "flood"),
    "ping": (lambda: batches(itertools.repeat(frame(PING, 0, 0, b"12345678")), 20_000), "too_many_pings"),
    "priority": (lambda: batches(itertools.repeat(frame(PRIORITY, 0, 3, b"\0\0\0\1\7")), 20_000), "flood"),
    "priority of many": (lambda: with_streams(
        lambda stream: frame(PRIORITY, 0, stream, b"\0\0\0\0\7")), "flood"),
    "empty data": (lambda: itertools.chain(
        [frame(HEADERS, END_HEADERS, 1, INFER_HEAD)],
        batches(itertools.repeat(frame(DATA, 0, 1)), 20_000)), "flood"),
    "padding alone": (lambda: itertools.chain(
        [frame(HEADERS, END_HEADERS, 1, INFER_HEAD)],
        batches(itertools.repeat(frame(DATA, 8, 1, b"\x0a" + bytes(10))), 20_000)), "flood"),
    "data by one byte": (lambda: itertools.chain(
        [frame(HEADERS, END_HEADERS, 1, INFER_HEAD)],
        batches(itertools.repeat(frame(DATA, 0, 1, b"\0")), 100_000)), "flood"),
    "window by one": (lambda: batches(itertools.repeat(
        frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1))), 20_000), "flood"),
    "unknown frames": (lambda: batches(itertools.repeat(frame(0x77, 0, 0, b"zz")), 20_000), "flood"),
    "reset of what has ended": (lambda: itertools.chain(
        [frame(HEADERS, END_HEADERS, 1, INFER_HEAD)],
        batches(itertools.repeat(frame(RST_STREAM, 0, 1, struct.pack(">I", 8))), 20_000)), "flood"),
}

# What nghttp2 itself refuses: the connection ends, whatever it says.
ENDS = {
    "long text": lambda: continued(long_text(1 << 30), b"v" * 16384, 2000),
    "long number": lambda: continued(GET + b"\x00" + text("a") + b"\x7f", b"\x80" * 16384, 2000),
    "window by nothing": lambda: [frame(HEADERS, END_HEADERS, 1, INFER_HEAD),
                                  frame(WINDOW_UPDATE, 0, 1, bytes(4))],
    "data after the end": lambda: with_streams(
        lambda stream: frame(HEADERS, END_HEADERS | END_STREAM, stream, INFER_HEAD) +
        frame(DATA, 0, stream, b"x")),
    "push": lambda: [frame(h2.PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\2" + GET)],
    "window overflow": lambda: [frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff") * 2],
    "longest frame": lambda: itertools.chain([b"\xff\xff\xff\0\0\0\0\0\1"],
                                             itertools.repeat(b"x" * 16384, 1100)),
}


def memory(server):
    with open(f"/proc/{server.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmRSS"))


class Floods(ServerCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server.wait_for_row_checks()
        cls.ports = {"http": cls.server.http_port, "grpc": cls.server.grpc_port}

    def flood(self, port, writes, good):
        """Sends until the server has had enough; the client, which has read to the end. In between
        others are answered."""
        client = Http2(port)
        self.addCleanup(client.socket.close)
        for number, write in enumerate(writes):
            try:
                client.send(write)
            except OSError:
                break
            if number % 40 == 20:
                self.assertEqual(good.request("GET", "/livez").status, 200)
        return client

    def check_cost(self, before, connections):
        cpu, resident = before
        if SANITIZED:
            return
        self.assertLess(self.server.cpu_seconds() - cpu, MOST_SECONDS * connections)
        self.assertLess(memory(self.server) - resident, MOST_MEMORY)

    def test_floods_are_calmed(self):
        connections = 4
        for (name, (writes, reason)), port in itertools.product(FLOODS.items(), self.ports):
            with self.subTest(flood=name, port=port), Http2(self.ports[port]) as good:
                before = self.server.cpu_seconds(), memory(self.server)
                calmed = self.server.metric(CALMED, reason=reason)
                for _ in range(connections):
                    client = self.flood(self.ports[port], writes(), good)
                    client.read_to_end()
                    self.assertEqual({error for _, error, _ in client.goaways}, {ENHANCE_YOUR_CALM})
                self.assertEqual(good.request("GET", "/livez").status, 200)
                self.check_cost(before, connections)
                self.assertEqual(self.server.metric(CALMED, reason=reason) - calmed, connections)

    def test_what_breaks_the_rules_ends_the_connection(self):
        for (name, writes), port in itertools.product(ENDS.items(), self.ports):
            with self.subTest(attack=name, port=port), Http2(self.ports[port]) as good:
                before = self.server.cpu_seconds(), memory(self.server)
                self.flood(self.ports[port], writes(), good).read_to_end()
                self.assertEqual(good.request("GET", "/livez").status, 200)
                self.check_cost(before, 1)

    def test_held_answers_are_bounded(self):
        # Nothing is read and no window is opened: answers wait, up to the streams there may be.
        for name, port in self.ports.items():
            with self.subTest(port=name), Http2(port) as good:
                before = self.server.cpu_seconds(), memory(self.server)
                clients = [Http2(port, first=settings(INITIAL_WINDOW=0)) for _ in range(4)]
                for client in clients:
                    self.addCleanup(client.socket.close)
                    streams = [client.ask(grpc_fields(METADATA), message()) for _ in range(200)]
                    client.answers_begun(streams)
                    self.assertEqual(good.request("GET", "/livez").status, 200)
                self.check_cost(before, len(clients))

    def test_answers_of_streams_wait_within_bounds(self):
        # 5 bytes bring an answer of 150: a stream reads on only as its answers are taken.
        for name, port in self.ports.items():
            with self.subTest(port=name), Http2(port, first=settings(INITIAL_WINDOW=0)) as client:
                before = memory(self.server)
                streams = [client.ask(grpc_fields(STREAM), end=False) for _ in range(150)]
                for stream in streams:
                    client.send_body(stream, message() * 2000, end=False)
                client.answers_begun(streams)
                client.send(frame(PING, 0, 0, b"anything"))
                while not client.pings:
                    self.assertIsNotNone(client.read_frame())
                if not SANITIZED:
                    self.assertLess(memory(self.server) - before, MOST_MEMORY)

    def test_a_reader_that_is_slow_is_served_at_its_pace(self):
        page = self.server.get("/openapi.json").body
        with Http2(self.server.http_port, first=settings(INITIAL_WINDOW=0)) as client:
            client.opens_windows = False
            before = self.server.cpu_seconds(), memory(self.server)
            streams = [client.ask(request_fields("GET", "/openapi.json")) for _ in range(20)]
            client.answers_begun(streams)
            for stream in streams:  # 10 bytes each, and not one more
                client.send(frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", 10)))
            while any(len(client.answers[stream].body) < 10 for stream in streams):
                self.assertIsNotNone(client.read_frame())
            client.send(frame(PING, 0, 0, b"anything"))
            while not client.pings:
                self.assertIsNotNone(client.read_frame())
            self.check_cost(before, 1)
            for stream in streams:
                self.assertEqual(client.answers[stream].body, page[:10])


class Slow(ServerCase):
    """Who does not get on is cut off at the limit that HTTP/1.1 has for it."""

    FLAGS = ("--header-timeout", "300ms")

    def test_a_client_that_does_not_begin(self):
        for port in (self.server.http_port, self.server.grpc_port):
            for sent in (h2.PREFACE[:1], h2.PREFACE[:20], h2.PREFACE, h2.PREFACE + frame(SETTINGS)[:5],
                         h2.PREFACE + b"\0\0\1\4\0\0\0\0\0"):
                with self.subTest(sent=sent, port=port), Http2(port, preface=b"") as client:
                    client.send(sent)
                    client.read_to_end()

    def test_a_head_that_does_not_end(self):
        for port in (self.server.http_port, self.server.grpc_port):
            with self.subTest(port=port), Http2(port) as client:
                client.send(frame(HEADERS, 0, 1, CALL))
                client.read_to_end()


if __name__ == "__main__":
    unittest.main(verbosity=2)
