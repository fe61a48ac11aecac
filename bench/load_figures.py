#!/usr/bin/env python3
"""Measures `podsense load` itself: is it exact, is it punctual, is it quick?

    bench/load_figures.py [--seconds 5] [--rounds 3] [--json FILE]

  lag       send lag at 10,000 requests/s against nginx's static reply, over HTTP/1.1 and HTTP/2; best round
            (others on the machine only ever add to it)
  closed    closed-loop rate over wrk's, same connections, same nginx, in turn; median of the ratios
  exact     percentiles of the service time against those that a server with known latencies saw itself;
            with a stall of two seconds: of the latency, against when the server answered

Needs nginx and wrk (scripts/setup.sh --bench) and build/release/podsense. Load goes to loopback only.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

from compare import PODSENSE, Nginx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests/integration"))

from load_double import Double, constant, exponential  # noqa: E402  the path has to be set first

CONNECTIONS = 32


def load(*arguments):
    done = subprocess.run([PODSENSE, "load", *map(str, arguments), "--json", "-", "--quiet"],
                          check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def lag(nginx, seconds, *flags):
    report = load(f"http://127.0.0.1:{nginx.port}/", "--qps", 10000, "--seconds", seconds,
                  "--warmup", "1s", *flags)
    figures = report["send_lag"]["percentiles"]
    return {"p50_us": figures["p50"] * 1e6, "p99_us": figures["p99"] * 1e6,
            "achieved": report["rates"]["achieved"], "dropped": report["requests"]["dropped"]}


def closed(nginx, seconds):
    url = f"http://127.0.0.1:{nginx.port}/"
    threads = min(2, len(os.sched_getaffinity(0)))
    wrk = subprocess.run(["wrk", "-t", str(threads), "-c", str(CONNECTIONS), "-d", f"{seconds}s", url],
                         check=True, capture_output=True, text=True).stdout
    theirs = float(re.search(r"Requests/sec:\s+([\d.]+)", wrk)[1])
    ours = load(url, "-c", CONNECTIONS, "-z", f"{seconds}s", "--threads", threads)["rates"]["achieved"]
    return {"wrk": theirs, "podsense": ours, "ratio": ours / theirs}


def exact(latency, seconds):
    with Double(latency) as double:
        report = load(f"{double.url}/", "--qps", 200, "--seconds", seconds, "--connections", 64)
        truth = double.served()
    figures = {}
    for name in ("p50", "p90", "p99"):
        rank = round(float(name[1:]) / 100 * len(truth)) - 1
        figures[name] = report["service_latency"]["percentiles"][name] / truth[rank] - 1
    return figures


def stall(seconds):
    """Two seconds of silence: latencies from the intended times, against when the double answered
    what was due k / 200 s after the first request was."""
    with Double(constant(0.005), stall=(1.0, 2.0)) as double:
        report = load(f"{double.url}/", "--qps", 200, "--seconds", max(4, seconds), "--connections", 64,
                      "--max-connections", 2000)
    began = min(came for came, _ in double.log)
    truth = sorted(done - began - number / 200 for number, (_, done) in enumerate(sorted(double.log)))
    return {name: report["latency"]["percentiles"][name]
            / truth[round(float(name[1:]) / 100 * len(truth)) - 1] - 1 for name in ("p75", "p90", "p99")}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with Nginx() as nginx:
        lags = {"": [lag(nginx, options.seconds) for _ in range(options.rounds)]}
        closes = [closed(nginx, options.seconds) for _ in range(options.rounds)]
    with Nginx(http2=True) as nginx:
        lags[", HTTP/2"] = [lag(nginx, options.seconds, "--http2") for _ in range(options.rounds)]
    exacts = {"constant 50 ms": exact(constant(0.05), options.seconds),
              "exponential, mean 50 ms": exact(exponential(0.05), options.seconds),
              "5 ms, a stall of 2 s": stall(options.seconds)}
    for name, rounds in lags.items():
        all_lags = ", ".join(str(round(one["p99_us"])) for one in rounds)
        best = min(rounds, key=lambda one: one["p99_us"])
        print(f"{'send lag at 10,000/s' + name:<29} p50 {best['p50_us']:.0f} µs, p99 {best['p99_us']:.0f} µs "
              f"({best['achieved']:.0f}/s answered, {best['dropped']} dropped; p99 of all rounds: "
              f"{all_lags} µs)")
    ratios = [one["ratio"] for one in closes]
    rates = ", ".join(f"{one['podsense']:.0f}/{one['wrk']:.0f}" for one in closes)
    print(f"closed loop over wrk     {statistics.median(ratios):.2f} "
          f"({rates})")
    for name, figures in exacts.items():
        print(f"error, {name:<24} " + ", ".join(f"{key} {100 * value:+.2f} %"
                                                for key, value in figures.items()))
    if options.json:
        options.json.write_text(json.dumps({"lag": lags, "closed": closes, "exact": exacts}, indent=2))


if __name__ == "__main__":
    main()
