#!/usr/bin/env python3
"""Attacks of every kind, one after the other and several at a time, while good clients want their answers.

    tests/endurance/run.sh attacks.py [--seconds 3600] [--at-once 3] [--seed 1] [--json FILE] [--no-cgroup]

The server may use 512 MiB: by a memory cgroup of its own, where one can be made (root, cgroup v1 or v2), else by
--max-memory; sanitized builds have no such limit. Holds at the end (exit code 0), or says what does not (1):
  - every good request got its answer; a picture may also be refused with 503 while others hold the executors;
  - nobody was killed, by the kernel or otherwise, and the limit was kept;
  - once all is over, descriptors, threads and the memory budget are what they were, and resident memory is flat.
"""

import argparse
import collections
import contextlib
import gzip
import json
import os
import random
import shutil
import socket
import tempfile
import threading
import time
from pathlib import Path

import grpc
import hostile_models
from budget import MEGABYTE, interlaced_png
from harness import (
    LIMIT,
    MODELS,
    ROOT,
    SANITIZER,
    TESTDATA,
    Origin,
    RawClient,
    Server,
    copy_models,
    multipart,
    post,
    wait_until,
)
from http2_client import Http2, request_fields, settings
from long_run import DESCRIPTORS, Watch, one_round, settled_descriptors
from raw_cases import CASES
from test_http2_floods import ENDS, FLOODS
from traffic import GrpcClient, HttpClient, Unexpected

MOST = 512 * MEGABYTE
HELD = ("bodies", "fetches", "decoding", "answers")
MAY_BE_REFUSED = ("picture", "small_pictures", "picture_in_json", "simulated", "stream_of_good_and_bad")
# What the server says to those who go too far, and what the kernel says of those it has left.
ENDED = (OSError, EOFError, AssertionError)


class MemoryCgroup:
    """A cgroup of this process's own with so many bytes; `enter` is a command that enters it and becomes the rest."""

    def __init__(self, most):
        v1 = Path("/sys/fs/cgroup/memory")
        self.v1 = v1.is_dir()
        self.folder = (v1 if self.v1 else Path("/sys/fs/cgroup")) / f"podsense-attacks-{os.getpid()}"
        self.folder.mkdir()
        (self.folder / ("memory.limit_in_bytes" if self.v1 else "memory.max")).write_text(str(most))
        self.enter = ["sh", "-c", f'echo $$ >{self.folder}/cgroup.procs && exec "$0" "$@"']

    def figures(self):
        """(most bytes that were used, processes that the kernel has killed for it)"""
        most = int((self.folder / ("memory.max_usage_in_bytes" if self.v1 else "memory.peak")).read_text())
        events = (self.folder / ("memory.oom_control" if self.v1 else "memory.events")).read_text().split()
        return most, int(events[events.index("oom_kill") + 1])

    def close(self):
        wait_until(lambda: not (self.folder / "cgroup.procs").read_text().strip(), what="the end of the cgroup's processes")
        self.folder.rmdir()


def sent(port, data, then=lambda _: None):
    """Sends what there is to send, reads one answer where there is one, and leaves."""
    with contextlib.suppress(*ENDED), RawClient(port) as client:
        client.socket.settimeout(LIMIT)
        with contextlib.suppress(OSError):
            client.send(data)
        then(client)
        return client.read().status


def at_once(job, times):
    threads = [threading.Thread(target=job) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class Attacks:
    """Each method is one attack; all of them end by themselves, within some ten seconds."""

    repository = threading.Lock()

    def __init__(self, server, root, origin, seed):
        self.server, self.root, self.origin = server, root, origin
        self.random = random.Random(seed)
        self.large_picture = interlaced_png(7_000)
        photo = (TESTDATA / "jpeg_420.jpg").read_bytes()
        self.padded = photo + bytes(10 * MEGABYTE - len(photo) - 1)
        self.small = [path.read_bytes() for path in sorted(TESTDATA.iterdir()) if path.stat().st_size < 200_000]

    def port(self):
        return self.random.choice((self.server.http_port, self.server.grpc_port))

    def frames(self, table):
        writes = self.random.choice(list(table.values()))
        writes = writes[0] if isinstance(writes, tuple) else writes
        with contextlib.suppress(*ENDED), Http2(self.port()) as client:
            with contextlib.suppress(OSError):
                for write in writes():
                    client.send(write)
            client.read_to_end()

    def floods_of_frames(self):
        at_once(lambda: self.frames(FLOODS), 4)

    def broken_frames(self):
        at_once(lambda: self.frames(ENDS), 4)

    def raw_requests(self):
        for _, data, _ in self.random.sample(CASES, 40):
            sent(self.random.choice((self.server.http_port, self.server.admin_port)), data, RawClient.half_close)

    def noise(self):
        for _ in range(200):
            sent(self.port(), self.random.randbytes(self.random.randrange(1, 4000)), RawClient.half_close)

    def bodies_that_are_held(self):
        head = post("/v2/models/random-forest/infer", b"", [("Inference-Header-Content-Length", "0")])
        head = head.replace(b"Content-Length: 0\r\n", b"Content-Length: %d\r\n" % (64 * MEGABYTE), 1)
        at_once(lambda: sent(self.server.http_port, head + bytes(64 * MEGABYTE - 1)), 8)

    def connections_that_say_little(self):
        held = []
        with contextlib.suppress(OSError):
            for _ in range(2_000):
                held.append(socket.create_connection(("127.0.0.1", self.port()), timeout=LIMIT))
                held[-1].sendall(b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + b"a" * 36)
        for one in held:
            one.close()

    def large_pictures(self):
        at_once(lambda: sent(self.server.http_port, post("/predict", self.large_picture)), 3)

    def pictures_that_are_mostly_nothing(self):
        at_once(lambda: sent(self.server.http_port, post("/predict", self.padded)), 16)

    def damaged_pictures(self):
        for _ in range(100):
            picture = bytearray(self.random.choice(self.small))
            for _ in range(self.random.randrange(1, 20)):
                picture[self.random.randrange(len(picture))] = self.random.randrange(256)
            sent(self.server.http_port, post("/predict", bytes(picture[:self.random.randrange(1, len(picture) + 1)])))

    def forms(self):
        parts = [(f"field{at}", self.random.randbytes(50), None if at % 2 else "a.jpg") for at in range(500)]
        body, kind = multipart(*parts)
        sent(self.server.http_port, post("/predict", body, [("Content-Type", kind)]))

    def bodies_that_unpack_to_gigabytes(self):
        body = gzip.compress(bytes(200 * MEGABYTE), 1)
        at_once(lambda: sent(self.server.http_port, post("/predict", body, [("Content-Encoding", "gzip")])), 4)

    def deep_and_long_json(self):
        for body in (b"[" * 100_000, b'{"features":' * 50_000, b'{"features":[' + b"1," * 2_000_000 + b"1]}",
                     b'{"features":[1e999]}', b'{"instances":' + b"[[1]," * 20_000, b'"' + b"\\u0000" * 500_000 + b'"'):
            sent(self.server.http_port, post("/predict-single", body, [("Content-Type", "application/json")]))

    def runs_that_make_memory_of_nothing(self):
        def fill():
            numbers = self.random.choice((20_000_000, 1 << 34, 1 << 40))
            body = json.dumps({"inputs": [{"name": "shape", "shape": [1], "datatype": "INT64", "data": [numbers]}],
                               "parameters": {"binary_data_output": True}}).encode()
            sent(self.server.http_port, post("/v2/models/fill/infer", body))
        at_once(fill, 6)

    def fetches(self):
        def fetch():
            path = self.random.choice(("/large.jpg", "/none", "/loop", "/private", "/page"))
            body = b'{"url": "%s"}' % self.origin.url(path).encode()
            sent(self.server.http_port, post("/predict/url", body, [("Content-Type", "application/json")]))
        at_once(fetch, 32)

    def readers_that_do_not_read(self):
        with contextlib.suppress(*ENDED), Http2(self.server.http_port, first=settings(INITIAL_WINDOW=0)) as client:
            client.answers_begun([client.ask(request_fields("GET", "/openapi.json")) for _ in range(50)])
        sent(self.server.http_port, b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 200, RawClient.reset)

    def clients_that_leave(self):
        for _ in range(30):
            sent(self.server.http_port, post("/infer?cpu_ms=20", b""), RawClient.reset)
            sent(self.server.http_port, post("/predict", self.padded)[:self.random.randrange(1, 5 * MEGABYTE)], RawClient.reset)

    def hostile_models(self):
        """New models next to those that serve, and many clients that ask for a reload."""
        make = self.random.choice((hostile_models.shapes, hostile_models.external_data, hostile_models.graphs,
                                   hostile_models.deep_tree, hostile_models.manifests, hostile_models.versions))
        if not self.repository.acquire(blocking=False):
            return
        try:
            before = set(self.root.iterdir())
            make(self.root)
            at_once(lambda: self.server.admin("POST", "/v1/reload"), 10)
            for folder in set(self.root.iterdir()) - before:
                shutil.rmtree(folder)
            self.server.admin("POST", "/v1/reload")
        finally:
            self.repository.release()

    ALL = (floods_of_frames, broken_frames, raw_requests, noise, bodies_that_are_held, connections_that_say_little, large_pictures,
           pictures_that_are_mostly_nothing, damaged_pictures, forms, bodies_that_unpack_to_gigabytes, deep_and_long_json,
           runs_that_make_memory_of_nothing, fetches, readers_that_do_not_read, clients_that_leave, hostile_models)


class Thread(threading.Thread):
    def __init__(self, stop):
        super().__init__(daemon=True)
        self.stop = stop
        self.count, self.problems = collections.Counter(), []

    def note(self, what, error):
        self.problems.append(f"{time.strftime('%H:%M:%S')} {what}: {error!r}"[:500])


class Attacker(Thread):
    def __init__(self, attacks, seed, stop):
        super().__init__(stop)
        self.attacks, self.random = attacks, random.Random(seed)

    def run(self):
        while not self.stop.is_set():
            attack = self.random.choice(Attacks.ALL)
            try:
                attack(self.attacks)
            except Exception as error:  # the attack itself is wrong, or what it needs does not answer
                self.note(attack.__name__, error)
            self.count[attack.__name__] += 1


class Good(Thread):
    """Wants the right answers, ten times a second."""

    def __init__(self, make_client, seed, stop):
        super().__init__(stop)
        self.make_client, self.random = make_client, random.Random(seed)

    def run(self):
        client = self.make_client()
        while not self.stop.wait(0.1):
            kind = self.random.choice(client.GOOD)
            self.count[kind.__name__] += 1
            try:
                kind(client)
            except Exception as error:
                if kind.__name__ in MAY_BE_REFUSED and refused(error):
                    self.count["refused"] += 1
                else:
                    self.note(f"{type(client).__name__} {kind.__name__}", error)
        client.close()


def refused(error):
    if isinstance(error, grpc.RpcError):
        return error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)
    return isinstance(error, Unexpected) and ": 503 " in str(error) or "'error', 'error', 'error'" in str(error)


def make_repository(folder):
    root = copy_models(Path(folder), *(entry.name for entry in MODELS.iterdir() if entry.is_dir()))
    (root / "fill/1").mkdir(parents=True)
    shutil.copy(ROOT / "src/model/testdata/tiny/fill.onnx", root / "fill/1/model.onnx")
    return root


def run(options, server, root, origin):
    make_clients = (lambda: HttpClient(server.http_port), lambda: GrpcClient(server.grpc_port, DESCRIPTORS))
    server.wait_for_row_checks()
    watch = Watch(server.pid)
    one_round(make_clients)
    before = settled_descriptors(watch)
    watch.look()
    stop = threading.Event()
    good = [Good(make_clients[at % 2], at, stop) for at in range(4)]
    attackers = [Attacker(Attacks(server, root, origin, options.seed + at), options.seed + at, stop)
                 for at in range(options.at_once)]
    for thread in (*good, *attackers):
        thread.start()
    end = time.monotonic() + options.seconds
    while time.monotonic() < end and server.process.poll() is None:
        watch.look()
        stop.wait(1)
    stop.set()
    for thread in (*good, *attackers):
        thread.join(300)
    return watch, good, attackers, before


def settle(server, watch, before, problems):
    """What must be as before once nobody asks any more."""
    try:
        wait_until(lambda: sum(server.metric("podsense_memory_budget_bytes", use=use) for use in HELD) == 0,
                   what="the end of all that was held")
        after = settled_descriptors(watch)
        if after > before:
            problems.append(f"{after - before} descriptors have leaked")
    except AssertionError as error:
        problems.append(str(error))
    first = watch.samples[0]
    watch.look()
    last = watch.samples[-1]
    if last["threads"] > first["threads"] + 2:
        problems.append(f"{last['threads'] - first['threads']} threads are left behind")
    half = watch.medians(len(watch.samples) / 2)[0] if len(watch.samples) > 20 else last["rss_mib"]
    if not SANITIZER and last["rss_mib"] > 1.15 * max(half, first["rss_mib"]):
        problems.append(f"resident memory has grown from {half:.0f} MiB halfway to {last['rss_mib']:.0f} MiB")
    return last


def report(options, result, last, cgroup, problems):
    watch, good, attackers, _ = result
    asked = sum((thread.count for thread in good), collections.Counter())
    made = sum((thread.count for thread in attackers), collections.Counter())
    problems += [problem for thread in (*good, *attackers) for problem in thread.problems]
    summary = {"seconds": options.seconds, "attacks": dict(sorted(made.items())), "good": dict(sorted(asked.items())),
               "unexpected": len(problems), "rss_mib_first": watch.samples[0]["rss_mib"],
               "rss_mib_most": max(sample["rss_mib"] for sample in watch.samples), "rss_mib_last": last["rss_mib"],
               "threads_most": max(sample["threads"] for sample in watch.samples),
               "descriptors_most": max(sample["descriptors"] for sample in watch.samples)}
    if cgroup:
        summary["cgroup_most_bytes"], summary["killed"] = cgroup.figures()
        if summary["killed"]:
            problems.append(f"the kernel has killed {summary['killed']} processes for their memory")
    print(json.dumps(summary, indent=1))
    if options.json:
        options.json.write_text(json.dumps({"summary": summary, "problems": problems, "samples": watch.samples}, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--at-once", type=int, default=3, help="attacks at a time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the figures and all samples here")
    parser.add_argument("--no-cgroup", action="store_true", help="limit memory by --max-memory alone")
    options = parser.parse_args()
    cgroup = None
    if not SANITIZER and not options.no_cgroup:
        with contextlib.suppress(OSError):
            cgroup = MemoryCgroup(MOST)
    limit = [] if cgroup or SANITIZER else ["--max-memory", str(MOST)]
    problems = []
    pages = {"/large.jpg": (200, {"Content-Type": "image/jpeg"}, bytes(10 * MEGABYTE)), "/page": (200, {}, b"<html>"),
             "/loop": (302, {"Location": "/loop"}, b""), "/private": (302, {"Location": "http://169.254.169.254/"}, b"")}
    with tempfile.TemporaryDirectory(prefix="podsense-attacks-") as folder, Origin(pages) as origin:
        origin.server.handle_error = lambda *_: None  # clients that leave are what this is about
        root = make_repository(folder)
        flags = ("--access-log", "off", "--log-level", "error", "--executors", "2", "--body-timeout", "5s",
                 "--defaults", "tabular-classification=random-forest", "--defaults", "image-classification=efficientnet-lite0",
                 *origin.flags, *limit)
        with Server(*flags, models=root, executable=cgroup.enter if cgroup else ()) as server:
            result = run(options, server, root, origin)
            last = settle(server, result[0], result[3], problems)
            report(options, result, last, cgroup, problems)
        if cgroup:
            cgroup.close()
    for problem in problems[:40]:
        print(problem)
    raise SystemExit(1 if problems else 0)


if __name__ == "__main__":
    main()
