#!/usr/bin/env python3
"""Compares what a HorizontalPodAutoscaler can scale on, under the same load on a real cluster.

    bench/autoscaling.py                                     cpu, memory, saturation, queue
    bench/autoscaling.py --signals saturation --seconds 90 --json build/autoscaling.json

Each signal gets a fresh install of the chart with one pod, and then at once as much load as needs
several. Prometheus (Debian's) and prometheus-adapter (built from bench/prometheus-adapter) run on this
machine, which the cluster must reach (--host-address); their rules are those of
monitoring/prometheus-adapter.yaml. The image (podsense:VERSION) must be in the cluster already.

Says for each signal: seconds until the objective held again, requests above the objective or failed,
pod-seconds used while the load lasted.
"""

import argparse
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/e2e"))
import cluster  # noqa: E402
import load  # noqa: E402

NAMESPACE = "podsense-signals"
# The target of each signal, as autoscaling.* values of the chart.
SIGNALS = {
    "cpu": {"targetCPUUtilizationPercentage": "70"},
    "memory": {"targetMemoryUtilizationPercentage": "70", "targetCPUUtilizationPercentage": "null"},
    "saturation": {"targetSaturation": "700m", "targetCPUUtilizationPercentage": "null"},
    "queue": {"targetQueueDepth": "2", "targetCPUUtilizationPercentage": "null"},
}
CPU_MS = 25
OBJECTIVE = 0.25  # seconds
SCRAPE = 5  # seconds between scrapes
HELD = 10  # seconds in a row within the objective count as recovered


def cache():
    base = os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache"))
    return pathlib.Path(os.environ.get("PODSENSE_CACHE", f"{base}/podsense"))


def adapter_binary():
    """prometheus-adapter of bench/prometheus-adapter/go.mod, built once; takes some minutes."""
    module = ROOT / "bench/prometheus-adapter"
    version = (module / "go.mod").read_text().split("prometheus-adapter v")[1].split()[0]
    binary = cache() / f"go-tools/prometheus-adapter-v{version}/adapter"
    if not binary.exists():
        go = cluster.output("scripts/go-tool.sh --go")
        environment = dict(os.environ, CGO_ENABLED="0", GOFLAGS="-trimpath")
        package = "sigs.k8s.io/prometheus-adapter/cmd/adapter"
        print("building prometheus-adapter", version, file=sys.stderr)
        fresh = binary.with_suffix(".new")
        subprocess.run([go, "build", "-ldflags=-s", "-o", fresh, package], cwd=module, env=environment,
                       check=True)
        fresh.rename(binary)
    return binary


class Child:
    """A program that runs as long as the block."""

    def __init__(self, folder, name, words):
        self.name, self.words, self.path = name, [str(word) for word in words], folder / f"{name}.log"

    def __enter__(self):
        with open(self.path, "w") as log:
            self.process = subprocess.Popen(self.words, stdout=log, stderr=subprocess.STDOUT)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=30)

    def check(self):
        if self.process.poll() is not None:
            raise cluster.Failure(f"{self.name} ended: {self.path.read_text()[-2000:]}")


def prometheus_config(targets):
    """Debian's Prometheus cannot ask Kubernetes itself: the targets are in a file."""
    return {
        "global": {"scrape_interval": f"{SCRAPE}s", "scrape_timeout": f"{SCRAPE - 1}s"},
        "scrape_configs": [{"job_name": "podsense",
                            "file_sd_configs": [{"files": [str(targets)], "refresh_interval": "1s"}]}],
    }


class Discovery:
    """Writes the running pods as targets, with the labels that a PodMonitor gives, once a second."""

    def __init__(self, path):
        self.path, self.stop = path, threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        known = None
        while not self.stop.wait(1):
            targets = [{"targets": [f"{pod['status']['podIP']}:8000"],
                        "labels": {"namespace": NAMESPACE, "pod": pod["metadata"]["name"]}}
                       for pod in cluster.pods(NAMESPACE)
                       if pod["status"]["phase"] == "Running" and "podIP" in pod["status"]]
            if targets != known:
                fresh = self.path.with_suffix(".new")
                fresh.write_text(json.dumps(targets))
                fresh.rename(self.path)
                known = targets

    def __enter__(self):
        self.path.write_text("[]")
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()


def adapter_config():
    """The rules of the values file, as the chart would hand them over."""
    lines = (ROOT / "monitoring/prometheus-adapter.yaml").read_text().split("  custom:\n")[1]
    return "rules:\n" + lines


def adapter_objects(host, port):
    """How the cluster finds the adapter, and who may ask it."""
    service = {"name": "prometheus-adapter", "namespace": NAMESPACE}
    group = "custom.metrics.k8s.io"
    role = {"name": "podsense-signals-custom-metrics"}
    yield {"apiVersion": "v1", "kind": "Service", "metadata": service,
           "spec": {"ports": [{"port": 443, "targetPort": port}]}}
    yield {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
           "metadata": dict(service, labels={"kubernetes.io/service-name": service["name"]}),
           "addressType": "IPv4", "ports": [{"port": port, "protocol": "TCP", "name": ""}],
           "endpoints": [{"addresses": [host]}]}
    for version in ("v1beta1", "v1beta2"):
        yield {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
               "metadata": {"name": f"{version}.{group}"},
               "spec": {"service": service, "group": group, "version": version,
                        "insecureSkipTLSVerify": True, "groupPriorityMinimum": 100,
                        "versionPriority": 100 if version == "v1beta1" else 200}}
    yield {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": role,
           "rules": [{"apiGroups": [group], "resources": ["*"], "verbs": ["get", "list"]}]}
    yield {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": role,
           "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", **role},
           "subjects": [{"kind": "ServiceAccount", "namespace": "kube-system",
                         "name": "horizontal-pod-autoscaler"}]}


@contextlib.contextmanager
def metrics_pipeline(host):
    """Prometheus and the adapter, known to the cluster."""
    kubeconfig = os.environ["KUBECONFIG"]
    with tempfile.TemporaryDirectory(prefix="podsense-signals-") as name, contextlib.ExitStack() as stack:
        folder = pathlib.Path(name)
        targets = folder / "targets.json"
        stack.enter_context(Discovery(targets))
        (folder / "prometheus.yml").write_text(json.dumps(prometheus_config(targets)))
        (folder / "adapter.yaml").write_text(adapter_config())
        prometheus_port, adapter_port = free_port(), free_port(host)
        children = [
            Child(folder, "prometheus", [
                "prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address=127.0.0.1:{prometheus_port}"]),
            Child(folder, "adapter", [
                adapter_binary(), f"--config={folder}/adapter.yaml", f"--cert-dir={folder}/certificates",
                f"--bind-address={host}", f"--secure-port={adapter_port}",
                f"--prometheus-url=http://127.0.0.1:{prometheus_port}", "--metrics-relist-interval=10s",
                *(f"--{what}-kubeconfig={kubeconfig}" for what in ("lister", "authentication", "authorization"))]),
        ]
        for child in children:
            stack.enter_context(child)
        objects = list(adapter_objects(host, adapter_port))
        cluster.apply(objects)
        stack.callback(remove, [entry for entry in objects if "namespace" not in entry["metadata"]])
        cluster.wait_until(lambda: [child.check() for child in children] and custom_metrics_answer(),
                           "the custom metrics API answers")
        yield


def custom_metrics_answer():
    return cluster.kubectl("get --raw /apis/custom.metrics.k8s.io/v1beta2", check=False).returncode == 0


def remove(objects):
    for entry in objects:
        cluster.kubectl(f"delete {entry['kind']} {entry['metadata']['name']} --ignore-not-found", check=False)


def free_port(host="127.0.0.1"):
    import socket

    with socket.socket() as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


def install(name, options):
    """One pod that scales on the signal; the URL."""
    values = {
        "replicaCount": 1, "autoscaling.minReplicas": 1, "autoscaling.maxReplicas": options.max_pods,
        "resources.requests.cpu": options.cpu, "resources.limits.cpu": options.cpu,
        "resources.requests.memory": "256Mi", "resources.limits.memory": "512Mi",
        "image.pullPolicy": "Never",
        **{f"autoscaling.{key}": value for key, value in SIGNALS[name].items()},
    }
    flags = [flag for key, value in values.items() for flag in ("--set", f"{key}={value}")]
    cluster.helm_install("podsense", NAMESPACE, *flags)
    url = cluster.expose(NAMESPACE, "podsense", port=options.node_port, name="signals")
    cluster.wait_answers(f"{url}/readyz")

    def active():
        hpa = cluster.get("hpa podsense", NAMESPACE)["status"]
        conditions = {entry["type"]: entry["status"] for entry in hpa.get("conditions", [])}
        return conditions.get("ScalingActive") == "True" and hpa.get("currentMetrics")

    cluster.wait_until(active, f"the HPA reads {name}", timeout=120)
    return url


class Watch:
    """Looks at pods and HPA once a second."""

    def __init__(self):
        self.began, self.rows, self.stop = time.monotonic(), [], threading.Event()
        self.thread = threading.Thread(target=self.look)
        self.thread.start()

    def look(self):
        while not self.stop.wait(1):
            found = cluster.items("hpa/podsense deployment/podsense", NAMESPACE)
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
    cluster.kubectl(f"delete hpa,deployment --all -n {NAMESPACE}", check=False)
    url = install(name, options)
    # A connection stays with the pod that it was made to: with kept ones, new pods would get nothing.
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder) / "report.json"
        words = [load.BINARY, "load", f"{url}/infer?cpu_ms={CPU_MS}", "--qps", options.rate, "--seconds", options.seconds,
                 "--arrivals", "poisson", "--disable-keepalive", "--json", report, "--quiet", "--i-may-load-this-host"]
        watch = Watch()
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
    parser.add_argument("--signals", default=",".join(SIGNALS))
    parser.add_argument("--seconds", type=int, default=120, help="of load for each signal")
    parser.add_argument("--rate", type=float, default=24, help="requests of 25 ms CPU a second")
    parser.add_argument("--cpu", default="250m", help="request and limit of a pod")
    parser.add_argument("--max-pods", type=int, default=6)
    parser.add_argument("--host-address", default="198.18.0.1", help="this machine, as the cluster sees it")
    parser.add_argument("--node-port", type=int, default=30033)
    parser.add_argument("--json", help="file for the results")
    options = parser.parse_args()
    signals = options.signals.split(",")
    if unknown := set(signals) - set(SIGNALS):
        parser.error(f"--signals: {sorted(unknown)} are none of {list(SIGNALS)}")
    if "KUBECONFIG" not in os.environ:
        parser.error("KUBECONFIG is not set")
    os.environ.setdefault("PLATFORM", "current")  # whatever kubectl points to
    # Ends by cleaning up: an aggregated API that nobody serves would keep namespaces from being deleted.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    results = []
    with cluster.namespace(NAMESPACE), metrics_pipeline(options.host_address):
        for name in signals:
            results.append(measure(name, options))
            print_table(results[-1:])
    print_table(results)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(results))


if __name__ == "__main__":
    main()
