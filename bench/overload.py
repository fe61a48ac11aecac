#!/usr/bin/env python3
"""Asked for three times what it can do, does it stay at its peak?

    bench/overload.py [--seconds 60] [--times 3] [--deadline 1] [--models simulated,image,forest] [--json FILE]

For each model: the peak by a closed loop that keeps every executor busy, before and after, as machines
drift; between them open loop at --times the peak for --seconds, by `podsense load`. One executor, so that
the client has a core of its own. The forest runs inline on the one I/O thread, a core of which it gets,
and the client the others: nothing waits in a queue but the kernel's, so nothing is refused. The client
may be what cannot keep up with that: the table says what it sent.
What should hold: goodput (answers within the deadline, by the client's clock) at least 95 % of the peak;
p99 of what was admitted within the deadline; refusals in under 5 ms at the median; memory that does not
grow. Printed, not asserted. --json keeps the rows of other models that FILE has.

Needs build/release/podsense, build/models, build/golden. Load goes to loopback only.
"""

import argparse
import json
import os
import re
import shlex
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

from compare import MODELS, PHOTO, PODSENSE, ROW, Others, Podsense, describe_machine

TARGETS = {"simulated": ["/infer?cpu_ms=25", "-m", "POST"], "image": ["/predict", "--image", PHOTO],
           "forest": ["/predict-single", "-m", "POST", "-T", "application/json", "-d", ROW]}
PEAK_CONNECTIONS = {"forest": 32}  # else 4
PINNED = ("forest",)  # to a core of its own


def load(server: Podsense, target: list, *arguments, pinned: tuple = ()) -> dict:
    done = subprocess.run([*pinned, PODSENSE, "load", f"http://127.0.0.1:{server.port}{target[0]}", *target[1:],
                           *map(str, arguments), "--json", "-", "--quiet"], capture_output=True, text=True)
    if not done.stdout:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)


def within(histogram: dict, seconds: float) -> int:
    """How many lie in buckets that end by then (docs/reference/load-report.schema.json)."""
    unit, sub = histogram["unit_bits"], histogram["sub_bits"]
    found = 0
    for bucket, count in histogram["buckets"]:
        power = max(0, (bucket >> sub) - 1)
        if ((bucket - (power << sub) + 1 << power) << unit) <= seconds * 1e9:
            found += count
    return found


class Memory(threading.Thread):
    """Resident, ten times a second."""

    def __init__(self, server: Podsense):
        super().__init__(daemon=True)
        self.server = server
        self.samples: list[float] = []
        self.over = threading.Event()
        self.start()

    def run(self) -> None:
        while not self.over.wait(0.1):
            self.samples.append(self.server.resident_mib())

    def stop(self) -> list[float]:
        self.over.set()
        self.join()
        return self.samples


def refused(server: Podsense) -> dict:
    """By reason, from the server's own metrics."""
    import urllib.request

    text = urllib.request.urlopen(f"http://127.0.0.1:{server.admin}/metrics").read().decode()
    found: dict = {}
    for name, reason, value in re.findall(
            r'podsense_(refused|dropped)_total\{.*reason="(\w+)".*\} (\S+)', text):
        if float(value):
            found[f"{name} {reason}"] = found.get(f"{name} {reason}", 0) + int(float(value))
    return found


def pin(server: Podsense) -> tuple:
    """The server to the first core; the command that keeps a client on the others."""
    first, *others = sorted(os.sched_getaffinity(0))
    for task in Path(f"/proc/{server.process.pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), {first})
    return ("taskset", "-c", ",".join(map(str, others or [first])))


def overload(name: str, options) -> dict:
    target = TARGETS[name]
    others = Others()
    with Podsense(MODELS, "--executors", "1", "--io-threads", "1", "--request-timeout", f"{options.deadline}s",
                  "--access-log", "off") as server:
        pinned = pin(server) if name in PINNED else ()

        def find_peak() -> float:
            return load(server, target, "-c", PEAK_CONNECTIONS.get(name, 4), "-z", f"{options.peak_seconds}s",
                        pinned=pinned)["rates"]["achieved"]

        before = find_peak()
        memory = Memory(server)
        cpu = server.cpu_seconds()
        begun = time.monotonic()
        report = load(server, target, "--qps", options.times * before, "--seconds", options.seconds,
                      "--connections", 64, "--max-connections", 4000, pinned=pinned)
        cpu = (server.cpu_seconds() - cpu) / (time.monotonic() - begun)
        samples = memory.stop()
        reasons = refused(server)
        after = find_peak()
    peak = (before + after) / 2
    in_time = within(report["histograms"]["latency"], options.deadline) / report["measured_seconds"]
    unmet = report["status"].get("504", {}).get("count", 0)
    answered = report["requests"]["ok"]
    refusals = report["status"].get("503")
    tenth = max(1, len(samples) // 10)
    return {"model": name, "peak": peak, "peaks": [before, after],
            "offered": report["rates"]["offered"], "deadline_s": options.deadline,
            "goodput": in_time, "share": in_time / peak, "answered": answered,
            "sent": report["requests"]["sent"] / report["measured_seconds"],
            "admitted_unmet": 1 - in_time * report["measured_seconds"] / max(1, answered + unmet),
            "admitted_p50_ms": report["latency"]["percentiles"]["p50"] * 1e3,
            "admitted_p99_ms": report["latency"]["percentiles"]["p99"] * 1e3,
            "refused": refusals["count"] if refusals else 0,
            "refusal_p50_ms": refusals["latency"]["percentiles"]["p50"] * 1e3 if refusals else None,
            "refusal_p99_ms": refusals["latency"]["percentiles"]["p99"] * 1e3 if refusals else None,
            "statuses": {code: one["count"] for code, one in report["status"].items()},
            "dropped_by_client": report["requests"]["dropped"], "errors": report["errors"],
            "unserved": reasons, "server_cores": cpu, "others_cores": others.cores(),
            "first_rss_mib": statistics.median(samples[:tenth]),
            "last_rss_mib": statistics.median(samples[-tenth:]), "most_rss_mib": max(samples)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--peak-seconds", type=float, default=8)
    parser.add_argument("--times", type=float, default=3, help="of the peak")
    parser.add_argument("--deadline", type=float, default=1, help="seconds: the request time-out")
    parser.add_argument("--models", default=",".join(TARGETS))
    parser.add_argument("--json", type=Path, help="write every figure here")
    options = parser.parse_args()
    machine = describe_machine()
    print(f"{machine['cpu']}, {machine['cores']} cores, commit {machine['commit']}; {options.times:g} times the "
          f"peak for {options.seconds:g} s, deadline {options.deadline:g} s\n")
    print("| model | peak /s | sent /s | goodput /s | share | p50, p99 admitted | late or dropped | "
          "refusals p50, p99 | statuses | resident | cores: server, others |")
    print("|" + "---|" * 11, flush=True)
    rows = []
    for name in options.models.split(","):
        row = overload(name, options)
        rows.append(row | {"commit": machine["commit"], "seconds": options.seconds})
        refusals = "–" if row["refusal_p50_ms"] is None else \
            f"{row['refusal_p50_ms']:.2f}, {row['refusal_p99_ms']:.2f} ms"
        print(f"| {name} | {row['peak']:.1f} | {row['sent']:.1f} | {row['goodput']:.1f} | {row['share']:.1%} | "
              f"{row['admitted_p50_ms']:.0f}, {row['admitted_p99_ms']:.0f} ms | {row['admitted_unmet']:.2%} | {refusals} | "
              f"{', '.join(f'{code}: {count}' for code, count in row['statuses'].items())} | "
              f"{row['first_rss_mib']:.0f} → {row['last_rss_mib']:.0f} MiB | "
              f"{row['server_cores']:.2f}, {row['others_cores']:.2f} |", flush=True)
    if options.json:
        kept = json.loads(options.json.read_text())["rows"] if options.json.exists() else []
        kept = [row for row in kept if row["model"] not in {new["model"] for new in rows}]
        options.json.write_text(json.dumps({"command": shlex.join(map(str, sys.argv)), "machine": machine,
                                            "rows": kept + rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
