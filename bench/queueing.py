#!/usr/bin/env python3
"""Mean waiting times of `podsense simulate` beside what queueing theory gives.

    bench/queueing.py [--requests 10000000] [--runs 8]

M/M/1, M/M/4, M/D/1 and M/G/1 (uniform) at loads of 0.5, 0.8 and 0.95, in --runs parallel runs of --requests together, after a
warm-up of a tenth. The error of the mean is twice its standard error over runs. Exit code 1 where a mean is off by more
than 1.5 % (at 0.95: 1 %, for which 500,000,000 requests are needed; it is only judged from there on) and by more than that
error. Nothing here depends on how busy the machine is.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

PODSENSE = Path(__file__).resolve().parent.parent / "build/release/podsense"
SERVICE = 0.01  # seconds
LOADS = (0.5, 0.8, 0.95)
ENOUGH = 500_000_000  # requests, at the highest load


def erlang_wait(servers, load):
    """Mean wait in M/M/c."""
    offered = load * servers
    term = total = 1.0
    for number in range(1, servers):
        term *= offered / number
        total += term
    full = term * offered / servers / (1 - load)
    return full / (total + full) * SERVICE / servers / (1 - load)


def single_wait(load, square):
    """Pollaczek and Khinchine: `square` is the mean square of the service time."""
    return load / SERVICE * square / 2 / (1 - load)


QUEUES = {
    "M/M/1": (1, {"exponential": "10ms"}, lambda load: erlang_wait(1, load)),
    "M/M/4": (4, {"exponential": "10ms"}, lambda load: erlang_wait(4, load)),
    "M/D/1": (1, "10ms", lambda load: single_wait(load, SERVICE**2)),
    "M/G/1": (1, {"uniform": ["5ms", "15ms"]}, lambda load: single_wait(load, SERVICE**2 + SERVICE**2 / 12)),
}


def simulated(servers, run_cpu, load, options):
    rate = load * servers / SERVICE
    length = options.requests / options.runs / rate
    scenario = {"length": f"{length * 1.1:.3f}s", "warm_up": f"{length * 0.1:.3f}s", "arrivals": {"shape": f"constant:{rate}"},
                "clients": {"timeout": "10m"},
                "service": {"run_cpu": run_cpu, "executors": servers, "deadline": 0, "max_waiting": 1_000_000}}
    done = subprocess.run([PODSENSE, "simulate", "-", "--runs", str(options.runs), "--json", "-"], input=json.dumps(scenario),
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    mean = json.loads(done.stdout)["figures"]["latency_mean_seconds"]
    return mean["mean"] - SERVICE, 2 * mean["standard_error"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000_000, help="of each cell")
    parser.add_argument("--runs", type=int, default=8)
    options = parser.parse_args()
    wrong = 0
    print("| queue | load | theory ms | simulated ms | off % | error of the mean % |\n|---|---|---|---|---|---|")
    for name, (servers, run_cpu, theory) in QUEUES.items():
        for load in LOADS:
            expected = theory(load)
            mean, error = simulated(servers, run_cpu, load, options)
            off = abs(mean / expected - 1)
            is_judged = load < LOADS[-1] or options.requests >= ENOUGH
            wrong += is_judged and off > (0.015 if load < LOADS[-1] else 0.01) and abs(mean - expected) > error
            print(f"| {name} | {load:g} | {expected * 1e3:.3f} | {mean * 1e3:.3f} | {(mean / expected - 1) * 100:+.2f} | "
                  f"{error / expected * 100:.2f} |", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
