#!/usr/bin/env python3
"""SIGTERM under open-loop load of everything at once: does any request fail?

    tests/endurance/run.sh drain.py [--times 3] [--rate 120] [--strict] [--punctual] [--json FILE]

Two servers stand behind one name, as pods behind a Service. Clients prefer the first. Load is offered
at fixed moments, whatever the answers do: HTTP rows and pictures on kept-alive connections, HTTP
requests that are in the middle of their body, gRPC unary calls, and gRPC streams. The first server gets
SIGTERM (every other time SIGINT) and goes; clients that honour `Connection: close`, GOAWAY and the end
of a stream go on at the second. Nothing is ever sent a second time on account of an error.

What gRPC's library cancels is counted apart: it does so with calls that a client sends in the moment
before it has read the GOAWAY, and offers no way to send that earlier (grpc 1.51). With --strict these
are failures, too.

Holds each time, else exit code 1: no request failed; the first server ended with 0; it ended within
100 ms of its last answer (reported; asserted with --punctual).
"""

import argparse
import collections
import concurrent.futures
import itertools
import json
import os
import queue
import signal
import statistics
import tempfile
import threading
import time
from pathlib import Path

import grpc
from harness import BINARY, MODELS, RawClient, Server, copy_models, post
from protos import Protos
from traffic import PHOTO, ROW, ROW_JSON

DESCRIPTORS = Path(os.environ.get("PODSENSE_DESCRIPTORS", BINARY.parent / "podsense.pb"))
DRAIN_DELAY = 0.5  # seconds
SECOND = "9"  # the second server's model versions, by which its answers are known
SINGLE = post("/predict-single", ROW_JSON, [("Content-Type", "application/json")])
PICTURE = post("/predict", PHOTO, [("Content-Type", "image/jpeg")])


class Tally:
    """What became of the requests, by kind. @threads thread-safe"""

    def __init__(self):
        self.lock = threading.Lock()
        self.answered = collections.Counter()
        self.failures = []
        self.races = 0  # calls that gRPC's library has cut
        self.last_answer = 0.0  # of the first server

    def good(self, kind, first):
        now = time.monotonic()
        with self.lock:
            self.answered[kind, first] += 1
            if first:
                self.last_answer = max(self.last_answer, now)

    def race(self):
        with self.lock:
            self.races += 1

    def bad(self, kind, what):
        with self.lock:
            self.failures.append(f"{kind}: {what}"[:400])


class Http:
    """A pool of kept-alive connections, used in turn."""

    def __init__(self, ports, tally):
        self.ports = ports
        self.tally = tally
        self.idle = queue.SimpleQueue()  # (since, connection)

    def take(self):
        """A connection that was in use lately, as a client with a short idle time-out has it: what
        lies idle for longer than the drain delay cannot be told to close."""
        while True:
            try:
                since, client = self.idle.get_nowait()
            except queue.Empty:
                return self.connect()
            if time.monotonic() - since < DRAIN_DELAY / 2:
                return client
            client.socket.close()

    def connect(self):
        for port in self.ports:
            try:
                client = RawClient(port, connect_timeout=0.5)
            except (ConnectionRefusedError, TimeoutError):
                continue
            client.first = port == self.ports[0]
            return client
        raise AssertionError("no server accepts connections")

    def ask(self, kind, pieces, pause=None):
        """Sends the pieces, waiting `pause` seconds between them."""
        client = None
        try:
            client = self.take()
            for number, piece in enumerate(pieces):
                if number:
                    threading.Event().wait(pause)
                client.send(piece)
            answer = client.read()
            if answer.status != 200:
                raise AssertionError(repr(answer))
            self.tally.good(kind, client.first)
        except Exception as error:
            self.tally.bad(kind, f"{error!r}, {'first' if client and client.first else 'second'} server")
            return
        if answer.headers.get("connection") == "close":
            client.socket.close()
        else:
            self.idle.put((time.monotonic(), client))

    def close(self):
        while not self.idle.empty():
            self.idle.get()[1].socket.close()


class Grpc:
    def __init__(self, ports, tally):
        protos = Protos(DESCRIPTORS)
        self.tally = tally
        addresses = ",".join(f"127.0.0.1:{port}" for port in ports)
        self.channels = [grpc.insecure_channel(f"ipv4:{addresses}", options=[
            ("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]) for _ in range(2)]
        request = protos.message("podsense.v1.InferRequest")
        self.row, self.picture = request(features=ROW), request(image=PHOTO)
        service = "podsense.v1.InferenceService"
        self.infers = [protos.call(channel, service, "Infer") for channel in self.channels]
        self.open_stream = protos.call(self.channels[0], service, "InferStream")
        self.number = 0
        self.open_calls = set()

    def unary(self):
        """Begins a call; its end is counted by a callback."""
        self.number += 1
        request = self.picture if self.number % 5 == 0 else self.row
        call = self.infers[self.number % 2].future(request, timeout=60)
        self.open_calls.add(call)
        call.add_done_callback(self.ended)

    def wait(self):
        """Until every call has ended; each has a deadline."""
        while self.open_calls:
            threading.Event().wait(0.005)

    def ended(self, call):
        if call.code() == grpc.StatusCode.OK:
            self.tally.good("gRPC", call.result().version != SECOND)
        elif call.code() == grpc.StatusCode.CANCELLED:
            self.tally.race()
        else:
            self.tally.bad("gRPC", f"{call.code()} {call.details()}")
        self.open_calls.discard(call)

    def close(self):
        for channel in self.channels:
            channel.close()


class Stream(threading.Thread):
    """Requests at fixed moments on one stream after the other. The server ends a stream with an
    error that bears the number of the first request it has not begun: those go to the next one."""

    def __init__(self, client, tally):
        super().__init__(daemon=True)
        self.client, self.tally = client, tally
        self.lock = threading.Lock()
        self.sent = []  # on the present stream
        self.requests = queue.SimpleQueue()  # of the present stream; None: its end
        self.ended = False
        self.answered = 0  # on the present stream

    def send(self):
        with self.lock:
            self.sent.append(self.client.row)
            self.requests.put(self.client.row)

    def end(self):
        with self.lock:
            self.ended = True
            self.requests.put(None)

    def run(self):
        try:
            while self.one_stream_or_race():
                pass
        except Exception as error:
            self.tally.bad("stream", repr(error))

    def one_stream_or_race(self):
        self.answered = 0
        try:
            return self.one_stream()
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.CANCELLED:
                raise
            self.tally.race()
            return self.move(self.answered)

    def one_stream(self):
        """True when the server has ended the stream before the client did."""
        for answer in self.client.open_stream(iter(self.requests.get, None), timeout=120):
            if answer.WhichOneof("result") == "error":
                if "open the stream again" not in answer.error.message:
                    raise AssertionError(answer.error.message)
                if answer.index != self.answered:
                    raise AssertionError(f"{self.answered} answers, but {answer.index} begun")
                return self.move(self.answered)
            self.tally.good("stream", answer.response.version != SECOND)
            self.answered += 1
        if not self.ended or self.answered != len(self.sent):
            raise AssertionError(f"{len(self.sent) - self.answered} requests of a stream without answer")
        return False

    def move(self, answered):
        """What was not begun is sent on the next stream."""
        with self.lock:
            self.requests.put(None)
            self.requests = queue.SimpleQueue()
            self.sent = self.sent[answered:]
            for request in self.sent:
                self.requests.put(request)
            if self.ended:
                self.requests.put(None)
        return True


class Load:
    """Everything at once, at fixed moments, until `stop`."""

    def __init__(self, ports, tally, rate):
        self.tally = tally
        self.http = Http(ports["http"], tally)
        self.grpc = Grpc(ports["grpc"], tally)
        self.streams = [Stream(self.grpc, tally) for _ in range(2)]
        self.pool = concurrent.futures.ThreadPoolExecutor(64)
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.offer, args=(rate,), daemon=True)

    def start(self):
        for thread in (*self.streams, self.thread):
            thread.start()

    def offer(self, rate):
        """Per twelve requests: four rows, one picture, two in the middle of a body, three gRPC calls,
        two on streams."""
        half = len(SINGLE) - 20
        split = [SINGLE[:half], SINGLE[half:]]
        rows = lambda: self.pool.submit(self.http.ask, "HTTP", [SINGLE])
        body = lambda: self.pool.submit(self.http.ask, "HTTP body", split, 0.15)
        picture = lambda: self.pool.submit(self.http.ask, "HTTP picture", [PICTURE])
        call = self.grpc.unary
        kinds = (rows, call, body, self.streams[0].send, rows, picture, call, rows, body,
                 self.streams[1].send, rows, call)
        begin = time.monotonic()
        for number in itertools.count():
            if self.stopping.wait(max(0.0, begin + number / rate - time.monotonic())):
                return
            kinds[number % len(kinds)]()

    def stop(self):
        """Waits for every answer."""
        self.stopping.set()
        self.thread.join()
        self.pool.shutdown()
        for stream in self.streams:
            stream.end()
            stream.join(120)
        self.grpc.wait()
        self.http.close()
        self.grpc.close()


def once(second, number, rate):
    """One server comes, is used and goes. Returns the tally and the seconds from the last moment at
    which it had to be there to its end."""
    tally = Tally()
    with Server("--drain-delay", f"{DRAIN_DELAY}s", "--access-log", "off") as first:
        load = Load({"http": (first.http_port, second.http_port),
                     "grpc": (first.grpc_port, second.grpc_port)}, tally, rate)
        load.start()
        wanted = {"HTTP", "HTTP body", "HTTP picture", "gRPC", "stream"}
        deadline = time.monotonic() + 60
        while not wanted <= {kind for kind, _ in tally.answered} and time.monotonic() < deadline:
            threading.Event().wait(0.01)
        told = time.monotonic()
        first.signal(signal.SIGINT if number % 2 else signal.SIGTERM)
        code = first.wait_exit()
        ended = time.monotonic()
        moved = time.monotonic() + 60
        while not wanted <= {kind for kind, one in tally.answered if not one}:
            if time.monotonic() > moved:
                tally.bad("harness", f"not all kinds went on at the second server: {tally.answered}")
                break
            threading.Event().wait(0.01)
        load.stop()
        if code != 0:
            tally.bad("server", f"exit code {code}")
    return tally, ended - max(tally.last_answer, told + DRAIN_DELAY)


def second_models(folder):
    copy_models(folder, *(entry.name for entry in MODELS.iterdir() if entry.is_dir()))
    for name, version in (("random-forest", "1"), ("efficientnet-lite0", "2")):
        (folder / name / version).rename(folder / name / SECOND)
    return folder


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--rate", type=float, default=120, help="requests a second, all kinds")
    parser.add_argument("--punctual", action="store_true", help="fail where an end took over 100 ms")
    parser.add_argument("--strict", action="store_true", help="count calls cut by the library as failed")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    answered, failures, lateness, races = collections.Counter(), [], [], 0
    with tempfile.TemporaryDirectory(prefix="podsense-drain-") as folder:
        with Server("--access-log", "off", models=second_models(Path(folder))) as second:
            for number in range(options.times):
                tally, late = once(second, number, options.rate)
                answered.update(tally.answered)
                failures += [f"time {number + 1}: {one}" for one in tally.failures]
                lateness.append(late)
                races += tally.races
                if tally.failures:
                    print(*failures[-3:], sep="\n", flush=True)
    late_ms = sorted(1e3 * one for one in lateness)
    print(f"{options.times} times: {answered.total()} requests, {len(failures)} failed, {races} cut "
          f"by gRPC's library; exit after the last answer: median {statistics.median(late_ms):.0f} ms, most {late_ms[-1]:.0f} ms, "
          f"{sum(one > 100 for one in late_ms)} over 100 ms")
    for (kind, first), count in sorted(answered.items()):
        print(f"  {kind:13} {'first' if first else 'second':6} server {count:7d}")
    if options.json:
        options.json.write_text(json.dumps({
            "times": options.times, "failures": failures, "cut_by_library": races, "exit_after_last_answer_ms": late_ms,
            "answered": {f"{kind}, {'first' if first else 'second'} server": count
                         for (kind, first), count in sorted(answered.items())}}, indent=1) + "\n")
    raise SystemExit(1 if failures or (options.strict and races) or (options.punctual and late_ms[-1] > 100) else 0)


if __name__ == "__main__":
    main()
