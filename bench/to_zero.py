#!/usr/bin/env python3
"""Scale to zero and back with KEDA, on a real cluster: does it stay at zero, what does the first request get, how long until one is answered?

    bench/to_zero.py [--json FILE]

The chart's ScaledObject with minReplicas 0, behind Traefik, whose count of requests is the demand that the pods cannot tell while there
are none. Prometheus, kube-state-metrics and KEDA run on this machine, as for bench/autoscaling.py; what it needs is the same, and the
image podsense:VERSION on the nodes. Then Prometheus is ended: the fallback keeps the pods that there are.
"""

import argparse
import contextlib
import json
import os
import pathlib
import signal
import sys
import tempfile
import time

import metrics_pipeline

import cluster  # isort: skip  # of tests/e2e, whose folder comes with the line above
import ingress  # isort: skip
from cluster import Failure, wait_until  # isort: skip

NAMESPACE = "podsense-zero"
HOST = "zero.test"
QUIET = 40  # seconds in which it has to stay at zero
SCRAPE = 5


def prometheus_config(targets, state_port):
    """Pods by a file, as in metrics_pipeline.py; kube-state-metrics; Traefik's pod."""
    proxies = [pod["status"]["podIP"] + ":9100" for pod in cluster.pods("traefik", "app=traefik")]
    return {
        "global": {"scrape_interval": f"{SCRAPE}s", "scrape_timeout": f"{SCRAPE - 1}s"},
        "scrape_configs": [
            {"job_name": "podsense", "file_sd_configs": [{"files": [str(targets)], "refresh_interval": "1s"}]},
            {"job_name": "kube-state-metrics", "honor_labels": True, "static_configs": [{"targets": [f"127.0.0.1:{state_port}"]}]},
            {"job_name": "traefik", "static_configs": [{"targets": proxies}]},
        ],
    }


@contextlib.contextmanager
def pipeline(folder, host):
    """(URL of Prometheus, its process)"""
    targets, state_port, port = folder / "targets.json", metrics_pipeline.free_port(), metrics_pipeline.free_port()
    state = [cluster.output("scripts/kube-state-metrics.sh"), f"--kubeconfig={os.environ['KUBECONFIG']}", "--resources=deployments",
             "--host=127.0.0.1", f"--port={state_port}", f"--telemetry-port={metrics_pipeline.free_port()}", f"--namespaces={NAMESPACE}"]
    (folder / "prometheus.yml").write_text(json.dumps(prometheus_config(targets, state_port)))
    words = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}"]
    with (metrics_pipeline.Discovery(targets, NAMESPACE), metrics_pipeline.Child(folder, "kube-state-metrics", state),
          metrics_pipeline.Child(folder, "prometheus", words) as process, metrics_pipeline.keda(folder, NAMESPACE, host)):  # fmt: skip
        yield f"http://127.0.0.1:{port}", process


def demand(url):
    """Requests that Traefik was asked for this Ingress. Its router counts them whether there are pods or none; its service does not."""
    seen, window = f'traefik_router_requests_total{{router="{NAMESPACE}-podsense-rule-0-path-0@kubernetesingressnginx"}}', f"{4 * SCRAPE}s"
    return {
        "type": "prometheus", "metricType": "AverageValue",
        "metadata": {
            "serverAddress": url, "threshold": "50", "activationThreshold": "0",
            # A series begins at its first request, in which `rate` sees no increase.
            "query": f"(sum(rate({seen}[{window}])) or vector(0)) + (sum({seen} unless {seen} offset {window}) or vector(0))",
        },
    }  # fmt: skip


def install(url):
    values = {"autoscaling.enabled": "false", "keda.enabled": "true", "keda.minReplicas": 0, "keda.maxReplicas": 3, "keda.pollingInterval": 5,
              "keda.cooldownPeriod": 15, "keda.prometheus.serverAddress": url, "ingress.enabled": "true", "ingress.hosts[0].host": HOST,
              "resources.requests.cpu": "100m", "image.pullPolicy": "IfNotPresent", "networkPolicy.enabled": "false"}  # Prometheus asks from outside  # fmt: skip
    flags = [flag for key, value in values.items() for flag in ("--set", f"{key}={value}")]
    cluster.run(["helm", "install", "podsense", cluster.CHART, "-n", NAMESPACE, *flags, "--set-json", f"keda.extraTriggers={json.dumps([demand(url)])}"])


def wanted():
    return cluster.get("deployment podsense", NAMESPACE)["spec"]["replicas"]


def ask(address):
    return cluster.fetch(f"{address}/infer?cpu_ms=1", "-H", f"Host: {HOST}")[0]


def seconds_until(predicate, what, timeout):
    began = time.monotonic()
    wait_until(predicate, what, timeout=timeout)
    return round(time.monotonic() - began, 1)


def measure(address, prometheus, found):
    found["down, without a request, s"] = seconds_until(lambda: wanted() == 0 and not cluster.pods(NAMESPACE), "no pod", 180)
    began = time.monotonic()
    while time.monotonic() - began < QUIET:
        if wanted():
            raise Failure(f"back without a request after {time.monotonic() - began:.0f} s")
        time.sleep(1)
    found["stays at zero, s"] = QUIET
    found["first request"] = ask(address)
    found["a pod wanted after that one request, s"] = seconds_until(lambda: wanted() > 0, "a pod wanted", 120)
    statuses = []

    def answered():
        statuses.append(ask(address))
        return statuses[-1] == 200

    found["first answer after that, s"] = seconds_until(answered, "an answer", 120)
    found["requests refused meanwhile"] = sorted({status for status in statuses if status != 200})
    found["down again, s"] = seconds_until(lambda: wanted() == 0, "none wanted again", 240)
    ask(address)
    seconds_until(lambda: ask(address) == 200, "an answer", 120)
    prometheus.process.terminate()
    began, least = time.monotonic(), 99
    while time.monotonic() - began < QUIET:
        least = min(least, wanted())
        time.sleep(1)
    found["pods wanted while Prometheus is away, at least"] = least
    found["and at the end"] = wanted()


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--host-address", default="198.18.0.1", help="this machine, as the cluster sees it")
    options.add_argument("--json", help="file for the figures")
    arguments = options.parse_args()
    cluster.adopt_environment()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    found = {}
    with ingress.controller() as address, cluster.namespace(NAMESPACE), tempfile.TemporaryDirectory(prefix="podsense-zero-") as name:
        with pipeline(pathlib.Path(name), arguments.host_address) as (url, prometheus):
            install(url)
            try:
                measure(address, prometheus, found)
            finally:
                for what, value in found.items():
                    print(f"{what:48} {value}")
                print(cluster.kubectl(f"-n {NAMESPACE} describe scaledobject podsense").stdout[-1500:], file=sys.stderr)
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
