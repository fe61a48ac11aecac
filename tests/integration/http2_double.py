"""HTTP/2 servers for tests of `podsense load`: one that keeps the rules, on the `h2` package, and one that
says what a test gives it, byte by byte."""

import asyncio
import contextlib
import dataclasses
import socket
import struct
import threading
import time

from load_venv import use_packages

use_packages()

import h2.config  # noqa: E402  the path has to be set first
import h2.connection  # noqa: E402
import h2.errors  # noqa: E402
import h2.events  # noqa: E402
import h2.settings  # noqa: E402
import hyperframe.frame  # noqa: E402


@dataclasses.dataclass
class Answer:
    head: list = dataclasses.field(default_factory=lambda: [(":status", "200")])
    body: bytes = b"{}"
    trailers: list | None = None
    reset: int | None = None  # error code, in place of the end
    early: bool = False  # before the request's body has come
    latency: float = 0


@dataclasses.dataclass
class Request:
    connection: int
    head: dict
    body: bytes = b""
    came: float = 0
    done: float | None = None


class Http2Double:
    """`answer(request)` gives an Answer. `streams` is what a connection may have at a time, `window` how
    many bytes of a body may be on their way (None: HTTP/2's own 64 KiB).
    `leaves_after`: requests after which a connection says GOAWAY; those that it has looked at are
    answered, then it ends."""

    def __init__(self, answer=lambda request: Answer(), streams=100, window=None, tls=None,
                 leaves_after=None, address="127.0.0.1"):
        self.address = address
        self.answer, self.streams, self.window, self.tls = answer, streams, window, tls
        self.leaves_after = leaves_after
        self.requests = []
        self.connections = 0
        self.addresses = []  # where each connection came in
        self.most_at_once = 0  # on one connection

    def __enter__(self):
        started = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self._serve(started)))
        self.thread.start()
        started.wait()
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.stopping.set)
        self.thread.join()

    async def _serve(self, started):
        self.loop, self.stopping = asyncio.get_running_loop(), asyncio.Event()
        server = await self.loop.create_server(lambda: _Connection(self), self.address, 0,
                                               ssl=self.tls, backlog=2048)
        self.port = server.sockets[0].getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"
        started.set()
        await self.stopping.wait()
        server.close()

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://{self.host}"


class _Connection(asyncio.Protocol):
    def __init__(self, double):
        self.double = double
        double.connections += 1
        self.number = double.connections
        self.requests = {}
        self.unsent = {}
        self.taken = self.answered = 0
        self.leaving = False
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))

    def connection_made(self, transport):
        self.transport = transport
        self.double.addresses.append(transport.get_extra_info("sockname")[0])
        codes = h2.settings.SettingCodes
        settings = {codes.MAX_CONCURRENT_STREAMS: self.double.streams}
        if self.double.window is not None:
            settings[codes.INITIAL_WINDOW_SIZE] = self.double.window
        self.h2.local_settings = h2.settings.Settings(client=False, initial_values=settings)
        self.h2.initiate_connection()
        self.flush()

    def flush(self):
        self.transport.write(self.h2.data_to_send())

    def data_received(self, data):
        for event in self.h2.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                self.begin(event.stream_id, dict(event.headers))
            elif isinstance(event, h2.events.DataReceived):
                if event.stream_id in self.requests:
                    self.requests[event.stream_id].body += event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                if event.stream_id in self.requests:
                    self.complete(event.stream_id)
            elif isinstance(event, h2.events.StreamReset):
                self.requests.pop(event.stream_id, None)
            elif isinstance(event, h2.events.WindowUpdated):
                for stream in list(self.unsent):
                    self.send_body(stream)
        self.flush()

    def begin(self, stream, head):
        limit = self.double.leaves_after
        if limit is not None and self.taken >= limit:
            return  # nobody looks at it
        self.taken += 1
        request = self.requests[stream] = Request(self.number, head, came=time.monotonic())
        self.double.most_at_once = max(self.double.most_at_once, len(self.requests))
        self.double.requests.append(request)
        request.answer = self.double.answer(request)
        if self.taken == limit:
            self.leaving = True
            self.flush()
            self.transport.write(hyperframe.frame.GoAwayFrame(last_stream_id=stream).serialize())
        if request.answer.early:
            self.reply(stream)

    def complete(self, stream):
        if not self.requests[stream].answer.early:
            asyncio.get_running_loop().call_later(self.requests[stream].answer.latency,
                                                  self.reply, stream)

    def reply(self, stream):
        request = self.requests.get(stream)
        if request is None or self.transport.is_closing():
            return
        answer, request.done = request.answer, time.monotonic()
        if answer.head:
            bare = not answer.body and answer.trailers is None and answer.reset is None
            self.h2.send_headers(stream, answer.head, end_stream=bare)
            self.unsent[stream] = memoryview(answer.body)
            if bare:
                self.finish(stream)
            else:
                self.send_body(stream)
        else:
            self.h2.reset_stream(stream, answer.reset)
            self.finish(stream)
        self.flush()

    def send_body(self, stream):
        answer, body = self.requests[stream].answer, self.unsent[stream]
        while body:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            if room == 0:
                self.unsent[stream] = body
                return
            last = len(body) <= room and answer.trailers is None and answer.reset is None
            self.h2.send_data(stream, bytes(body[:room]), end_stream=last)
            body = body[room:]
        if answer.reset is not None:
            self.h2.reset_stream(stream, answer.reset)
        elif answer.trailers is not None:
            self.h2.send_headers(stream, answer.trailers, end_stream=True)
        self.finish(stream)

    def finish(self, stream):
        self.unsent.pop(stream, None)
        del self.requests[stream]
        if self.leaving and not self.requests:
            self.flush()
            self.transport.close()


# --- byte by byte

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, CONTINUATION = 0, 1, 3, 4, 5, 6, 7, 9
ACK = END_STREAM = 1
END_HEADERS = 4


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name, value):
    """A field that no table knows (HPACK, up to 126 bytes each)."""
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


OK = b"\x88"  # :status 200


class RawServer:
    """`talk(connection)` runs for each connection in a thread of its own; it ends with it."""

    def __init__(self, talk):
        self.talk = talk
        self.connections = 0

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.host = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.url = "http://" + self.host
        self.threads = [threading.Thread(target=self._accept)]
        self.threads[0].start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join()
        self.listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                self.connections += 1
                self.threads.append(threading.Thread(target=self._serve,
                                                     args=(RawConnection(client, self.connections),)))
                self.threads[-1].start()

    def _serve(self, connection):
        with connection.client, contextlib.suppress(OSError):
            self.talk(connection)


class RawConnection:
    def __init__(self, client, number):
        self.client = client
        self.number = number  # from 1
        self.held = b""

    def send(self, *parts):
        self.client.sendall(b"".join(parts))

    def read(self, size):
        """Less at the end."""
        while len(self.held) < size:
            more = self.client.recv(65536)
            if not more:
                break
            self.held += more
        taken, self.held = self.held[:size], self.held[size:]
        return taken

    def frames(self):
        """(kind, flags, stream, payload) of what the client sends after its preface."""
        assert self.read(len(PREFACE)) == PREFACE
        while head := self.read(9):
            length = int.from_bytes(head[:3], "big")
            yield head[3], head[4], int.from_bytes(head[5:9], "big"), self.read(length)

    def requests(self):
        """The streams that the client opens."""
        for kind, _, stream, _ in self.frames():
            if kind == HEADERS:
                yield stream

    def greet(self, *settings):
        """SETTINGS of (number, value), and the acknowledgement of the client's."""
        payload = b"".join(struct.pack(">HI", number, value) for number, value in settings)
        self.send(frame(SETTINGS, payload=payload), frame(SETTINGS, ACK))

    def until_end(self):
        with contextlib.suppress(OSError):
            while self.client.recv(65536):
                pass
