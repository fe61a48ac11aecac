#!/usr/bin/env python3
"""How fast `podsense simulate` is, and how far a sample of the pods is from all of them.

    bench/sampling.py speed                          requests a CPU-second at 10 pods; 30 runs of a minute; a day of 1,000 pods
    bench/sampling.py error [--seeds 5] [--pods 25]  a sample beside all pods, the same scenario, seed by seed

Times are CPU times of one thread, so a busy machine changes them by little. `error` plays half an hour of a load that rises
and falls, with up to 400 pods, once in full and once by a sample of --pods, and prints for each figure the mean of both, the
mean of the differences and twice its standard error; ready pods are compared second by second. It takes some minutes.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PODSENSE = ROOT / "build/release/podsense"

TEN_PODS = {"length": "1h", "arrivals": {"shape": "constant:1000"}, "service": {"run_cpu": "6ms", "executors": 1}, "replicas": 10}

POD = {"cpu_request": 1, "cpu_limit": 1}
START = {"schedule": "200ms", "pull": {"uniform": ["1s", "3s"]}, "load": "2s", "warm_up_cpu": "500ms", "propagation": "300ms"}
SERVICE = {"run_cpu": {"lognormal": {"median": "23ms", "sigma": 0.3}}, "request_cpu": "1ms", "executors": 1}


def autoscaler(metric, least, most):
    signals = {"cpu": {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}},
               "saturation": {"type": "Pods", "pods": {"metric": {"name": "podsense_saturation"},
                                                       "target": {"type": "AverageValue", "averageValue": "900m"}}}}
    return {"minReplicas": least, "maxReplicas": most, "metrics": [signals[metric]]}


def rising(metric):
    """Loads for about 100 to 350 pods at 70 %."""
    rates = ",".join(str(rate) for rate in (3000, 5000, 8000, 10000, 9000, 6000, 4000, 3000))
    return {"length": "30m", "arrivals": {"shape": f"steps:{rates}"}, "service": SERVICE, "pod": POD, "start": START,
            "replicas": 110, "hpa": autoscaler(metric, 20, 400)}


def day():
    """28 requests a second for each of a thousand pods, more by day than by night."""
    rates = [28_000 * (1 + 0.15 * math.sin(2 * math.pi * hour / 24)) for hour in range(24)]
    return {"length": "24h", "arrivals": {"shape": "steps:" + ",".join(f"{rate:.0f}" for rate in rates)}, "service": SERVICE,
            "pod": POD, "start": START, "replicas": 1000, "hpa": autoscaler("cpu", 200, 1200), "sample_pods": 30}


def simulate(scenario, *arguments, report=False):
    """CPU seconds, MiB at most, and the report or the text."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scenario.json"
        path.write_text(json.dumps(scenario) if isinstance(scenario, dict) else scenario)
        out = Path(folder) / "out"
        with out.open("wb") as to:
            child = subprocess.Popen([PODSENSE, "simulate", path, "--threads", "1", *arguments, *(["--json", "-"] if report else [])],
                                     stdout=to)
            _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            raise SystemExit(child.returncode)
        text = out.read_text()
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, json.loads(text) if report else text


def requests_of(text):
    line = next(line for line in text.splitlines() if line.startswith("requests "))
    return int(line.split()[1].replace(",", ""))


def speed():
    print("| | CPU s | MiB at most | |\n|---|---|---|---|")
    seconds, memory, text = simulate(TEN_PODS)
    requests = requests_of(text)
    print(f"| 10 pods for an hour, {requests / 1e6:.1f} M requests | {seconds:.2f} | {memory:.0f} | {requests / seconds / 1e6:.2f} M requests a second |")
    example = ROOT / "examples/simulate/autoscaling.yaml"
    text = example.read_text().replace("hpa: saturation-hpa.yaml", f"hpa: {example.parent / 'saturation-hpa.yaml'}")
    seconds, memory, _ = simulate(text, "--runs", "30")
    print(f"| 30 runs of a minute, the example | {seconds:.2f} | {memory:.0f} | |")
    seconds, memory, text = simulate(day())
    print(f"| a day of about 1,000 pods, {day()['sample_pods']} of 1,200 sampled | {seconds:.1f} | {memory:.0f} | {requests_of(text) / 1e9:.2f} G requests |")


FIGURES = ("requests", "pod_seconds", "cpu_seconds", "pods_most", "latency_p50_seconds", "latency_p95_seconds", "latency_p99_seconds",
           "late_share")


def beside(scenario, pods, seed):
    """Figures of all pods and of the sample, and the ready pods' mean difference each second, in percent."""
    _, _, full = simulate(scenario, "--seed", str(seed), report=True)
    _, _, part = simulate(scenario, "--seed", str(seed), "--sample-pods", str(pods), report=True)
    ready = [[one["ready"] for one in report["runs"][0]["timeline"]["slices"]] for report in (full, part)]
    apart = [100 * (b - a) / a for a, b in zip(*ready, strict=True) if a]
    figures = [{key: report["runs"][0]["figures"][key] for key in FIGURES} for report in (full, part)]
    return figures, statistics.mean(apart), statistics.mean(abs(one) for one in apart)


def error(options):
    for metric in ("cpu", "saturation"):
        rows = [beside(rising(metric), options.pods, seed) for seed in range(1, options.seeds + 1)]
        print(f"\n{metric}, {options.pods} of 400 pods, {options.seeds} seeds\n\n| figure | all | sample | difference |\n|---|---|---|---|")
        for key in FIGURES:
            before, after = ([figures[i][key] for figures, _, _ in rows] for i in (0, 1))
            apart = [b - a for a, b in zip(before, after, strict=True)]
            spread = 2 * statistics.stdev(apart) / math.sqrt(len(apart)) if len(apart) > 1 else math.nan
            mean = statistics.mean(before)
            is_share = key == "late_share"
            unit, scale = (" points", 100) if is_share else (" %", 100 / mean if mean else 0)
            print(f"| {key} | {mean:.5g} | {statistics.mean(after):.5g} | {statistics.mean(apart) * scale:+.2f} ± {spread * scale:.2f}{unit} |")
        print(f"| ready pods, each second | | | {statistics.mean(row[1] for row in rows):+.2f} %; without sign {statistics.mean(row[2] for row in rows):.2f} % |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("speed", "error"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--pods", type=int, default=25)
    options = parser.parse_args()
    speed() if options.what == "speed" else error(options)


if __name__ == "__main__":
    main()
