"""What Prometheus sees of the cluster: panels of the dashboards have data of what runs, rules can be evaluated."""

import contextlib
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import cluster
import ingress
import yaml
from cluster import Failure, kubectl
from load import load, photos, rows

sys.path[:0] = [str(cluster.ROOT / name) for name in ("tests/monitoring", "tests/integration")]
import panels  # noqa: E402
from prometheus import Prometheus  # noqa: E402

NAMESPACE = "podsense"  # as the dashboards' tests call everything
# What the kit's cluster does not have; test_live has their recorded series.
ABSENT = {"kube-state-metrics", "ingress-nginx", "cert-manager", "tls.secretName"}
# Envoy Gateway's routes, and what need not happen while somebody looks.
ELSEWHERE = ("route/", "changes(", 'result="ok"')
VALUES = ("envoy.enabled=true,ingress.enabled=true,ingress.className=nginx,ingress.hosts[0].host=ingress.test,"
          "ingress.hosts[0].paths[0].path=/,ingress.hosts[0].paths[0].pathType=Prefix,gateway.enabled=true,"
          "gateway.hostnames[0]=gateway.test,gateway.grpcHostnames[0]=grpc.test,autoscaling.enabled=false,"
          "replicaCount=1,envoy.replicas=1,networkPolicy.enabled=false,metrics.prometheusRule.enabled=true,"
          "metrics.serviceMonitor.enabled=true")


def targets(job, namespace, port, path="/metrics", selector=""):
    """Pods as the Prometheus Operator labels them."""
    found = [
        {"targets": [f"{pod['status']['podIP']}:{port}"],
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


def rules(folder):
    """The chart's, as the operator hands them on."""
    shown = cluster.helm(f"template podsense {cluster.CHART} -n {NAMESPACE} --set {VALUES} -s templates/prometheusrule.yaml")
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
    """Every panel of what runs here has data: PodSense, its Envoy, Traefik's Ingress and routes, the kubelet."""
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
            scraped.append(stack.enter_context(cadvisor()))
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


SCENARIOS = ((panels_have_data, False),)
