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
import contextlib
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
import urllib.parse
import urllib.request

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
# The same through KEDA, which makes the HPA itself: keda.prometheus.* values.
KEDA_SIGNALS = {
    "keda-saturation": {},
    "keda-queue": {"threshold": "2", "query": ROOT / "monitoring/keda/scaledobject-queue-depth.yaml"},
}
CPU_MS = 25
OBJECTIVE = 0.25  # seconds
SCRAPE = 5  # seconds between scrapes
HELD = 10  # seconds in a row within the objective count as recovered


def cache():
    base = os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache"))
    return pathlib.Path(os.environ.get("BUILD_CACHE", f"{base}/podsense"))


def go_programs(folder, module, programs):
    """Programs of `module` as folder/go.mod pins it, built once; takes some minutes. Paths by name."""
    version = re.search(rf"^require {re.escape(module)} (\S+)$", (folder / "go.mod").read_text(), re.M)[1]
    built = cache() / "go-tools" / f"{folder.name}-{version}"
    if not built.exists():
        print("building", module, version, file=sys.stderr)
        fresh = built.with_suffix(".new")
        fresh.mkdir(parents=True, exist_ok=True)
        subprocess.run([go(), "build", "-ldflags=-s", "-o", f"{fresh}/",
                        *(f"{module}/cmd/{name}" for name in programs)], cwd=folder,
                       env=dict(os.environ, CGO_ENABLED="0", GOFLAGS="-trimpath"), check=True)
        fresh.rename(built)
    return {name: built / name for name in programs}


def go():
    return cluster.output("scripts/go-tool.sh --go")


def adapter_binary():
    return go_programs(ROOT / "bench/prometheus-adapter", "sigs.k8s.io/prometheus-adapter", ["adapter"])["adapter"]


class Child:
    """A program that runs as long as the block."""

    def __init__(self, folder, name, words, **environment):
        self.name, self.words, self.path = name, [str(word) for word in words], folder / f"{name}.log"
        self.environment = {**os.environ, **environment}

    def __enter__(self):
        with open(self.path, "w") as log:
            self.process = subprocess.Popen(self.words, stdout=log, stderr=subprocess.STDOUT,
                                            env=self.environment)
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


def api_objects(name, group, versions, host, port):
    """How the cluster finds a metrics API on this machine, and who may ask it."""
    service = {"name": name, "namespace": NAMESPACE}
    role = {"name": f"podsense-signals-{group.split('.')[0]}-metrics"}
    yield {"apiVersion": "v1", "kind": "Service", "metadata": service,
           "spec": {"ports": [{"port": 443, "targetPort": port}]}}
    yield {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
           "metadata": dict(service, labels={"kubernetes.io/service-name": service["name"]}),
           "addressType": "IPv4", "ports": [{"port": port, "protocol": "TCP", "name": ""}],
           "endpoints": [{"addresses": [host]}]}
    for priority, version in enumerate(versions):
        yield {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
               "metadata": {"name": f"{version}.{group}"},
               "spec": {"service": service, "group": group, "version": version,
                        "insecureSkipTLSVerify": True, "groupPriorityMinimum": 100,
                        "versionPriority": 100 * (priority + 1)}}
    yield {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": role,
           "rules": [{"apiGroups": [group], "resources": ["*"], "verbs": ["get", "list"]}]}
    yield {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": role,
           "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", **role},
           "subjects": [{"kind": "ServiceAccount", "namespace": "kube-system",
                         "name": "horizontal-pod-autoscaler"}]}


def client_flags():
    kubeconfig = os.environ["KUBECONFIG"]
    return [f"--{what}-kubeconfig={kubeconfig}" for what in ("lister", "authentication", "authorization")]


@contextlib.contextmanager
def serving(objects, children, path):
    """Programs that serve a metrics API under `path`, and the objects by which it is found."""
    with contextlib.ExitStack() as stack:
        for child in children:
            stack.enter_context(child)
        cluster.apply(objects)
        stack.callback(remove, [entry for entry in objects if "namespace" not in entry["metadata"]])
        cluster.wait_until(lambda: [child.check() for child in children] and answers(path), f"{path} answers")
        yield


@contextlib.contextmanager
def prometheus(folder):
    """Its URL on this machine."""
    targets = folder / "targets.json"
    (folder / "prometheus.yml").write_text(json.dumps(prometheus_config(targets)))
    port = free_port()
    words = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
             f"--web.listen-address=127.0.0.1:{port}", "--web.enable-admin-api"]
    with Discovery(targets), Child(folder, "prometheus", words):
        yield f"http://127.0.0.1:{port}"


def adapter(folder, host, url):
    (folder / "adapter.yaml").write_text(adapter_config())
    port, group = free_port(host), "custom.metrics.k8s.io"
    words = [adapter_binary(), f"--config={folder}/adapter.yaml", f"--cert-dir={folder}/certificates",
             f"--bind-address={host}", f"--secure-port={port}", f"--prometheus-url={url}",
             "--metrics-relist-interval=10s", *client_flags()]
    objects = list(api_objects("prometheus-adapter", group, ("v1beta1", "v1beta2"), host, port))
    return serving(objects, [Child(folder, "adapter", words)], f"/apis/{group}/v1beta2")


@contextlib.contextmanager
def keda(folder, host):
    """KEDA's definitions, its operator and its metrics server, which asks the operator."""
    module = "github.com/kedacore/keda/v2"
    programs = go_programs(ROOT / "bench/keda", module, ["operator", "adapter"])
    sources = subprocess.run([go(), "list", "-m", "-f", "{{.Dir}}", module], cwd=ROOT / "bench/keda",
                             capture_output=True, text=True, check=True).stdout.strip()
    definitions = f"{sources}/config/crd/bases"
    certificates = folder / "keda-certificates"
    certificates.mkdir()
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                    "-noenc", "-days", "2", "-subj", "/CN=keda", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", certificates / "tls.key", "-out", certificates / "tls.crt"],
                   check=True, capture_output=True)
    (certificates / "ca.crt").write_text((certificates / "tls.crt").read_text())
    port, group, inside = free_port(host), "external.metrics.k8s.io", f"127.0.0.1:{free_port()}"
    environment = {"POD_NAMESPACE": NAMESPACE, "WATCH_NAMESPACE": NAMESPACE,
                   "KEDA_CLUSTER_OBJECT_NAMESPACE": NAMESPACE}
    children = [
        Child(folder, "keda-operator", [
            programs["operator"], f"--cert-dir={certificates}", f"--metrics-service-bind-address={inside}",
            "--enable-prometheus-metrics=false", "--health-probe-bind-address=0"], **environment),
        Child(folder, "keda-metrics", [
            programs["adapter"], f"--cert-dir={certificates}", f"--tls-cert-file={certificates}/tls.crt",
            f"--tls-private-key-file={certificates}/tls.key", f"--metrics-service-address={inside}", "--port=0",
            f"--bind-address={host}", f"--secure-port={port}", *client_flags()], **environment),
    ]
    cluster.run(["kubectl", "apply", "--server-side", "-f", definitions])
    try:
        objects = list(api_objects("keda-metrics", group, ("v1beta1",), host, port))
        with serving(objects, children, f"/apis/{group}/v1beta1"):
            try:
                yield
            finally:  # while there is an operator that takes its finalizers off
                cluster.kubectl(f"delete scaledobject --all -n {NAMESPACE}", check=False)
    finally:
        cluster.run(["kubectl", "delete", "--ignore-not-found", "-f", definitions], check=False)


@contextlib.contextmanager
def metrics_pipeline(host, with_keda):
    """Prometheus and what asks it, known to the cluster. Prometheus' URL."""
    with tempfile.TemporaryDirectory(prefix="podsense-signals-") as name, contextlib.ExitStack() as stack:
        folder = pathlib.Path(name)
        url = stack.enter_context(prometheus(folder))
        stack.enter_context(adapter(folder, host, url))
        if with_keda:
            stack.enter_context(keda(folder, host))
        yield url


def answers(path):
    return cluster.kubectl(f"get --raw {path}", check=False).returncode == 0


def remove(objects):
    for entry in objects:
        cluster.kubectl(f"delete {entry['kind']} {entry['metadata']['name']} --ignore-not-found", check=False)


def free_port(host="127.0.0.1"):
    import socket

    with socket.socket() as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


def scaling_values(name, options):
    """Flags that make the chart scale on the signal."""
    if name in SIGNALS:
        values = {"minReplicas": 1, "maxReplicas": options.max_pods, **SIGNALS[name]}
        return [flag for key, value in values.items() for flag in ("--set", f"autoscaling.{key}={value}")]
    given = {"serverAddress": options.prometheus, **KEDA_SIGNALS[name]}
    if file := given.get("query"):
        # Of the example, for this namespace.
        found = re.search(r"^ +query: (.+)$", file.read_text(), re.M)[1]
        given["query"] = found.replace('namespace="podsense"', f'namespace="{NAMESPACE}"')
    flags = ["--set", f"autoscaling.enabled=false,keda.enabled=true,keda.maxReplicas={options.max_pods}",
             # Before the first scrape Prometheus knows nothing: that is no reason for three pods here.
             "--set", "keda.fallback=null,keda.pollingInterval=5"]
    return flags + [flag for key, value in given.items()
                    for flag in ("--set-literal", f"keda.prometheus.{key}={value}")]


def install(name, options):
    """One pod that scales on the signal; the URL."""
    values = {
        "replicaCount": 1, "resources.requests.cpu": options.cpu, "resources.limits.cpu": options.cpu,
        "resources.requests.memory": "256Mi", "resources.limits.memory": "512Mi",
        "image.pullPolicy": "Never",
    }
    flags = [flag for key, value in values.items() for flag in ("--set", f"{key}={value}")]
    cluster.helm_install("podsense", NAMESPACE, *flags, *scaling_values(name, options))
    url = cluster.expose(NAMESPACE, "podsense", port=options.node_port, name="signals")
    cluster.wait_answers(f"{url}/readyz")

    def active():
        hpa = cluster.get(f"hpa {hpa_name(name)}", NAMESPACE)
        status = hpa["status"] if hpa else {}
        conditions = {entry["type"]: entry["status"] for entry in status.get("conditions", [])}
        return conditions.get("ScalingActive") == "True" and status.get("currentMetrics")

    cluster.wait_until(active, f"the HPA reads {name}", timeout=120)
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


def forget(url):
    """Deletes what Prometheus knows: KEDA's sums would count the pods of the run before."""
    everything = urllib.parse.urlencode({"match[]": '{__name__=~".+"}'})
    request = urllib.request.Request(f"{url}/api/v1/admin/tsdb/delete_series?{everything}", method="POST")
    with urllib.request.urlopen(request, timeout=30):
        pass


def measure(name, options):
    # A ScaledObject first: KEDA would make its HPA again.
    for kinds in (["scaledobject"] if options.keda else []) + ["hpa,deployment"]:
        cluster.kubectl(f"delete {kinds} --all -n {NAMESPACE}", check=False)
    cluster.wait_until(lambda: not cluster.pods(NAMESPACE), "the pods of the run before have gone")
    forget(options.prometheus)
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
          metrics_pipeline(options.host_address, options.keda) as options.prometheus):
        for _ in range(options.runs):
            for name in random.sample(signals, len(signals)):
                results.append(measure(name, options))
                print_table(results[-1:])
                if options.json:
                    pathlib.Path(options.json).write_text(json.dumps(results))
    print_table(sorted(results, key=lambda one: signals.index(one["signal"])))


if __name__ == "__main__":
    main()
