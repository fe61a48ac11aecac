#!/usr/bin/env python3
"""Asked for three times what it can do, does it stay at its peak?

    bench/overload.py [--seconds 60] [--times 3] [--deadline 1] [--models simulated,image] [--json FILE]

For each model: the peak by a closed loop that keeps every executor busy; then open loop at --times the
peak for --seconds, by `podsense load`. One executor, so that the client has a core of its own.
What should hold: goodput (answers in time) at least 95 % of the peak; p99 of what was admitted within
the deadline; refusals in under 5 ms at the median; memory that does not grow. Printed, not asserted.

Needs build/release/podsense, build/models, build/golden. Load goes to loopback only.
"""

import argparse
import json
import re
import statistics
import subprocess
import threading
import time
from pathlib import Path

from compare import MODELS, PHOTO, PODSENSE, Podsense, describe_machine

TARGETS = {"simulated": ["/infer?cpu_ms=25", "-m", "POST"], "image": ["/predict", "--image", PHOTO]}


def load(server: Podsense, target: list, *arguments) -> dict:
    done = subprocess.run([PODSENSE, "load", f"http://127.0.0.1:{server.port}{target[0]}", *target[1:],
                           *map(str, arguments), "--json", "-", "--quiet"], capture_output=True, text=True)
    if not done.stdout:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)


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


def overload(name: str, options) -> dict:
    target = TARGETS[name]
    with Podsense(MODELS, "--executors", "1", "--request-timeout", f"{options.deadline}s",
                  "--access-log", "off") as server:
        peak = load(server, target, "-c", 4, "-z", f"{options.peak_seconds}s")["rates"]["achieved"]
        memory = Memory(server)
        cpu = server.cpu_seconds()
        begun = time.monotonic()
        report = load(server, target, "--qps", options.times * peak, "--seconds", options.seconds,
                      "--connections", 64, "--max-connections", 4000)
        cpu = (server.cpu_seconds() - cpu) / (time.monotonic() - begun)
        samples = memory.stop()
        reasons = refused(server)
    ok = report["requests"]["ok"]
    refusals = report["status"].get("503")
    tenth = max(1, len(samples) // 10)
    return {"model": name, "peak": peak, "offered": report["rates"]["offered"], "deadline_s": options.deadline,
            "goodput": ok / report["measured_seconds"], "share": ok / report["measured_seconds"] / peak,
            "admitted_p50_ms": report["latency"]["percentiles"]["p50"] * 1e3,
            "admitted_p99_ms": report["latency"]["percentiles"]["p99"] * 1e3,
            "refused": refusals["count"] if refusals else 0,
            "refusal_p50_ms": refusals["latency"]["percentiles"]["p50"] * 1e3 if refusals else None,
            "refusal_p99_ms": refusals["latency"]["percentiles"]["p99"] * 1e3 if refusals else None,
            "statuses": {code: one["count"] for code, one in report["status"].items()},
            "dropped_by_client": report["requests"]["dropped"], "errors": report["errors"],
            "unserved": reasons, "server_cores": cpu,
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
    print("| model | peak /s | goodput /s | share | p50, p99 admitted | refusals p50, p99 | statuses | resident |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    rows = []
    for name in options.models.split(","):
        row = overload(name, options)
        rows.append(row)
        refusals = "–" if row["refusal_p50_ms"] is None else \
            f"{row['refusal_p50_ms']:.2f}, {row['refusal_p99_ms']:.2f} ms"
        print(f"| {name} | {row['peak']:.1f} | {row['goodput']:.1f} | {row['share']:.1%} | "
              f"{row['admitted_p50_ms']:.0f}, {row['admitted_p99_ms']:.0f} ms | {refusals} | "
              f"{', '.join(f'{code}: {count}' for code, count in row['statuses'].items())} | "
              f"{row['first_rss_mib']:.0f} → {row['last_rss_mib']:.0f} MiB |", flush=True)
    if options.json:
        options.json.write_text(json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
