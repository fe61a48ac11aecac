#!/usr/bin/env python3
"""How far is `podsense simulate` from the real server?

    bench/foresight.py [--loads 0.3,0.5,0.7,0.8,0.9,1.1] [--seconds 30] [--runs 5] [--quota 0.25] [--results FILE]

One pod's worth, without a cluster: first the CPU times of a run and of a request are measured at the simulated model, then
each load is offered for --seconds (Poisson, open loop) and the same seed is simulated, so that both have the same arrivals.
With --quota the server runs in a CPU cgroup of its own with so many cores (root, cgroup v1 or v2), as a pod with a limit does.

Cells come in an order drawn anew. --results appends one line of JSON a run, with both sides' histograms, and a later call
goes on where it ended. The table has medians; `busy` is what others used of this machine meanwhile, in cores, and by how much
a run that was alone took longer than its CPU time: figures of a busy machine are the machine's (marked with *). Printed, not
asserted. Load goes to loopback only.

Needs build/release/podsense, build/models.
"""

import argparse
import contextlib
import json
import math
import os
import random
import statistics
import subprocess
import tempfile
import time
import urllib.request
from collections import Counter
from pathlib import Path

from compare import MODELS, PODSENSE, Others, Podsense, describe_machine
from overload import load, within

CGROUPS = Path("/sys/fs/cgroup")
PERIOD = 100_000  # microseconds, the kernel's and Kubernetes' default
BUSY = 0.1  # cores
STRETCHED = 1.05  # wall time over CPU time of a run that is alone
QUANTILES = ("p50", "p95", "p99")


@contextlib.contextmanager
def cpu_limit(pid, cores):
    """The process in a cgroup of its own. Before it ends, it goes back where it was."""
    if cores is None:
        yield
        return
    is_v1 = (CGROUPS / "cpu").is_dir()
    home = CGROUPS / "cpu" if is_v1 else CGROUPS
    folder = home / f"podsense-foresight-{os.getpid()}"
    try:
        folder.mkdir()
        if is_v1:
            (folder / "cpu.cfs_period_us").write_text(str(PERIOD))
            (folder / "cpu.cfs_quota_us").write_text(str(round(cores * PERIOD)))
        else:
            (folder / "cpu.max").write_text(f"{round(cores * PERIOD)} {PERIOD}")
        (folder / "cgroup.procs").write_text(str(pid))
    except OSError as error:
        with contextlib.suppress(OSError):
            folder.rmdir()
        raise SystemExit(f"--quota needs a CPU cgroup that can be written: {error}") from error
    try:
        yield
    finally:
        (home / "cgroup.procs").write_text(str(pid))
        folder.rmdir()


def metric(server, name):
    with urllib.request.urlopen(f"http://127.0.0.1:{server.admin}/metrics", timeout=10) as answer:
        found = [float(line.rsplit(" ", 1)[1]) for line in answer.read().decode().splitlines()
                 if line.split("{")[0].split(" ")[0] == name]
    if not found:
        raise SystemExit(f"/metrics has no {name}")
    return sum(found)


def cpu_per_request(server, requests, body):
    """Seconds of CPU of the whole process, and how long each run took."""
    before, runs = server.cpu_seconds(), []
    for _ in range(requests):
        runs.append(server.post("/infer", body)["timing_ms"]["compute"] / 1e3)
    return (server.cpu_seconds() - before) / requests, runs


def measure(server, requests, body=b"{}"):
    """What a scenario needs: CPU times of a run and of the rest of a request, of requests with this body.

    Runs are as unequal as their wall times were, and together take the CPU time that the process used: wall times of a
    machine that others use are longer. `stretch` is how much."""
    rest, _ = cpu_per_request(server, requests * 4, b'{"cpu_ms": 0}')
    used, runs = cpu_per_request(server, requests, body)
    stretch = statistics.mean(runs) / (used - rest)
    counted = sorted(Counter(round(one / stretch * 1e3, 1) for one in runs).items())
    service = {"run_cpu": {"values": [[f"{value}ms", count] for value, count in counted]}, "request_cpu": f"{rest * 1e3:.3f}ms"}
    return service, used, stretch


def scenario(service, options, rate, seed):
    return {"length": f"{options.seconds}s", "seed": seed, "objective": {"latency": f"{options.objective}s"},
            "arrivals": {"shape": f"constant:{rate:.9g}"}, "clients": {"timeout": "60s"},
            "service": service | {"executors": 1},
            "pod": {"cpu_limit": options.quota} if options.quota else {}}


def simulated(description, folder):
    path = Path(folder) / "scenario.json"
    path.write_text(json.dumps(description))
    done = subprocess.run([PODSENSE, "simulate", path, "--json", "-"], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    run = json.loads(done.stdout)["runs"][0]
    figures = run["figures"]
    return {"requests": figures["requests"], "late": figures["late_share"],
            **{key: figures[f"latency_{key}_seconds"] for key in QUANTILES},
            "histogram": run["histograms"]["latency"]}


def offered(server, options, rate, seed):
    report = load(server, ["/infer", "-m", "POST", "-d", "{}"], "--qps", f"{rate:.9g}", "--arrivals", "poisson", "--seed", seed,
                  "--seconds", options.seconds, "--timeout", "60s")
    planned = report["requests"]["planned"]
    histogram = report["histograms"]["latency"]
    return {"requests": planned, "late": 1 - within(histogram, options.objective) / planned,
            **{key: report["latency"]["percentiles"][key] for key in QUANTILES},
            "histogram": histogram, "limits": report["generator"]["limits"]}


def settle(server):
    """Until nothing waits, and the window of saturation and of patience knows nothing of the run before."""
    until = time.monotonic() + 60
    while metric(server, "podsense_requests_in_flight") > 0 and time.monotonic() < until:
        time.sleep(0.1)
    time.sleep(1)


def play(options):
    """Yields one record a run, as it ends."""
    done = {json.dumps(one["cell"]) for one in known(options)}
    cells = [{"load": one, "seed": seed, "seconds": options.seconds, "cpu_ms": options.cpu_ms, "quota": options.quota}
             for one in options.loads for seed in range(1, options.runs + 1)]
    cells = [cell for cell in cells if json.dumps(cell) not in done]
    random.shuffle(cells)
    if not cells:
        return
    flags = ["--access-log", "off", "--executors", "1", "--infer-cpu-ms", str(options.cpu_ms)]
    with tempfile.TemporaryDirectory() as folder, Podsense(MODELS, *flags) as server:
        service, need, stretch = measure(server, options.measured)
        # Of one executor; or of the quota, which a request uses up with all that it needs.
        capacity = (options.quota or 1) / need
        with cpu_limit(server.process.pid, options.quota):
            for cell in cells:
                settle(server)
                rate = cell["load"] * capacity
                others = Others()
                before = server.cpu_seconds()
                real = offered(server, options, rate, cell["seed"])
                used = (server.cpu_seconds() - before) / options.seconds
                busy = max(0.0, others.cores() - used)
                yield {"cell": cell, "machine": describe_machine(), "busy": busy, "stretch": stretch,
                       "service": service, "rate": rate, "real": real,
                       "simulated": simulated(scenario(service, options, rate, cell["seed"]), folder)}


def known(options):
    if not options.results or not options.results.exists():
        return []
    return [json.loads(line) for line in options.results.read_text().splitlines()]


def row(records):
    def median(side, key):
        return statistics.median(one[side][key] for one in records)
    parts = []
    for key in QUANTILES:
        real, made = median("real", key) * 1e3, median("simulated", key) * 1e3
        parts.append(f"{real:.1f} / {made:.1f} ({(made / real - 1) * 100:+.0f} %)" if real > 0 else "none")
    real, made = median("real", "late") * 100, median("simulated", "late") * 100
    parts.append(f"{real:.1f} / {made:.1f} ({made - real:+.1f})")
    busy = statistics.median(one["busy"] for one in records)
    stretch = statistics.median(one["stretch"] for one in records)
    marked = "*" if busy > BUSY or stretch > STRETCHED else ""
    return " | ".join([*parts, f"{busy:.2f}, {stretch:.2f}{marked}"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loads", default="0.3,0.5,0.7,0.8,0.9,1.1", type=lambda text: [float(one) for one in text.split(",")],
                        help="of the capacity")
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--runs", type=int, default=5, help="of each load, with seeds 1, 2, …")
    parser.add_argument("--cpu-ms", type=float, default=25)
    parser.add_argument("--quota", type=float, help="cores; without: no limit")
    parser.add_argument("--objective", type=float, default=0.25, help="seconds")
    parser.add_argument("--measured", type=int, default=300, help="requests of the first measurement")
    parser.add_argument("--results", type=Path, help="append each run here, and go on with it")
    options = parser.parse_args()
    records = known(options)
    for record in play(options):
        records.append(record)
        if options.results:
            with options.results.open("a") as file:
                file.write(json.dumps(record) + "\n")
        if record["real"]["requests"] != record["simulated"]["requests"]:
            raise SystemExit(f"not the same arrivals: {record['real']['requests']} and {record['simulated']['requests']}")
    machine = describe_machine()
    print(f"{machine['cpu']}, {machine['cores']} cores, commit {machine['commit']}; real / simulated, medians; * busy machine\n")
    print("| load | runs | p50 ms | p95 ms | p99 ms | late % | busy |\n|---|---|---|---|---|---|---|")
    for share in sorted({one["cell"]["load"] for one in records}):
        chosen = [one for one in records if math.isclose(one["cell"]["load"], share)]
        print(f"| {share:g} | {len(chosen)} | {row(chosen)} |")


if __name__ == "__main__":
    main()
