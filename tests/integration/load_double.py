"""A server with known latencies, for tests of `podsense load`: it notes when each request came and
when it was answered, so that what the client says can be held against what really happened."""

import asyncio
import random
import threading
import time


class Double:
    """`latency(number)` gives the seconds before answer number 0, 1, …; `stall` = (from, length) in
    seconds since the first request lets nothing be answered meanwhile; `answer` is the whole response.

    close: "announce" says `Connection: close` with each answer, "silent" closes instead of answering
    every request but the first on a connection.
    one_at_a_time: requests wait for each other, as with a single worker.
    """

    def __init__(self, latency=lambda number: 0.0, stall=None, status=200, close=None,
                 one_at_a_time=False, tls=None, body=b"{}"):
        self.latency = latency
        self.stall = stall
        self.close = close
        self.status = status
        self.tls = tls
        self.body = body
        self.log = []  # (came, answered) in time.monotonic()
        self.bodies = []
        self.targets = []
        self.hosts = []
        self.connections = 0
        self.one_at_a_time = one_at_a_time
        self.number = 0
        self.first = None

    def __enter__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._run)
        started = threading.Event()
        self.started = started
        self.thread.start()
        started.wait()
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.stopping.set)
        self.thread.join()

    def _run(self):
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._serve())
        self.loop.close()

    async def _serve(self):
        self.stopping = asyncio.Event()
        self.turn = asyncio.Lock()
        self.server = await asyncio.start_server(self._client, "127.0.0.1", 0, ssl=self.tls,
                                                 backlog=2048)
        self.port = self.server.sockets[0].getsockname()[1]
        self.started.set()
        await self.stopping.wait()
        self.server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _client(self, reader, writer):
        self.connections += 1
        served = 0
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.targets.append(head.split(b" ")[1].decode())
                length = 0
                for line in head.lower().split(b"\r\n"):
                    if line.startswith(b"host:"):
                        self.hosts.append(line[5:].strip().decode())
                    if line.startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                self.bodies.append(await reader.readexactly(length))
                came = time.monotonic()
                self.first = self.first or came
                number, self.number = self.number, self.number + 1
                if self.close == "silent" and served > 0:
                    self.log.append((came, None))
                    return
                await self._wait(came, number)
                # Before writing: the client may have it before this process runs again.
                done = time.monotonic()
                extra = b"Connection: close\r\n" if self.close == "announce" else b""
                writer.write(b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\n%s"
                             b"Content-Length: %d\r\n\r\n%s"
                             % (self.status, extra, len(self.body), self.body))
                await writer.drain()
                self.log.append((came, done))
                served += 1
                if self.close == "announce":
                    return
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _wait(self, came, number):
        if self.one_at_a_time:
            async with self.turn:
                await asyncio.sleep(self.latency(number))
        else:
            await asyncio.sleep(self.latency(number))
        if self.stall:
            begin, length = self.first + self.stall[0], self.stall[1]
            if begin <= time.monotonic() < begin + length:
                await asyncio.sleep(begin + length - time.monotonic())

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def served(self):
        """Seconds that each answered request took here, ascending."""
        return sorted(done - came for came, done in self.log if done is not None)


def exponential(mean, seed=1):
    source = random.Random(seed)
    values = [source.expovariate(1 / mean) for _ in range(10000)]
    return lambda number: values[number % len(values)]


def constant(seconds):
    return lambda number: seconds
