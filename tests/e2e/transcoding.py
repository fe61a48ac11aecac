"""The platform preset as its picture draws it: ingress → Envoy → gRPC pods, JSON on the outside."""

import base64
import json
import time

import cluster
import ingress
from cluster import Failure, fetch, kubectl, wait_answers
from disruption import pause
from load import ROW, load, require_no_failure

NAMESPACE = "ml-platform"
SERVERS, ENVOY = "app.kubernetes.io/component=server", "app.kubernetes.io/component=envoy"
JSON = ("-H", "Content-Type: application/json")
ROWS_PER_SECOND, PHOTOS_PER_SECOND, SLOW_PER_SECOND = 30, 3, 2


def answers_json(context, url):
    """A photograph and a row through /v1/infer; a bad row is refused as the servers' own port refuses it."""
    body = context.folder / "photo.json"
    body.write_text(json.dumps({"image": base64.b64encode(context.photo.read_bytes()).decode()}), "utf-8")
    status, text = fetch(f"{url}/v1/infer", *JSON, "--data-binary", f"@{body}")
    expected = int(context.photo.stem.rsplit("_", 1)[1])
    if status != 200 or json.loads(text)["predictions"][0]["class"] != expected:
        raise Failure(f"/v1/infer of {context.photo.name}: {status} {text[:300]}; expected class {expected}")
    status, text = fetch(f"{url}/v1/infer", *JSON, "-d", ROW)
    if status != 200 or json.loads(text)["model"] != "random-forest" or len(json.loads(text)["probabilities"]) != 2:
        raise Failure(f"/v1/infer of a row: {status} {text[:300]}")
    status, text = fetch(f"{url}/v1/infer", *JSON, "-d", '{"features": [1, 2]}')
    if status != 400 or json.loads(text).get("code") != "INVALID_ARGUMENT" or not json.loads(text).get("request_id"):
        raise Failure(f"/v1/infer of a short row: {status} {text[:300]}")
    return body


def count_by_protocol(namespace):
    """{protocol: requests that /v1/infer takes}, summed over the pods' own metrics."""
    counts = {}
    for pod in cluster.ready_pods(namespace, SERVERS):
        text = kubectl(f"get --raw /api/v1/namespaces/{namespace}/pods/{pod}:8000/proxy/metrics").stdout
        for line in text.splitlines():
            if line.startswith("podsense_requests_total{") and ('model="random-forest"' in line or 'model="efficientnet' in line):
                protocol = line.split('protocol="', 1)[1].split('"', 1)[0]
                counts[protocol] = counts.get(protocol, 0) + float(line.split("}")[1].split()[0])
    return counts


TRACE = "0af7651916cd43dd8448eb211c80319c"


def lines_with(namespace, selector, text):
    """Lines of the pods' logs that hold a text, as objects."""
    found = []
    for pod in cluster.ready_pods(namespace, selector):
        found += [line for line in kubectl(f"-n {namespace} logs {pod}").stdout.splitlines() if text in line]
    return [json.loads(line) for line in found]


def found_by_its_id(context, url):
    """A request and a refused one through the ingress: answer, the server's log and Envoy's name it alike, and its trace."""
    for name, body, status in (("good", ROW, 200), ("bad", '{"features": [1, 2]}', 400)):
        wanted = f"e2e-{name}-{int(time.time() * 1000)}"
        headers = ("-H", f"X-Request-Id: {wanted}", "-H", f"traceparent: 00-{TRACE}-b7ad6b7169203331-01")
        got, text = fetch(f"{url}/v1/infer", *JSON, *headers, "-d", body)
        if got != status or json.loads(text)["request_id"] != wanted:
            raise Failure(f"/v1/infer with X-Request-Id {wanted}: {got} {text[:300]}")
        (line,) = cluster.wait_until(lambda w=wanted: lines_with(NAMESPACE, SERVERS, w), f"{wanted} in the servers' logs", timeout=20)
        if line["server"] != "grpc" or TRACE not in line.get("trace", "") + line.get("trace_id", ""):
            raise Failure(f"the server's line of {wanted}: {line}")
        # Of answers below 400 Envoy logs one in a hundred.
        if status >= 400:
            cluster.wait_until(lambda w=wanted: lines_with(NAMESPACE, ENVOY, w), f"{wanted} in Envoy's log", timeout=20)
    context.figures.add("a request through ingress, Envoy and gRPC", "found by its id", "answer, server's log with its trace, Envoy's log")


def went_by_grpc(namespace):
    counts = count_by_protocol(namespace)
    if not counts.get("grpc") or counts.get("http"):
        raise Failure(f"requests reached the servers by {counts}, not by gRPC alone")


def roll(namespace, *deployments):
    for deployment in deployments:
        kubectl(f"-n {namespace} rollout restart deployment/{deployment}")
        cluster.wait_rollout(namespace, deployment)


def no_request_fails(context, what, url, body, change):
    """Rows and photographs as JSON come in while `change` goes on, and requests slow enough that one is under
    way whenever an Envoy ends; all are answered."""
    with (load(f"{url}/v1/infer", ROWS_PER_SECOND, "-m", "POST", "-T", "application/json", "-d", ROW) as few,
          load(f"{url}/v1/infer", PHOTOS_PER_SECOND, "-m", "POST", "-T", "application/json", "-D", str(body)) as large,
          load(f"{url}/infer?cpu_ms=100", SLOW_PER_SECOND) as slow):
        pause(2)
        change()
        pause(2)
        require_no_failure(f"{what}, rows", few, context.figures)
        require_no_failure(f"{what}, photos", large, context.figures)
        require_no_failure(f"{what}, slow", slow, context.figures)


def gone(namespace, selector, count):
    """Until those that drain have ended: the load has to outlast them."""
    cluster.wait_ready(namespace, count, selector)


def told_by_info():
    """The one address that info.sh prints for the ingress."""
    told = [line.split() for line in cluster.output("./info.sh").splitlines() if f"ingress {NAMESPACE}/envoy" in line]
    if len(told) != 1 or not told[0][0].startswith("http://"):
        raise Failure(f"info.sh about the ingress: {told}")
    return told[0][0]


def platform_overlay(context):
    """The overlay `platform` through Traefik: JSON in, JSON out, gRPC between; pods and Envoy are updated under load."""
    cluster.remove_namespace(NAMESPACE)
    with ingress.controller():
        kubectl("apply -k k8s/overlays/platform")
        try:
            for deployment in ("grpc-server", "envoy"):
                cluster.wait_rollout(NAMESPACE, deployment)
            url = told_by_info()
            wait_answers(f"{url}/readyz")
            body = answers_json(context, url)
            found_by_its_id(context, url)
            went_by_grpc(NAMESPACE)

            def update():
                roll(NAMESPACE, "grpc-server", "envoy")
                gone(NAMESPACE, SERVERS, 2)
                gone(NAMESPACE, ENVOY, 2)

            no_request_fails(context, "platform, update of servers and of Envoy", url, body, update)
            went_by_grpc(NAMESPACE)
        finally:
            kubectl("delete -k k8s/overlays/platform --ignore-not-found --timeout=120s")
            cluster.remove_namespace(NAMESPACE)


def platform_chart(context):
    """The chart's preset without an ingress: `helm test`, then three updates of each, deletions, Envoy scaled."""
    with cluster.namespace("podsense-platform") as name:
        cluster.helm_install("platform", name, "-f", f"{cluster.CHART}/values-platform.yaml", "--set",
                             f"ingress.enabled=false,envoy.serviceType=NodePort,envoy.nodePort={cluster.NODE_PORT},autoscaling.enabled=false,"
                             "replicaCount=2,resources.requests.cpu=100m")
        url = f"{cluster.node_url()}:{cluster.NODE_PORT}"
        wait_answers(f"{url}/readyz")
        body = answers_json(context, url)
        cluster.helm(f"test platform -n {name} --timeout 120s")

        def change():
            for _ in range(3):
                roll(name, "grpc-server", "envoy")
            for selector in (SERVERS, ENVOY):
                kubectl(f"-n {name} delete pod {cluster.ready_pods(name, selector)[0]} --wait=false")
                gone(name, selector, 2)
            for count in (1, 3, 2):
                kubectl(f"-n {name} scale deployment envoy --replicas={count}")
                gone(name, ENVOY, count)

        no_request_fails(context, "platform, 3 updates, deletions, scaling of Envoy", url, body, change)
        went_by_grpc(name)


def envoy_as_sidecar(context):
    """Envoy as a native sidecar in each pod: JSON in, gRPC inside the pod; updates and a deletion under load."""
    with cluster.namespace("podsense-sidecar") as name:
        cluster.helm_install("podsense", name, "-f", f"{cluster.CHART}/ci/envoy-sidecar-values.yaml", "--set",
                             "metrics.podMonitor.enabled=false,autoscaling.enabled=false,replicaCount=2,resources.requests.cpu=100m")
        selector = cluster.get("service podsense", name)["spec"]["selector"]
        cluster.apply([{
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "envoy", "namespace": name},
            "spec": {"type": "NodePort", "selector": selector,
                     "ports": [{"port": 80, "targetPort": "envoy", "nodePort": cluster.NODE_PORT}]},
        }])
        url = f"{cluster.node_url()}:{cluster.NODE_PORT}"
        wait_answers(f"{url}/readyz")
        body = answers_json(context, url)
        went_by_grpc(name)

        def change():
            roll(name, "podsense")
            kubectl(f"-n {name} delete pod {cluster.ready_pods(name, SERVERS)[0]} --wait=false")
            gone(name, SERVERS, 2)

        no_request_fails(context, "sidecar, update and deletion", url, body, change)


SCENARIOS = ((platform_overlay, False), (platform_chart, False), (envoy_as_sidecar, False))
