"""What an autoscaler asks, as the benches on a cluster need it: Prometheus, prometheus-adapter and KEDA on this machine.

Prometheus is Debian's; the adapter and KEDA's operator and metrics server are built from bench/prometheus-adapter and bench/keda,
and the cluster must reach this machine. The adapter's rules are those of monitoring/prometheus-adapter.yaml. And the release of the
chart that is measured: one pod, exposed on a port of the node, whose autoscaler reads its metric.
"""

import contextlib
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/e2e"))
import cluster  # noqa: E402

SCRAPE = 5  # seconds between scrapes


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

    def __init__(self, path, namespace):
        self.path, self.namespace, self.stop = path, namespace, threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        known = None
        while not self.stop.wait(1):
            targets = [{"targets": [f"{pod['status']['podIP']}:8000"],
                        "labels": {"namespace": self.namespace, "pod": pod["metadata"]["name"]}}
                       for pod in cluster.pods(self.namespace)
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


def api_objects(name, namespace, group, versions, host, port):
    """How the cluster finds a metrics API on this machine, and who may ask it."""
    service = {"name": name, "namespace": namespace}
    role = {"name": f"{namespace}-{group.split('.')[0]}-metrics"}
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
def prometheus(folder, namespace):
    """Its URL on this machine."""
    targets = folder / "targets.json"
    (folder / "prometheus.yml").write_text(json.dumps(prometheus_config(targets)))
    port = free_port()
    words = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
             f"--web.listen-address=127.0.0.1:{port}", "--web.enable-admin-api"]
    with Discovery(targets, namespace), Child(folder, "prometheus", words):
        yield f"http://127.0.0.1:{port}"


def adapter(folder, namespace, host, url):
    (folder / "adapter.yaml").write_text(adapter_config())
    port, group = free_port(host), "custom.metrics.k8s.io"
    words = [adapter_binary(), f"--config={folder}/adapter.yaml", f"--cert-dir={folder}/certificates",
             f"--bind-address={host}", f"--secure-port={port}", f"--prometheus-url={url}",
             "--metrics-relist-interval=10s", *client_flags()]
    objects = list(api_objects("prometheus-adapter", namespace, group, ("v1beta1", "v1beta2"), host, port))
    return serving(objects, [Child(folder, "adapter", words)], f"/apis/{group}/v1beta2")


@contextlib.contextmanager
def keda(folder, namespace, host):
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
    environment = {"POD_NAMESPACE": namespace, "WATCH_NAMESPACE": namespace,
                   "KEDA_CLUSTER_OBJECT_NAMESPACE": namespace}
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
        objects = list(api_objects("keda-metrics", namespace, group, ("v1beta1",), host, port))
        with serving(objects, children, f"/apis/{group}/v1beta1"):
            try:
                yield
            finally:  # while there is an operator that takes its finalizers off
                cluster.kubectl(f"delete scaledobject --all -n {namespace}", check=False)
    finally:
        cluster.run(["kubectl", "delete", "--ignore-not-found", "-f", definitions], check=False)


@contextlib.contextmanager
def metrics_pipeline(namespace, host, with_adapter=True, with_keda=False):
    """Prometheus and what asks it, known to the cluster. Prometheus' URL."""
    with tempfile.TemporaryDirectory(prefix=f"{namespace}-") as name, contextlib.ExitStack() as stack:
        folder = pathlib.Path(name)
        url = stack.enter_context(prometheus(folder, namespace))
        if with_adapter:
            stack.enter_context(adapter(folder, namespace, host, url))
        if with_keda:
            stack.enter_context(keda(folder, namespace, host))
        yield url


def answers(path):
    return cluster.kubectl(f"get --raw {path}", check=False).returncode == 0


def remove(objects):
    for entry in objects:
        cluster.kubectl(f"delete {entry['kind']} {entry['metadata']['name']} --ignore-not-found", check=False)


def free_port(host="127.0.0.1"):
    with socket.socket() as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


def forget(url):
    """Deletes what Prometheus knows: KEDA's sums would count the pods of the run before."""
    everything = urllib.parse.urlencode({"match[]": '{__name__=~".+"}'})
    request = urllib.request.Request(f"{url}/api/v1/admin/tsdb/delete_series?{everything}", method="POST")
    with urllib.request.urlopen(request, timeout=30):
        pass


def pod_values(cpu):
    """Flags of a release with pods of this CPU as request and limit."""
    values = {
        "replicaCount": 1, "resources.requests.cpu": cpu, "resources.limits.cpu": cpu,
        "resources.requests.memory": "256Mi", "resources.limits.memory": "512Mi",
        "image.pullPolicy": "Never",
        "networkPolicy.enabled": "false",  # Prometheus asks from outside of the cluster
    }
    return [flag for key, value in values.items() for flag in ("--set", f"{key}={value}")]


def keda_values(namespace, url, max_pods, threshold=None, query=None):
    """Flags that make KEDA scale, by the chart's query or another."""
    given = {"serverAddress": url}
    if threshold:
        given["threshold"] = threshold
    if query:
        given["query"] = query.replace('namespace="podsense"', f'namespace="{namespace}"')
    flags = ["--set", f"autoscaling.enabled=false,keda.enabled=true,keda.maxReplicas={max_pods}",
             # Before the first scrape Prometheus knows nothing: that is no reason for three pods here.
             "--set", "keda.fallback=null,keda.pollingInterval=5"]
    return flags + [flag for key, value in given.items()
                    for flag in ("--set-literal", f"keda.prometheus.{key}={value}")]


def clear(namespace, with_keda):
    """No release, and no pod of it."""
    # A ScaledObject first: KEDA would make its HPA again.
    for kinds in (["scaledobject"] if with_keda else []) + ["hpa,deployment"]:
        cluster.kubectl(f"delete {kinds} --all -n {namespace}", check=False)
    cluster.wait_until(lambda: not cluster.pods(namespace), "the pods of the run before have gone")


def install(namespace, node_port, *flags):
    """The chart's release; the URL at which its pods answer."""
    cluster.helm_install("podsense", namespace, *flags)
    url = cluster.expose(namespace, "podsense", port=node_port, name="signals")
    cluster.wait_answers(f"{url}/readyz")
    return url


def is_active(hpa):
    """An autoscaler (or None) that has read all its metrics."""
    status = hpa["status"] if hpa else {}
    conditions = {entry["type"]: entry["status"] for entry in status.get("conditions", [])}
    return conditions.get("ScalingActive") == "True" and bool(status.get("currentMetrics"))
