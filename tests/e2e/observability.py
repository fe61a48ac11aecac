"""The platform as its picture draws it, with all that watches it: ingress → Envoy → gRPC; the Prometheus Operator's
Prometheus, Loki and an agent on each node. A request is found in all three by its ids; every panel has data."""

import contextlib
import json
import os
import re
import secrets
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import cluster
import dashboards
import ingress
import loki_values  # dashboards.py has put tests/monitoring on the path
import panels
import yaml
from cluster import Failure, fetch, kubectl, wait_until
from load import ROW, load, photos
from test_traces import spans_of_json
from transcoding import JSON, SERVERS

INGRESS, GATEWAY = ("-H", "Host: ingress.test"), ("-H", "Host: gateway.test")
NAMESPACE, AROUND = "ml-platform", "monitoring"
KUBELET = "prometheus-kube-prometheus-kubelet"
# What Envoy's and PodSense's monitors and rules need to be seen by a kube-prometheus-stack of release `prometheus`.
SEEN = ("metrics.serviceMonitor.enabled=true,metrics.serviceMonitor.labels.release=prometheus,"
        "metrics.prometheusRule.enabled=true,metrics.prometheusRule.labels.release=prometheus")
VALUES = (f"{SEEN},metrics.serviceMonitor.interval=2s,metrics.serviceMonitor.scrapeTimeout=2s,"
          f"config.tracing.endpoint=http://collector.{AROUND}.svc:4318,"
          "ingress.hosts[0].host=ingress.test,gateway.enabled=true,gateway.hostnames[0]=gateway.test,autoscaling.minReplicas=1,autoscaling.maxReplicas=2,"
          "envoy.replicas=1,resources.requests.cpu=100m")
# Where the cluster pulls: what the operator's module, the stack and the charts of the others run.
PUBLISHED = {
    "operator": "quay.io/prometheus-operator/prometheus-operator:v0.85.0",
    "reloader": "quay.io/prometheus-operator/prometheus-config-reloader:v0.85.0",
    "prometheus": "quay.io/prometheus/prometheus:v3.16.0",
    "kube-state-metrics": "registry.k8s.io/kube-state-metrics/kube-state-metrics:v2.15.0",
    "loki": "docker.io/grafana/loki:3.7.8",
    "collector": "docker.io/otel/opentelemetry-collector-k8s:0.160.0",
}


def script(line):
    """What a script that builds programs once prints; a first build takes a quarter of an hour, or more."""
    return cluster.output(line, timeout=3600)


def images():
    """Name in monitoring.yaml → image on the nodes. The kit's is made of what the project's scripts build."""
    if cluster.platform() != "kit":
        return PUBLISHED
    operator = script("scripts/prometheus-operator.sh")
    programs = {
        "operator": f"{operator}/operator",
        "reloader": f"{operator}/prometheus-config-reloader",
        "prometheus": script("scripts/go-tool.sh prometheus"),
        "kube-state-metrics": script("scripts/kube-state-metrics.sh"),
        "loki": f"{script('scripts/loki.sh')}/loki",
        "collector": script("scripts/otel-collector.sh"),
    }
    return {name: cluster.kit_image(f"podsense-e2e/{name}:1", program) for name, program in programs.items()}


def values(name):
    return yaml.safe_load((cluster.ROOT / "monitoring" / f"values-{name}.yaml").read_text("utf-8"))


def collector_configuration():
    """The one for users, but that traces go to standard output, as lines of JSON."""
    config = values("otel-collector")["config"]
    config["receivers"] = {name: one for name, one in config["receivers"].items() if one is not None}
    pipelines = config["service"]["pipelines"] = {name: one for name, one in config["service"]["pipelines"].items() if one is not None}
    del config["exporters"]["otlphttp/traces"]
    config["exporters"]["file"] = {"path": "/dev/stdout"}
    pipelines["traces"]["exporters"] = ["file"]
    return config


def config_map(name, content):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": AROUND},
            "data": {f"{name}.yaml": json.dumps(content)}}  # fmt: skip


def objects():
    """monitoring.yaml, filled in from the values that users have."""
    text = (cluster.ROOT / "tests/e2e/monitoring.yaml").read_text("utf-8")
    for name, image in images().items():
        text = text.replace(f"podsense-e2e/{name}:1", image)
    found = list(yaml.safe_load_all(text))
    of = {(one["kind"], one["metadata"]["name"]): one for one in found}
    spec = values("kube-prometheus-stack")["prometheus"]["prometheusSpec"]
    # Its selectors are left as the stack has them by default, which is stricter.
    wanted = {name: value for name, value in spec.items() if not name.endswith("NilUsesHelmValues")}
    of["Prometheus", "prometheus"]["spec"] |= wanted | {"scrapeInterval": "5s", "evaluationInterval": "5s"}
    agent = values("otel-collector")
    of["ClusterRole", "podsense-e2e-collector"]["rules"] = agent["clusterRole"]["rules"]
    pod = of["DaemonSet", "collector"]["spec"]["template"]["spec"]
    pod["securityContext"] = agent["podSecurityContext"]
    pod["volumes"] += agent["extraVolumes"]
    container = pod["containers"][0]
    container |= {"env": agent["extraEnvs"], "resources": agent["resources"]}
    container["volumeMounts"] += agent["extraVolumeMounts"]
    loki = loki_values.configuration("/loki", "0.0.0.0", 3100, 9095, 7946)
    return [config_map("loki", loki), config_map("collector", collector_configuration()), *found]


@contextlib.contextmanager
def watched():
    """The stack, ready; gone afterwards, with its custom resources."""
    crds = sorted(Path(script("scripts/prometheus-operator.sh"), "crds").glob("*.yaml"))
    made = objects()
    try:
        with cluster.namespace(AROUND), cluster.telling_why(AROUND):
            for path in crds:
                kubectl(f"apply --server-side -f {path}")
            for path in crds:
                kubectl(f"wait --for=condition=Established --timeout=60s -f {path}")
            cluster.apply(made)
            for name in ("operator", "kube-state-metrics", "loki"):
                cluster.wait_rollout(AROUND, name)
            kubectl(f"-n {AROUND} rollout status daemonset/collector --timeout=120s")
            cluster.wait_ready(AROUND, 1, "operator.prometheus.io/name=prometheus")
            yield
    finally:
        if not os.environ.get("E2E_KEEP"):
            kubectl("delete clusterrole,clusterrolebinding --ignore-not-found " + " ".join(
                f"podsense-e2e-{name}" for name in ("operator", "prometheus", "kube-state-metrics", "collector")), check=False)
            kubectl(f"-n kube-system delete service,endpoints {KUBELET} --ignore-not-found", check=False)
            for path in crds:
                kubectl(f"delete --ignore-not-found --timeout=60s -f {path}", check=False)


class Api:
    """An HTTP API of a Service in the cluster, through the API server."""

    def __init__(self, proxy, service, prefix):
        self.url = f"{proxy}/api/v1/namespaces/{AROUND}/services/{service}/proxy{prefix}"

    def ask(self, path, **parameters):
        try:
            with urllib.request.urlopen(f"{self.url}/{path}?{urllib.parse.urlencode(parameters)}", timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise Failure(f"{path} {parameters}: {error.code} {error.read().decode()[:500]}") from None


class Prometheus(Api):
    def values(self, query):
        """Of an instant query, those that are numbers."""
        found = [float(one["value"][1]) for one in self.ask("query", query=query)["result"]]
        return [value for value in found if value == value]


class Loki(Api):
    def values(self, query):
        """Streams or series of the last quarter of an hour."""
        now = int(time.time())
        return self.ask("query_range", query=query, start=now - 900, end=now + 60, step=60, limit=1000)["result"]


@contextlib.contextmanager
def stores():
    """Prometheus' and Loki's APIs."""
    with subprocess.Popen(["kubectl", "proxy", "--port=0"], stdout=subprocess.PIPE, text=True) as proxy:
        try:
            url = "http://" + re.search(r"[0-9.]+:[0-9]+", proxy.stdout.readline()).group()
            yield Prometheus(url, "prometheus-operated:9090", "/api/v1"), Loki(url, "loki-gateway:80", "/loki/api/v1")
        finally:
            proxy.terminate()


def chosen(board, prometheus):
    """Variables with all their values, as Grafana gets them from Prometheus; those with a value for All have that."""
    found = {}
    for variable in board["templating"]["list"]:
        if variable["type"] != "query" or variable["allValue"]:
            continue
        query = panels.filled_in(board, variable["query"]["query"], chosen=found)
        series, label = re.fullmatch(r"label_values\((.+), (\w+)\)", query).groups()
        names = wait_until(lambda s=series, n=label: prometheus.ask(f"label/{n}/values", **{"match[]": s}), f"{label} of {series}")
        part = re.compile(variable.get("regex", "").strip("/") or "(.*)")
        # As Grafana writes several for =~.
        found[variable["name"]] = "(" + "|".join(sorted({match.group(1) for match in map(part.match, names) if match})) + ")"
    return found


def asked(prometheus, loki):
    """(dashboard, panel, query, who answers) of every query of every dashboard, but of what this cluster does not have:
    those panels say what they need."""
    for file in panels.DASHBOARDS:
        board = json.loads(file.read_text("utf-8"))
        values_now = chosen(board, prometheus)
        for kind, store in (("prometheus", prometheus), ("loki", loki)):
            for where, query in panels.queries(board, kind=kind):
                filled = panels.filled_in(board, query, chosen=values_now)
                if not panels.foreign(query) & dashboards.ABSENT and not any(part in filled for part in dashboards.ELSEWHERE):
                    yield file.stem, where, filled, store


def every_panel_has_data(context, prometheus, loki, timeout=240):
    empty = list(asked(prometheus, loki))
    count = len(empty)

    def filled():
        empty[:] = [one for one in empty if not one[3].values(one[2])]
        return not empty

    try:
        wait_until(filled, "every panel has data", timeout, pause=2)
    except Failure:
        raise Failure("without data: " + "\n".join(str(one[:3]) for one in empty)) from None
    context.figures.add("dashboards over the operator's Prometheus and Loki", f"{count} queries have data")


def rules_are_evaluated(prometheus):
    """Those of the chart's PrometheusRule, without a fault, and nothing fires."""
    found = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
    faults = [rule["name"] for rule in found if rule.get("lastError")]
    firing = prometheus.ask("query", query='ALERTS{alertstate="firing"}')["result"]
    if not found or faults or firing:
        raise Failure(f"{len(found)} rules; those that cannot be evaluated: {faults}; alerts: {firing}")


def one_line(loki, query, what):
    """The labels and metadata, and the text, of the one line that a query finds."""
    streams = wait_until(lambda: loki.values(query), f"{what} in Loki: {query}", timeout=60)
    lines = [(one["stream"], text) for one in streams for _, text, *_ in one["values"]]
    if len(lines) != 1:
        raise Failure(f"{query} finds {lines}, not one line")
    return lines[0]


def traces():
    """The spans that the collector has written."""
    said = kubectl(f"-n {AROUND} logs daemonset/collector --tail=-1").stdout
    return [span for line in said.splitlines() if line.startswith('{"resourceSpans"') for span in spans_of_json(json.loads(line))]


def has_exemplar(prometheus, trace):
    now = int(time.time())
    found = prometheus.ask("query_exemplars", query="podsense_request_seconds_bucket", start=now - 900, end=now + 60)
    return [one["seriesLabels"] for one in found for exemplar in one["exemplars"] if exemplar["labels"].get("trace_id") == trace]


def found_by_its_ids(context, url, prometheus, loki):
    """Good and bad requests through the ingress are found in metrics, logs and traces by request id and trace id."""
    for name, body, status in (("good", ROW, 200), ("bad", '{"features": [1, 2]}', 400)):
        request, trace = f"e2e-{name}-{secrets.token_hex(6)}", secrets.token_hex(16)
        headers = ("-H", f"X-Request-Id: {request}", "-H", f"traceparent: 00-{trace}-b7ad6b7169203331-01", *INGRESS)
        got, text = fetch(f"{url}/v1/infer", *JSON, *headers, "-d", body)
        if got != status or json.loads(text)["request_id"] != request:
            raise Failure(f"/v1/infer with X-Request-Id {request}: {got} {text[:300]}")
        labels, line = one_line(loki, f'{{app="podsense", container="grpc-server"}} | request_id="{request}"', "the server's line")
        wanted = {"namespace": NAMESPACE, "container": "grpc-server", "event": "request", "request_id": request, "trace_id": trace,
                  "code": "OK" if status == 200 else "INVALID_ARGUMENT"}
        if not wanted.items() <= labels.items() or labels.get("pod") not in cluster.ready_pods(NAMESPACE, SERVERS) or "level" not in labels:
            raise Failure(f"labels and metadata of {line}: {labels}; expected {wanted}")
        if json.loads(line)["request_id"] != request:
            raise Failure(f"the line has been changed: {line}")
        one_line(loki, f'{{app="podsense", container="grpc-server"}} | trace_id="{trace}"', "the line of the trace")
        if status >= 400:  # of answers below 400 Envoy logs one in a hundred
            one_line(loki, f'{{namespace="{NAMESPACE}", container="envoy"}} |= "{request}"', "Envoy's line")
        # Latencies are of requests that were answered with a result; the others are counted by their code.
        counted = f'sum(podsense_requests_total{{namespace="{NAMESPACE}", code="{wanted["code"]}"}}) > 0'
        wait_until(lambda q=counted: prometheus.values(q), counted, timeout=60)
        if status == 200:
            wait_until(lambda t=trace: has_exemplar(prometheus, t), f"an exemplar of trace {trace} in Prometheus", timeout=60)
        spans = wait_until(lambda wanted=trace: [span for span in traces() if span.trace == wanted], f"trace {trace} at the collector", timeout=60)
        if request not in {span.attributes.get("podsense.request_id") for span in spans}:
            raise Failure(f"spans of {trace}: {[(span.name, span.attributes) for span in spans]}")
    context.figures.add("a request through ingress, Envoy and gRPC", "found by its ids", "in metrics, logs and traces")


def monitors_are_taken_up(prometheus):
    """Both ServiceMonitors' targets and the stack's own are scraped."""
    for job in ("grpc-server", "envoy"):
        query = f'up{{namespace="{NAMESPACE}", job="{job}"}} == 1'
        wait_until(lambda q=query: prometheus.values(q), f"{query} in Prometheus", timeout=120)
    for job in ("kubelet", "kube-state-metrics", "traefik/traefik"):
        wait_until(lambda j=job: prometheus.values(f'up{{job="{j}"}} == 1'), f"{job} is scraped", timeout=120)


@contextlib.contextmanager
def everything_happens(context, url):
    """Requests of every kind: through the ingress and the Gateway, and to a server's own port what Envoy does not pass on."""
    with contextlib.ExitStack() as stack:
        for host in (INGRESS, GATEWAY):
            stack.enter_context(load(f"{url}/v1/infer", 5, "-m", "POST", "-T", "application/json", "-d", ROW, *host))
        server = f"http://{cluster.pods(NAMESPACE, SERVERS)[0]['status']['podIP']}:8080"
        for path in ("infer?cpu_ms=20", "predict/url?url=http://127.0.0.1:9/x.jpg", "nowhere"):
            stack.enter_context(load(f"{server}/{path}", 3))
        stack.enter_context(photos(server, 3, context.photo))
        yield


def platform_is_watched(context):
    """The platform preset with the Prometheus Operator, Loki and an agent: ids in all three, every panel, every rule."""
    with ingress.controller() as url, watched(), cluster.namespace(NAMESPACE):
        ingress.make_gateway(NAMESPACE)
        try:
            cluster.helm_install("platform", NAMESPACE, "-f", f"{cluster.CHART}/values-platform.yaml", "--set", VALUES)
            for host in (INGRESS, GATEWAY):
                cluster.wait_answers(f"{url}/readyz", *host)
            with stores() as (prometheus, loki):
                monitors_are_taken_up(prometheus)
                found_by_its_ids(context, url, prometheus, loki)
                with everything_happens(context, url):
                    every_panel_has_data(context, prometheus, loki)
                rules_are_evaluated(prometheus)
        finally:
            kubectl("delete gatewayclass podsense-e2e --ignore-not-found", check=False)


SCENARIOS = ((platform_is_watched, False),)
