#!/usr/bin/env python3
"""A server that may use 512 MiB is asked for far more, in every way there is to make it hold something.

    tests/endurance/run.sh budget.py

In each scenario: a small client is answered throughout, resident memory stays below what the server may
use, a request that gets no memory is answered 503 or 413, and once all is over the budget is empty again.
"""

import asyncio
import collections
import json
import shutil
import struct
import tempfile
import threading
import time
import unittest
import zlib
from pathlib import Path

from harness import LIMIT, MODELS, ROOT, TESTDATA, Origin, RawClient, Server, post, wait_until

MEGABYTE = 1 << 20
MOST = 512 * MEGABYTE
ROW = b'{"features": [' + b", ".join([b"0.5"] * 20) + b"]}"
SINGLE = post("/predict-single", ROW, [("Content-Type", "application/json")])
REFUSED = {503, 413}
TINY = ROOT / "src/model/testdata/tiny"


def interlaced_png(side):
    """A black picture that costs its decoder four bytes a pixel, in a file of a few KB."""
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    packer = zlib.compressobj(9)
    data = b""
    for x, y, dx, dy in passes:
        columns, rows = -(-(side - x) // dx), -(-(side - y) // dy)
        row = bytes(1 + 4 * columns)
        for _ in range(rows):
            data += packer.compress(row)
    data += packer.flush()
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 1))
            + chunk(b"IDAT", data) + chunk(b"IEND", b""))


async def answers_to(port, request, times):
    """Status codes of as many connections that all send the same at the same time, each until it is answered."""
    codes = collections.Counter()

    async def send(writer):
        for at in range(0, len(request), MEGABYTE):
            writer.write(request[at:at + MEGABYTE])
            await writer.drain()

    async def ask():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        sending = asyncio.ensure_future(send(writer))
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), LIMIT)
            codes[int(head.split(b" ", 2)[1])] += 1
        except (OSError, EOFError) as error:
            codes[repr(error)] += 1
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            writer.transport.abort()
    await asyncio.gather(*(ask() for _ in range(times)))
    return codes


class SmallClient:
    """Asks for one row after the other, and remembers what was no answer."""

    def __init__(self, server):
        self.server = server
        self.answers = collections.Counter()
        self.slowest = 0.0
        self.stop = threading.Event()

    def __enter__(self):
        self.thread = threading.Thread(target=self.ask)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()

    def ask(self):
        while not self.stop.wait(0.01):
            began = time.monotonic()
            try:
                with RawClient(self.server.http_port) as client:
                    self.answers[client.exchange(SINGLE).status] += 1
            except OSError as error:
                self.answers[repr(error)] += 1
            self.slowest = max(self.slowest, time.monotonic() - began)


class Budget(unittest.TestCase):
    FLAGS = ("--max-memory", str(MOST), "--executors", "2", "--access-log", "errors")

    def start(self, *flags, models=None):
        server = Server(*self.FLAGS, *flags, models=models)
        server.__enter__()
        self.addCleanup(server.__exit__, None, None, None)
        server.wait_for_row_checks()
        wait_until(lambda: server.log_lines("memory"), what="the line that says how much there is")
        self.base = server.log_lines("memory")[0]["base_bytes"]
        return server

    def peak(self, server):
        with open(f"/proc/{server.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM:"))

    def check(self, server, small, codes):
        """After the attack: nobody small was refused, memory was kept, and is free again."""
        self.assertEqual(set(small.answers), {200}, small.answers)
        peak = self.peak(server)
        print(f"{self.id().rpartition('.')[2]}: {dict(codes)}, base {self.base >> 20} MiB, peak {peak >> 20} MiB, "
              f"small client {small.answers[200]} answers, slowest {small.slowest * 1000:.0f} ms")
        self.assertLess(peak, MOST)
        self.assertLessEqual(set(codes), {200} | REFUSED, codes)
        held = ("bodies", "fetches", "decoding", "answers")
        wait_until(lambda: sum(server.metric("podsense_memory_budget_bytes", use=use) for use in held) == 0,
                   what="the end of all that was held")

    def at_once(self, jobs):
        codes = collections.Counter()
        lock = threading.Lock()
        def run(job):
            code = job()
            with lock:
                codes[code] += 1
        threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return codes

    def send(self, server, data):
        def job():
            with RawClient(server.http_port) as client:
                client.socket.settimeout(LIMIT)
                try:
                    client.send(data)
                except OSError:  # refused before all was sent: the answer is there to be read
                    pass
                return client.read().status
        return job

    def test_bodies_that_are_held(self):
        server = self.start("--body-timeout", "20s")
        size = 64 * MEGABYTE
        head = post("/v2/models/random-forest/infer", b"", [("Inference-Header-Content-Length", "0")])
        head = head.replace(b"Content-Length: 0\r\n", b"Content-Length: %d\r\n" % size, 1)
        def hold():
            with RawClient(server.http_port) as client:
                client.socket.settimeout(LIMIT)
                try:
                    client.send(head + bytes(size - 1))
                except OSError:
                    pass
                return client.read().status
        with SmallClient(server) as small:
            codes = self.at_once([hold] * 12)
        self.assertGreater(sum(codes[code] for code in (503, 408)), 0)
        self.check(server, small, {code: count for code, count in codes.items() if code != 408})

    def test_connections_that_say_little(self):
        server = self.start()
        held = []
        with SmallClient(server) as small:
            for _ in range(7_000):
                client = RawClient(server.http_port)
                held.append(client)
                client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + b"a" * 36)
            wait_until(lambda: server.metric("podsense_connections") > 6_900, what="the connections")
            for client in held:
                client.socket.close()
            wait_until(lambda: server.metric("podsense_connections") < 10, what="their end")
        self.check(server, small, {})

    def test_pictures_of_fifty_megapixels(self):
        server = self.start()
        picture = interlaced_png(7_000)
        with SmallClient(server) as small:
            codes = self.at_once([self.send(server, post("/predict", picture))] * 8)
        self.assertGreater(codes[200], 0)
        self.check(server, small, codes)

    def test_large_pictures_that_wait(self):
        server = self.start("--fault-api")
        server.request("POST", "/v1/faults", '{"models": {"efficientnet-lite0": {"slow_ms": 300}}}',
                       port=server.admin_port)
        photo = (TESTDATA / "jpeg_420.jpg").read_bytes()
        picture = photo + bytes(10 * MEGABYTE - len(photo) - 1)
        with SmallClient(server) as small:
            codes = self.at_once([self.send(server, post("/predict", picture))] * 80)
        self.assertGreater(codes[200], 0)
        self.assertGreater(codes[503], 0)
        self.check(server, small, codes)

    def test_large_pictures_of_four_thousand_clients(self):
        server = self.start("--fault-api")
        server.request("POST", "/v1/faults", '{"models": {"efficientnet-lite0": {"slow_ms": 100}}}',
                       port=server.admin_port)
        photo = (TESTDATA / "jpeg_420.jpg").read_bytes()
        picture = photo + bytes(10 * MEGABYTE - len(photo) - 1)
        with SmallClient(server) as small:
            codes = asyncio.run(answers_to(server.http_port, post("/predict", picture), 4096))
        self.assertGreater(codes[200], 0)
        self.assertGreater(codes[503], 3000)
        self.assertEqual(sum(codes.values()), 4096)
        # 408: bodies that one process cannot send fast enough, while others wanted their memory.
        self.check(server, small, {code: count for code, count in codes.items() if code != 408})

    def test_runs_that_make_memory_of_nothing(self):
        with tempfile.TemporaryDirectory() as folder:
            for name, file in (("fill", TINY / "fill.onnx"), ("random-forest", None)):
                if file is None:
                    shutil.copytree(MODELS / name, Path(folder) / name)
                else:
                    (Path(folder) / name / "1").mkdir(parents=True)
                    shutil.copy(file, Path(folder) / name / "1/model.onnx")
            server = self.start(models=folder)
            def fill(numbers, binary):
                body = json.dumps({"inputs": [{"name": "shape", "shape": [1], "datatype": "INT64", "data": [numbers]}],
                                   "parameters": {"binary_data_output": binary}}).encode()
                return lambda: server.post("/v2/models/fill/infer", body).status
            with SmallClient(server) as small:
                codes = self.at_once([fill(numbers, binary) for binary in (True, False)
                                      for numbers in [30_000_000] * 8 + [1 << 34, 1 << 40]])
            self.assertGreater(codes[200], 0)
            self.assertGreaterEqual(codes[413], 2)
            self.check(server, small, codes)

    def test_fetched_files(self):
        photo = (TESTDATA / "jpeg_420.jpg").read_bytes()
        picture = photo + bytes(10 * MEGABYTE - len(photo) - 1)
        with Origin({"/large.jpg": (200, {"Content-Type": "image/jpeg"}, picture)}) as origin:
            server = self.start(*origin.flags)
            body = b'{"url": "%s"}' % origin.url("/large.jpg").encode()
            request = post("/predict/url", body, [("Content-Type", "application/json")])
            with SmallClient(server) as small:
                codes = self.at_once([self.send(server, request)] * 64)
            self.assertGreater(codes[200], 0)
            self.check(server, small, codes)


if __name__ == "__main__":
    unittest.main()
