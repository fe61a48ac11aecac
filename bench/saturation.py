#!/usr/bin/env python3
"""Finds out where the latency objective breaks, and what podsense_saturation said there.

    bench/saturation.py [--cpu-ms 25] [--seconds 20] [--objective 0.25] [--json FILE]

Offers requests to a simulated model at random moments (Poisson, open loop: a late answer delays no
later request), at rising rates, each for --seconds, and prints a table: offered and answered rates,
p50, p99, the share within the objective, and the mean saturation of the second half. Client and server
share the machine: leave a core to the client.
"""

import argparse
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent


def metric(port, name):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
    raise SystemExit(f"/metrics has no {name}")


def offer(port, rate, seconds, cpu_ms, watch):
    """Latencies in seconds from the moment a request was due; None for a failure."""
    body = json.dumps({"cpu_ms": cpu_ms}).encode()
    outcomes, threads, saturations = [], [], []
    rng = random.Random(7)

    def ask(due):
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/infer", body, {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                answer.read()
            outcomes.append(time.monotonic() - due)
        except urllib.error.HTTPError:
            outcomes.append(None)

    begin = due = time.monotonic()
    next_look = begin + seconds / 2
    while due < begin + seconds:
        time.sleep(max(0.0, due - time.monotonic()))
        threads.append(threading.Thread(target=ask, args=(due,)))
        threads[-1].start()
        if time.monotonic() > next_look:
            saturations.append(watch())
            next_look += 1
        due += rng.expovariate(rate)
    for thread in threads:
        thread.join()
    return outcomes, statistics.mean(saturations)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cpu-ms", type=float, default=25)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--objective", type=float, default=0.25, help="seconds")
    parser.add_argument("--executors", type=int, default=1)
    parser.add_argument("--loads", default="0.2,0.4,0.6,0.7,0.8,0.9,1.0,1.2", help="of the executors")
    parser.add_argument("--binary", default=ROOT / "build/release/podsense")
    parser.add_argument("--models", default=ROOT / "build/models")
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        ports_file = pathlib.Path(folder) / "ports"
        server = subprocess.Popen(
            [arguments.binary, "serve", "--models", arguments.models, "--http-port=0",
             "--admin-port=0", f"--ports-file={ports_file}", "--log-level=error",
             "--drain-delay=0", "--access-log=off", f"--executors={arguments.executors}",
             f"--latency-objective={arguments.objective}", "--request-timeout=2s"],
            env={name: value for name, value in os.environ.items() if not name.startswith("PODSENSE_")},
        )  # fmt: skip
        try:
            while not ports_file.exists() or not ports_file.read_text():
                if server.poll() is not None:
                    raise SystemExit("the server has ended")
                time.sleep(0.05)
            ports = json.loads(ports_file.read_text())
            while metric(ports["admin"], "podsense_ready") != 1:
                time.sleep(0.05)
            print("load  offered/s  answered/s  failed  p50 ms  p99 ms  within  saturation")
            for load in map(float, arguments.loads.split(",")):
                rate = load * arguments.executors / (arguments.cpu_ms / 1000)
                watch = lambda: metric(ports["admin"], "podsense_saturation")
                outcomes, saturation = offer(
                    ports["http"], rate, arguments.seconds, arguments.cpu_ms, watch
                )
                good = sorted(one for one in outcomes if one is not None)
                row = {
                    "load": load,
                    "offered": rate,
                    "answered": len(good) / arguments.seconds,
                    "failed": len(outcomes) - len(good),
                    "p50_ms": good[len(good) // 2] * 1e3,
                    "p99_ms": good[int(len(good) * 0.99)] * 1e3,
                    "within": sum(one <= arguments.objective for one in good) / len(outcomes),
                    "saturation": saturation,
                }
                rows.append(row)
                print("{load:4.2f} {offered:10.1f} {answered:11.1f} {failed:7d} {p50_ms:7.1f} "
                      "{p99_ms:7.1f} {within:6.1%} {saturation:11.2f}".format(**row), flush=True)
        finally:
            server.terminate()
            server.wait()
    if arguments.json:
        arguments.json.write_text(json.dumps({"command": sys.argv, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
