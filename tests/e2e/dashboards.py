"""What Prometheus sees of the cluster: panels of the dashboards have data of what runs, rules can be evaluated."""

import contextlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading

import cluster
import ingress
import yaml
from cluster import Failure, kubectl
from disruption import pause
from load import load, photos, rows

sys.path[:0] = [str(cluster.ROOT / name) for name in ("tests/monitoring", "tests/integration")]
import panels  # noqa: E402
from prometheus import Prometheus, free_port  # noqa: E402

NAMESPACE = "podsense"  # as the dashboards' tests call everything
# What the cluster of these tests does not have; test_live has their recorded series.
ABSENT = {"ingress-nginx", "cert-manager", "tls.secretName"}
# Envoy Gateway's routes, and what need not happen while somebody looks.
ELSEWHERE = ("route/", "changes(", 'result="ok"')
VALUES = ("envoy.enabled=true,ingress.enabled=true,ingress.className=nginx,ingress.hosts[0].host=ingress.test,"
          "ingress.hosts[0].paths[0].path=/,ingress.hosts[0].paths[0].pathType=Prefix,gateway.enabled=true,"
          "gateway.hostnames[0]=gateway.test,gateway.grpcHostnames[0]=grpc.test,autoscaling.minReplicas=1,"
          "autoscaling.maxReplicas=2,envoy.replicas=1,networkPolicy.enabled=false,metrics.prometheusRule.enabled=true,"
          "metrics.serviceMonitor.enabled=true")


def targets(job, namespace, port, path="/metrics", selector=""):
    """Pods as the Prometheus Operator labels them."""
    found = [
        {"targets": [f"{pod['status'].get('podIP')}:{port}"],
         "labels": {"namespace": namespace, "pod": pod["metadata"]["name"]}}
        for pod in cluster.items(f"pods {selector}", namespace)
    ]  # fmt: skip
    return {"job_name": job, "metrics_path": path, "static_configs": found}


@contextlib.contextmanager
def cadvisor():
    """The kubelet's own count of its containers, through the API server, as kubectl may ask it."""
    with subprocess.Popen(["kubectl", "proxy", "--port=0"], stdout=subprocess.PIPE, text=True) as proxy:
        try:
            address = re.search(r"[0-9.]+:[0-9]+", proxy.stdout.readline()).group()
            node = cluster.items("nodes")[0]["metadata"]["name"]
            yield {"job_name": "cadvisor", "honor_labels": True, "static_configs": [{"targets": [address]}],
                   "metrics_path": f"/api/v1/nodes/{node}/proxy/metrics/cadvisor"}  # fmt: skip
        finally:
            proxy.terminate()


@contextlib.contextmanager
def kube_state_metrics():
    """Its own program, on this machine, asking the cluster."""
    program = cluster.output("scripts/kube-state-metrics.sh", timeout=1200)
    config = os.environ.get("KUBECONFIG") or os.path.expanduser("~/.kube/config")
    ports = [free_port(), free_port()]
    words = [program, "--kubeconfig", config, "--host=127.0.0.1", "--telemetry-host=127.0.0.1", "--port", str(ports[0]),
             "--telemetry-port", str(ports[1]), "--resources=deployments,replicasets,pods,horizontalpodautoscalers"]  # fmt: skip
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            cluster.wait_answers(f"http://127.0.0.1:{ports[0]}/healthz")
            yield {"job_name": "kube-state-metrics", "honor_labels": True,
                   "static_configs": [{"targets": [f"127.0.0.1:{ports[0]}"]}]}  # fmt: skip
        finally:
            process.terminate()


def rules(folder, values=VALUES):
    """The chart's, as the operator hands them on."""
    shown = cluster.helm(f"template podsense {cluster.CHART} -n {NAMESPACE} --set {values} -s templates/prometheusrule.yaml")
    path = pathlib.Path(folder, "rules.yaml")
    path.write_text(json.dumps(yaml.safe_load(shown.stdout)["spec"]), "utf-8")
    return path


def asked():
    """(dashboard, panel, query) of what this cluster has."""
    for file in panels.DASHBOARDS:
        board = json.loads(file.read_text("utf-8"))
        for where, query in panels.queries(board, kind="prometheus"):
            filled = panels.filled_in(board, query)
            if not panels.foreign(query) & ABSENT and not any(part in filled for part in ELSEWHERE):
                yield file.stem, where, filled


def panels_have_data(context):
    """Every panel of what runs here has data: PodSense, Envoy, Traefik's Ingress and routes, the kubelet, kube-state-metrics."""
    with ingress.controller() as url, cluster.namespace(NAMESPACE), tempfile.TemporaryDirectory() as folder:
        ingress.make_gateway(NAMESPACE)
        # The CRDs of the operator are not here: its objects are rendered, not applied.
        values = re.sub(r",metrics.*", "", VALUES)
        cluster.helm_install("podsense", NAMESPACE, "--set", values)
        cluster.wait_answers(f"{url}/readyz", "-H", "Host: ingress.test")
        cluster.wait_answers(f"{url}/readyz", "-H", "Host: gateway.test")
        component = "-l app.kubernetes.io/component="
        scraped = [
            targets("podsense", NAMESPACE, 8000, selector=f"{component}server"),
            targets("podsense-envoy", NAMESPACE, 9902, "/stats/prometheus", f"{component}envoy"),
            targets("traefik", "traefik", 9100),
        ]
        with contextlib.ExitStack() as stack:
            scraped += [stack.enter_context(cadvisor()), stack.enter_context(kube_state_metrics())]
            for host in ("ingress.test", "gateway.test"):
                stack.enter_context(rows(url, 5, "-H", f"Host: {host}"))
            server = scraped[0]["static_configs"][0]["targets"][0].replace("8000", "8080")
            for path in ("infer?cpu_ms=20", "predict/url?url=http://127.0.0.1:9/x.jpg", "nowhere"):
                stack.enter_context(load(f"http://{server}/{path}", 3))
            stack.enter_context(photos(f"http://{server}", 3, context.photo))
            seen = look(stack.enter_context(Prometheus({}, [rules(folder)], more=scraped)))
        kubectl("delete gatewayclass podsense-e2e --ignore-not-found")
        context.figures.add("dashboards", f"{seen} queries have data", "of what runs on the kit")


def look(prometheus):
    empty = dict.fromkeys(asked())

    def filled():
        for one in list(empty):
            if prometheus.values(one[2]):
                del empty[one]
        return not empty

    count = len(empty)
    try:
        cluster.wait_until(filled, "every panel has data", timeout=90)
    except Failure:
        raise Failure("without data: " + "\n".join(map(str, empty))) from None
    faults = [rule["name"] for group in prometheus.api("rules")["groups"] for rule in group["rules"] if rule.get("lastError")]
    firing = prometheus.api("query", query='ALERTS{alertstate="firing"}')["result"]
    if faults or firing:
        raise Failure(f"rules that cannot be evaluated: {faults}; alerts: {firing}")
    return count


@contextlib.contextmanager
def pods_as_they_come(folder):
    """The server's pods of the namespace, as the operator's monitors find them; Debian's Prometheus cannot ask the API itself."""
    path, stop = pathlib.Path(folder, "pods.json"), threading.Event()
    selector = f"-l {cluster.LABEL}"

    def follow():
        while True:
            found = [pod for pod in targets("", NAMESPACE, 8000, selector=selector)["static_configs"] if "None" not in pod["targets"][0]]
            path.with_suffix(".new").write_text(json.dumps(found), "utf-8")
            path.with_suffix(".new").replace(path)
            if stop.wait(0.5):
                return

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield {"job_name": "podsense", "file_sd_configs": [{"files": [str(path)], "refresh_interval": "1s"}]}
    finally:
        stop.set()
        thread.join()


def alerts_tell_the_truth(_):
    """In a real Prometheus: none after a scale to zero or an uninstall, one where pods are wanted and none can be."""
    on = ("autoscaling.enabled=false,replicaCount=1,resources.requests.cpu=50m,networkPolicy.enabled=false,metrics.prometheusRule.enabled=true,"
          "metrics.serviceMonitor.enabled=true,metrics.prometheusRule.rules.PodSenseNoPodReady.for=3s")
    with cluster.namespace(NAMESPACE), tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        cluster.helm_install("podsense", NAMESPACE, "--set", on.partition(",metrics")[0])
        scraped = [stack.enter_context(pods_as_they_come(folder)), stack.enter_context(kube_state_metrics())]
        prometheus = stack.enter_context(Prometheus({}, [rules(folder, on)], more=scraped))
        deployment = f"-n {NAMESPACE} scale deployment/podsense --replicas"
        replicas = 'kube_deployment_spec_replicas{deployment="podsense"}'
        firing = 'ALERTS{alertname="PodSenseNoPodReady",alertstate="firing"}'

        def see(query, what):
            cluster.wait_until(lambda: prometheus.values(query), what, timeout=60)

        def quiet(what):
            """For three times as long as the alert waits."""
            cluster.wait_until(lambda: prometheus.values("count(podsense_ready) or vector(0)") == [0], "no pod is scraped")
            pause(10)
            if prometheus.values(f"count_over_time({firing}[9s])"):
                raise Failure(f"{what}: it says that no pod is ready")

        see("podsense_job:ready_pods:sum == 1", "a pod that is ready")
        see("podsense_deployment:info", "whose Deployment it is")
        kubectl(f"{deployment}=0")
        see(f"{replicas} == 0", "a scale to zero")
        quiet("scaled to zero")
        kubectl(f"-n {NAMESPACE} set image deployment/podsense podsense=nowhere.invalid/podsense:0")
        kubectl(f"{deployment}=1")
        see(firing, "an alert, since a pod is wanted and cannot start")
        cluster.helm(f"uninstall podsense -n {NAMESPACE} --wait --timeout 120s")
        see(f"absent({replicas})", "the end of the Deployment")
        cluster.wait_until(lambda: not prometheus.values(firing), "the end of the alert", timeout=60)
        quiet("uninstalled")


SCENARIOS = ((panels_have_data, False), (alerts_tell_the_truth, False))
