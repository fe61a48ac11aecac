#!/usr/bin/env python3
"""Compares what a HorizontalPodAutoscaler can scale on, under the same load on a real cluster.

    bench/autoscaling.py                                     all signals, once each
    bench/autoscaling.py --signals saturation,keda-saturation --runs 3 --json build/autoscaling.json

Each signal gets a fresh install of the chart with one pod, and then at once as much load as needs
several; the order of signals is drawn anew for each run. Prometheus (Debian's), prometheus-adapter (built from
bench/prometheus-adapter) and KEDA's operator and metrics server (built from bench/keda) run on this
machine, which the cluster must reach (--host-address). The adapter's rules are those of
monitoring/prometheus-adapter.yaml, KEDA's queries those of the chart and of monitoring/keda. The image
(podsense:VERSION) must be in the cluster already.

Says for each signal: seconds until the objective held again, requests above the objective or failed,
pod-seconds used while the load lasted.
"""

import argparse
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

import metrics_pipeline
from metrics_pipeline import ROOT, cluster

import load  # isort: skip  # of tests/e2e, whose folder comes with the line above

NAMESPACE = "podsense-signals"
# The target of each signal, as autoscaling.* values of the chart.
SIGNALS = {
    "cpu": {"targetCPUUtilizationPercentage": "70"},
    "memory": {"targetMemoryUtilizationPercentage": "70", "targetCPUUtilizationPercentage": "null"},
    "saturation": {"targetSaturation": "700m", "targetCPUUtilizationPercentage": "null"},
    "queue": {"targetQueueDepth": "2", "targetCPUUtilizationPercentage": "null"},
}
# The same through KEDA, which makes the HPA itself: keda.prometheus.* values.
KEDA_SIGNALS = {
    "keda-saturation": {},
    "keda-queue": {"threshold": "2", "query": ROOT / "monitoring/keda/scaledobject-queue-depth.yaml"},
}
CPU_MS = 25
OBJECTIVE = 0.25  # seconds
HELD = 10  # seconds in a row within the objective count as recovered


def scaling_values(name, options):
    """Flags that make the chart scale on the signal."""
    if name in SIGNALS:
        values = {"minReplicas": 1, "maxReplicas": options.max_pods, **SIGNALS[name]}
        return [flag for key, value in values.items() for flag in ("--set", f"autoscaling.{key}={value}")]
    given = dict(KEDA_SIGNALS[name])
    if file := given.get("query"):  # of the example
        given["query"] = re.search(r"^ +query: (.+)$", file.read_text(), re.M)[1]
    return metrics_pipeline.keda_values(NAMESPACE, options.prometheus, options.max_pods, **given)


def install(name, options):
    """One pod that scales on the signal; the URL."""
    url = metrics_pipeline.install(NAMESPACE, options.node_port, *metrics_pipeline.pod_values(options.cpu), *scaling_values(name, options))
    cluster.wait_until(lambda: metrics_pipeline.is_active(cluster.get(f"hpa {hpa_name(name)}", NAMESPACE)),
                       f"the HPA reads {name}", timeout=120)
    return url


def hpa_name(signal):
    return "keda-hpa-podsense" if signal in KEDA_SIGNALS else "podsense"


class Watch:
    """Looks at pods and HPA once a second."""

    def __init__(self, hpa):
        self.hpa, self.began, self.rows, self.stop = hpa, time.monotonic(), [], threading.Event()
        self.thread = threading.Thread(target=self.look)
        self.thread.start()

    def look(self):
        while not self.stop.wait(1):
            found = cluster.items(f"hpa/{self.hpa} deployment/podsense", NAMESPACE)
            if len(found) == 2:
                hpa, deployment = (entry["status"] for entry in found)
                self.rows.append((time.monotonic() - self.began, deployment.get("replicas", 0),
                                  deployment.get("readyReplicas", 0), hpa.get("desiredReplicas", 0)))

    def end(self):
        self.stop.set()
        self.thread.join()

    def pod_seconds(self):
        """Of pods that there are, ready or not: they are paid for."""
        total, before = 0.0, 0.0
        for when, replicas, _, _ in self.rows:
            total += (when - before) * replicas
            before = when
        return total


def recovered_after(slices):
    """Seconds until the objective held again: the start of the first HELD seconds of which at most one slice
    in twenty failed a request or had a tenth of its answers above the objective, after one that did. None:
    never; 0: it was never lost. Slices of the run are shorter than a second."""
    seen = [(entry["start"], entry["failed"] > 0 or entry.get("p90", 0) > OBJECTIVE)
            for entry in slices if entry["failed"] or "p90" in entry]
    first = next((start for start, bad in seen if bad), None)
    if first is None:
        return 0
    for at, bad in seen:
        window = [one for start, one in seen if at <= start < at + HELD]
        if at > first and not bad and seen[-1][0] >= at + HELD and sum(window) <= len(window) / 20:
            return round(at)
    return None


def above_objective(histogram):
    """Answers slower than the objective, from the report's histogram (docs/reference/load-report.schema.json)."""
    unit, sub = 1e-9 * 2 ** histogram["unit_bits"], histogram["sub_bits"]
    slow = 0
    for bucket, count in histogram["buckets"]:
        power = 0 if bucket < 2 ** (sub + 1) else (bucket >> sub) - 1
        if (bucket - power * 2**sub) * 2**power * unit >= OBJECTIVE:
            slow += count
    return slow


def measure(name, options):
    metrics_pipeline.clear(NAMESPACE, options.keda)
    metrics_pipeline.forget(options.prometheus)
    url = install(name, options)
    # A connection stays with the pod that it was made to: with kept ones, new pods would get nothing.
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder) / "report.json"
        words = [load.BINARY, "load", f"{url}/infer?cpu_ms={CPU_MS}", "--qps", options.rate, "--seconds", options.seconds,
                 "--arrivals", "poisson", "--disable-keepalive", "--json", report, "--quiet", "--i-may-load-this-host"]
        watch = Watch(hpa_name(name))
        try:
            subprocess.run([str(word) for word in words], check=False, stdout=subprocess.DEVNULL)
        finally:
            watch.end()
        result = json.loads(report.read_text())
    slices = result["timeline"]["slices"]
    requests = result["requests"]
    return {
        "signal": name,
        "sent": requests["sent"],
        "failed": requests["failed"],
        "slow": above_objective(result["histograms"]["latency"]),
        "recovered": recovered_after(slices),
        "pod_seconds": round(watch.pod_seconds()),
        "first_pod": next((round(when) for when, _, ready, _ in watch.rows if ready > 1), None),
        "pods": max(replicas for _, replicas, _, _ in watch.rows),
        "timeline": watch.rows,
        "p90": [entry.get("p90") for entry in slices],
    }


def print_table(results):
    print("| signal | objective held again after, s | second pod ready after, s | above the objective or failed, of sent"
          " | pods at most | pod-seconds |")
    print("|---|---|---|---|---|---|")
    for one in results:
        recovered = "never" if one["recovered"] is None else one["recovered"]
        first = "none" if one["first_pod"] is None else one["first_pod"]
        missed = one["slow"] + one["failed"]
        print(f"| {one['signal']} | {recovered} | {first} | {missed:,} ({one['failed']:,} failed) of {one['sent']:,} "
              f"({missed / one['sent']:.0%}) | {one['pods']} | {one['pod_seconds']:,} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--signals", default=",".join([*SIGNALS, *KEDA_SIGNALS]))
    parser.add_argument("--runs", type=int, default=1, help="of each signal")
    parser.add_argument("--seconds", type=int, default=120, help="of load for each signal")
    parser.add_argument("--rate", type=float, default=24, help="requests of 25 ms CPU a second")
    parser.add_argument("--cpu", default="250m", help="request and limit of a pod")
    parser.add_argument("--max-pods", type=int, default=6)
    parser.add_argument("--host-address", default="198.18.0.1", help="this machine, as the cluster sees it")
    parser.add_argument("--node-port", type=int, default=30033)
    parser.add_argument("--json", help="file for the results")
    options = parser.parse_args()
    signals = options.signals.split(",")
    if unknown := set(signals) - {*SIGNALS, *KEDA_SIGNALS}:
        parser.error(f"--signals: {sorted(unknown)} are none of {[*SIGNALS, *KEDA_SIGNALS]}")
    if "KUBECONFIG" not in os.environ:
        parser.error("KUBECONFIG is not set")
    os.environ.setdefault("PLATFORM", "current")  # whatever kubectl points to
    # Ends by cleaning up: an aggregated API that nobody serves would keep namespaces from being deleted.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options.keda = bool(set(signals) & set(KEDA_SIGNALS))
    results = []
    with (cluster.namespace(NAMESPACE),
          metrics_pipeline.metrics_pipeline(NAMESPACE, options.host_address, with_keda=options.keda) as options.prometheus):
        for _ in range(options.runs):
            for name in random.sample(signals, len(signals)):
                results.append(measure(name, options))
                print_table(results[-1:])
                if options.json:
                    pathlib.Path(options.json).write_text(json.dumps(results))
    print_table(sorted(results, key=lambda one: signals.index(one["signal"])))


if __name__ == "__main__":
    main()
