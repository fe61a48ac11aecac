#!/usr/bin/env python3
"""Does it stay as it is? Mixed good and bad requests for a long time, with hot reloads all along.

    scripts/long-run.sh [--seconds 3600] [--reload-every 60] [--rate 40] [--json FILE]

Holds at the end (exit code 0), or says what does not (1):
  - every request got the answer it must get, and every reload went through: a new version of one
    model each time, an old one taken away, now and then a broken one that has to be refused;
  - resident memory is flat: the median of the last tenth at most 5 % over that of the first tenth
    after settling (five minutes, or a quarter of a shorter run);
  - no descriptor leaks: with all clients gone as many are open as after the first round.
"""

import argparse
import collections
import json
import os
import random
import shutil
import statistics
import tempfile
import threading
import time
from pathlib import Path

from harness import BINARY, MODELS, Server, copy_models, wait_until
from traffic import GrpcClient, HttpClient

DESCRIPTORS = Path(os.environ.get("PODSENSE_DESCRIPTORS", BINARY.parent / "podsense.pb"))


class Worker(threading.Thread):
    """Sends one kind of request after the other, evenly over time, to the end."""

    def __init__(self, make_client, rate, seed, stop):
        super().__init__(daemon=True)
        self.make_client = make_client
        self.interval = 1 / rate
        self.random = random.Random(seed)
        self.stop = stop
        self.sent = collections.Counter()
        self.failures = []

    def run(self):
        client = self.make_client()
        kinds = client.GOOD * 2 + client.BAD
        due = time.monotonic()
        while not self.stop.wait(max(0.0, due - time.monotonic())):
            kind = self.random.choice(kinds)
            name = f"{type(client).__name__[:4]} {kind.__name__}"
            self.sent[name] += 1
            try:
                kind(client)
            except Exception as error:  # whatever it is belongs into the report
                self.failures.append(f"{time.strftime('%H:%M:%S')} {name}: {error!r}"[:500])
            if self.random.random() < 0.01:  # connections come and go
                client.close()
                client = self.make_client()
            due = max(due + self.interval, time.monotonic() - 1)
        client.close()


class Reloader(threading.Thread):
    """New versions beside the old ones, which go two reloads later."""

    def __init__(self, server, root, interval, stop):
        super().__init__(daemon=True)
        self.server, self.root, self.interval, self.stop = server, root, interval, stop
        self.done = 0
        self.failures = []

    def run(self):
        models = (("random-forest", "1"), ("efficientnet-lite0", "2"))
        number = 2
        while not self.stop.wait(self.interval):
            number += 1
            name, first = models[number % 2]
            broken = number % 7 == 0
            try:
                self.add(name, number, b"no model" if broken else None, first)
                answer = self.server.admin("POST", "/v1/reload")
                if answer.status != (409 if broken else 200):
                    self.failures.append(f"reload {number}: {answer!r}")
                if broken:
                    shutil.rmtree(self.root / name / str(number))
                for folder in (self.root / name).iterdir():
                    if folder.is_dir() and folder.name != first and int(folder.name) < number - 2:
                        shutil.rmtree(folder)
                self.done += 1
            except Exception as error:
                self.failures.append(f"reload {number}: {error!r}")

    def add(self, name, number, data, first):
        """The folder appears whole."""
        partial = self.root / f".{name}-{number}"
        partial.mkdir()
        if data is None:
            shutil.copy(self.root / name / first / "model.onnx", partial)
        else:
            (partial / "model.onnx").write_bytes(data)
        partial.rename(self.root / name / str(number))


class Watch:
    """Resident memory, descriptors and threads, from the kernel."""

    def __init__(self, pid):
        self.pid = pid
        self.samples = []

    def look(self):
        status = Path(f"/proc/{self.pid}/status").read_text()
        fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        self.samples.append({"at": time.monotonic(), "rss_mib": int(fields["VmRSS"].split()[0]) / 1024,
                             "threads": int(fields["Threads"]), "descriptors": self.descriptors()})

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def medians(self, settle):
        """Of resident memory: the first tenth after `settle` seconds, and the last."""
        begin = self.samples[0]["at"]
        settled = [s["rss_mib"] for s in self.samples if s["at"] - begin >= settle]
        tenth = max(1, len(settled) // 10)
        return statistics.median(settled[:tenth]), statistics.median(settled[-tenth:]), settled


def one_round(make_clients):
    """Every kind once, so that what is made lazily is there before anything is counted."""
    for make in make_clients:
        client = make()
        for kind in client.GOOD + client.BAD:
            kind(client)
        client.close()


def settled_descriptors(watch):
    """Their number once it has not changed for a second."""
    last = [watch.descriptors(), time.monotonic()]

    def quiet():
        if (now := watch.descriptors()) != last[0]:
            last[:] = [now, time.monotonic()]
        return time.monotonic() - last[1] > 1

    wait_until(quiet, what="a steady number of descriptors")
    return last[0]


def run(options, server, root):
    make_clients = (lambda: HttpClient(server.http_port),
                    lambda: GrpcClient(server.grpc_port, DESCRIPTORS))
    watch = Watch(server.pid)
    one_round(make_clients)
    before = settled_descriptors(watch)
    stop = threading.Event()
    each = options.rate / 8
    workers = [Worker(make_clients[i % 4 == 3], each, i, stop) for i in range(8)]
    reloader = Reloader(server, root, options.reload_every, stop)
    for thread in (*workers, reloader):
        thread.start()
    end = time.monotonic() + options.seconds
    pause = threading.Event()
    every = max(0.5, options.seconds / 1000)
    next_note = 0.0
    while time.monotonic() < end and server.process.poll() is None:
        watch.look()
        if time.monotonic() > next_note and not options.quiet:
            now, failures = watch.samples[-1], sum(len(w.failures) for w in workers)
            print(f"{now['rss_mib']:7.1f} MiB {now['descriptors']:4d} descriptors "
                  f"{now['threads']:3d} threads {sum(w.sent.total() for w in workers):8d} requests "
                  f"{reloader.done:4d} reloads {failures:3d} unexpected", flush=True)
            next_note = time.monotonic() + options.seconds / 20
        pause.wait(every)
    stop.set()
    for thread in (*workers, reloader):
        thread.join(120)
    return watch, workers, reloader, before, settled_descriptors(watch)


def judge(options, watch, workers, reloader, before, after):
    settle = min(300, options.seconds / 4)
    first, last, settled = watch.medians(settle)
    failures = [one for thread in (*workers, reloader) for one in thread.failures]
    sent = sum((worker.sent for worker in workers), collections.Counter())
    summary = {"seconds": options.seconds, "requests": sent.total(), "kinds": dict(sorted(sent.items())),
               "reloads": reloader.done, "unexpected": len(failures), "first_rss_mib": first,
               "last_rss_mib": last, "growth": last / first, "max_rss_mib": max(settled),
               "descriptors_before": before, "descriptors_after": after,
               "most_threads": max(s["threads"] for s in watch.samples)}
    print(f"{sent.total()} requests of {len(sent)} kinds, {reloader.done} reloads, {len(failures)} "
          f"unexpected answers\nresident after settling {first:.1f} MiB, at the end {last:.1f} MiB "
          f"({100 * (last / first - 1):+.1f} %, most {max(settled):.1f} MiB); descriptors {before} "
          f"before, {after} after")
    problems = failures[:20]
    if last > options.growth * first:
        problems.append(f"resident memory has grown by more than {options.growth - 1:.0%}")
    if after > before:
        problems.append(f"{after - before} descriptors have leaked")
    if reloader.done == 0:
        problems.append("there was no reload")
    if options.json:
        options.json.write_text(json.dumps({"summary": summary, "failures": failures,
                                            "samples": watch.samples}, indent=1) + "\n")
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--reload-every", type=float, default=60, help="seconds")
    parser.add_argument("--rate", type=float, default=40, help="requests a second, all kinds together")
    parser.add_argument("--json", type=Path, help="write the figures and all samples here")
    parser.add_argument("--growth", type=float, default=1.05,
                        help="how far resident memory may grow; a short run has to allow for more")
    parser.add_argument("--quiet", action="store_true", help="only the result")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="podsense-long-") as folder:
        root = copy_models(Path(folder), *(entry.name for entry in MODELS.iterdir() if entry.is_dir()))
        with Server("--access-log", "off", "--log-level", "error", models=root) as server:
            problems = judge(options, *run(options, server, root))
    for problem in problems:
        print(problem)
    raise SystemExit(1 if problems else 0)


if __name__ == "__main__":
    main()
