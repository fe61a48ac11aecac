#!/usr/bin/env python3
"""How much longer than its own service time does a picture take at 70 % of the capacity?

    bench/latency.py [--load 0.7] [--seconds 20] [--rounds 3] [--json FILE]

The int8 image model and a 640x480 JPEG upload. First the service time (one connection in closed loop,
p50) and the capacity (four connections), then open loop at --load of the capacity, once with random
(Poisson) and once with even arrivals, round by round. Beside it stands what queueing theory gives for
servers of constant service time, one and two of them (M/D/1, M/D/2; even arrivals would never wait):
below that no server can come, as two requests that arrive together must wait for each other. Client and
server share the cores. The aim: p99 at most twice the service time. Printed, not asserted.

Needs build/release/podsense, build/models, build/golden. Load goes to loopback only.
"""

import argparse
import heapq
import json
import random
import shlex
import statistics
import sys
from pathlib import Path

from compare import MODELS, PHOTO, Others, Podsense, describe_machine
from overload import load

KEYS = ("p50", "p90", "p99")
TARGET = ["/predict", "--image", PHOTO]


def theory(servers: int, share: float, arrivals: int = 500_000) -> dict:
    """Quantiles of the time in an M/D/c queue, in service times, by simulation with a fixed seed."""
    chance = random.Random(1)
    free = [0.0] * servers
    now, times = 0.0, []
    for _ in range(arrivals):
        now += chance.expovariate(share * servers)
        end = max(now, heapq.heappop(free)) + 1
        heapq.heappush(free, end)
        times.append(end - now)
    times.sort()
    return {key: times[int(arrivals * int(key[1:]) / 100)] for key in KEYS}


def percentiles(report: dict) -> dict:
    return {key: report["latency"]["percentiles"][key] * 1e3 for key in KEYS}


def one_round(server: Podsense, options, number: int) -> dict:
    one = percentiles(load(server, TARGET, "-c", 1, "-z", "4s", "--warmup", 1))["p50"]
    capacity = load(server, TARGET, "-c", 4, "-z", "5s", "--warmup", 1)["rates"]["achieved"]
    row: dict = {"service_ms": one, "capacity": capacity}
    for arrivals in ("poisson", "constant"):
        report = load(server, TARGET, "--qps", options.load * capacity, "--arrivals", arrivals, "--seed",
                      number + 1, "--seconds", options.seconds, "--warmup", 2)
        row[arrivals] = percentiles(report) | {key: report["requests"][key] for key in ("ok", "failed")}
        row[arrivals]["over_service"] = {key: row[arrivals][key] / one for key in KEYS}
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--load", type=float, default=0.7, help="of the capacity")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write every figure here")
    options = parser.parse_args()
    others = Others()
    with Podsense(MODELS, "--access-log", "off") as server:
        rounds = [one_round(server, options, number) for number in range(options.rounds)]
    machine = describe_machine() | {"others_cores": others.cores()}
    bounds = {f"M/D/{servers}": theory(servers, options.load) for servers in (1, 2)}
    middle = {name: {key: statistics.median(row[name]["over_service"][key] for row in rounds) for key in KEYS}
              for name in ("poisson", "constant")}
    service = statistics.median(row["service_ms"] for row in rounds)
    print(f"{machine['cpu']}, {machine['cores']} cores ({machine['others_cores']:.2f} of them used by others), "
          f"commit {machine['commit']}; {options.load:.0%} of "
          f"{statistics.median(row['capacity'] for row in rounds):.0f} pictures a second, service time "
          f"{service:.2f} ms, medians of {options.rounds} rounds of {options.seconds:g} s\n")
    print("| in service times | p50 | p90 | p99 |\n|---|---|---|---|")
    for name, row in (("random arrivals", middle["poisson"]), ("even arrivals", middle["constant"]),
                      *((f"{name}, theory", row) for name, row in bounds.items())):
        print(f"| {name} | " + " | ".join(f"{row[key]:.2f}" for key in KEYS) + " |")
    if options.json:
        options.json.write_text(json.dumps(
            {"command": shlex.join(map(str, sys.argv)), "machine": machine, "load": options.load,
             "service_ms": service, "over_service": middle, "theory": bounds, "rounds": rounds},
            indent=1) + "\n")


if __name__ == "__main__":
    main()
