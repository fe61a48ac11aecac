"""Ingress of class nginx and Gateway API routes through Traefik; the platform preset: ingress → Envoy → gRPC."""

import contextlib
import json
import os
import pathlib
import tempfile

import cluster
from cluster import Failure, fetch, kubectl, run, wait_answers, wait_until
from disruption import pause
from install import both_models_answer
from load import ROW, load, require_no_failure, rows

PORT = 30080
TRAEFIK = "v3.6.12"
GATEWAY_API = "v1.4.0"  # the one that this Traefik was built with


def module(path, version):
    """The folder of a Go module as its proxy has it."""
    go = cluster.output("scripts/go-tool.sh --go")
    done = run([go, "mod", "download", "-json", f"{path}@{version}"], check=False)
    if done.returncode != 0:
        raise Failure(f"cannot get {path}: {done.stderr[-500:]}")
    return pathlib.Path(json.loads(done.stdout)["Dir"])


def gateway_crds():
    """The standard channel's custom resources, from the Go module that publishes them."""
    return module("sigs.k8s.io/gateway-api", GATEWAY_API) / "config/crd/standard"


def traefik_image():
    """Its name on the nodes. The kit brings a build of its own; elsewhere it is pulled."""
    packed = sorted((cluster.kit() / "prebuilt").glob("traefik-*.zst"))
    if cluster.platform() != "kit" or not packed:
        return f"docker.io/library/traefik:{TRAEFIK}"
    with tempfile.TemporaryDirectory() as folder:
        program = pathlib.Path(folder, "traefik")
        run(["zstd", "-qd", str(packed[-1]), "-o", str(program)])
        program.chmod(0o755)
        return cluster.kit_image("podsense-e2e/traefik:1", program)


@contextlib.contextmanager
def controller():
    """Traefik, ready, and its URL; gone afterwards."""
    crds = [str(path) for path in sorted(gateway_crds().glob("gateway.networking.k8s.io_*.yaml"))]
    for path in crds:
        run(["kubectl", "apply", "--server-side", "-f", path])
    manifest = (cluster.ROOT / "tests/e2e/traefik.yaml").read_text("utf-8")
    image = traefik_image()
    run(["kubectl", "apply", "-f", "-"], stdin=manifest.replace("image: traefik  #", f"image: {image}  #"))
    try:
        cluster.wait_rollout("traefik", "traefik")
        yield f"{cluster.node_url()}:{PORT}"
    finally:
        if not os.environ.get("E2E_KEEP"):
            run(["kubectl", "delete", "--ignore-not-found", "-f", "-"], stdin=manifest, check=False)
            for path in crds:
                run(["kubectl", "delete", "--ignore-not-found", "-f", path], check=False)


def ingress_of_class_nginx(context):
    """The ingress preset through Traefik: both models answer; which of its limits are honoured is reported."""
    with controller() as url, cluster.namespace("podsense") as name:
        cluster.helm_install("podsense", name, "-f", f"{cluster.CHART}/values-ingress.yaml",
                             "--set", "autoscaling.enabled=false,replicaCount=2,resources.requests.cpu=100m")
        wait_answers(f"{url}/readyz")
        both_models_answer(url, context.photo)
        status, _ = fetch(f"{url}/metrics")
        if status == 200:
            raise Failure("/metrics answers outside")
        with rows(url, 50) as under:
            kubectl(f"-n {name} rollout restart deployment/podsense")
            cluster.wait_rollout(name, "podsense")
            cluster.wait_ready(name, 2)
            pause(1)
            require_no_failure("rolling update behind the ingress", under, context.figures)
        honoured(context, url)


def honoured(context, url):
    """Limits of the Ingress's annotations, as this controller keeps them; the server keeps its own anyway."""
    with tempfile.NamedTemporaryFile(suffix=".bin") as large:
        large.truncate(11_000_000)
        status, body = fetch(f"{url}/predict", "-H", "Content-Type: image/jpeg", "--data-binary", f"@{large.name}", timeout=30)
    if status != 413:
        raise Failure(f"11 MB body: {status} {body[:200]}")
    by_server = "request_id" in body
    context.figures.add("ingress, body of 11 MB", "413", "by the server" if by_server else "by the controller")
    with load(f"{url}/readyz", 300) as under:
        pause(6)
        result = under.finish()
    refused = sum(count for code, count in result["status"].items() if code in ("429", "503"))
    context.figures.add("ingress, 300 requests/s where 100/s is the limit", f"{refused} of {result['sent']} refused",
                        "limit-rps is honoured" if refused else "limit-rps is not honoured by this controller")


def make_gateway(name):
    """One of Traefik's, in a namespace; its class has to be removed."""
    api = "gateway.networking.k8s.io/v1"
    cluster.apply([
        {"apiVersion": api, "kind": "GatewayClass", "metadata": {"name": "podsense-e2e"},
         "spec": {"controllerName": "traefik.io/gateway-controller"}},
        {"apiVersion": api, "kind": "Gateway", "metadata": {"name": "gateway", "namespace": name},
         "spec": {"gatewayClassName": "podsense-e2e", "listeners": [{"name": "web", "port": 8000, "protocol": "HTTP"}]}},
    ])  # fmt: skip


def gateway_routes(context):
    """HTTPRoute (and GRPCRoute) of the chart are accepted by a Gateway, and requests go through."""
    with controller() as url, cluster.namespace("podsense") as name:
        make_gateway(name)
        cluster.helm_install("podsense", name, "--set", "gateway.enabled=true,autoscaling.enabled=false,replicaCount=1,"
                             "networkPolicy.enabled=false,gateway.hostnames[0]=http.test,gateway.grpcHostnames[0]=grpc.test")

        def accepted(kind):
            found = cluster.items(f"{kind}.gateway.networking.k8s.io", name)
            return found and all(
                condition["status"] == "True"
                for route in found for parent in route.get("status", {}).get("parents", [{"conditions": [{"status": "False"}]}])
                for condition in parent["conditions"] if condition.get("type", "Accepted") == "Accepted"
            )

        for kind in ("httproutes", "grpcroutes"):
            wait_until(lambda kind=kind: accepted(kind), f"{kind} accepted")
        wait_answers(f"{url}/readyz", "-H", "Host: http.test")
        both_models_answer(url, context.photo, "-H", "Host: http.test")
        call_by_grpc(url.removeprefix("http://"), "grpc.test")
        kubectl("delete gatewayclass podsense-e2e --ignore-not-found")


def call_by_grpc(address, host):
    """A row for the forest as a gRPC client sends it, through the route of that host."""
    words = [cluster.output("scripts/go-tool.sh grpcurl"), "-plaintext", "-max-time", "20", "-authority", host,
             "-import-path", "proto", "-import-path", "proto/third_party", "-proto", "podsense/v1/inference.proto",
             "-d", ROW, address, "podsense.v1.InferenceService/Infer"]
    said = {}

    def answered():
        done = run(words, check=False)
        said["last"] = done.stdout + done.stderr
        return done.returncode == 0 and json.loads(done.stdout)["model"] == "random-forest"

    wait_until(answered, f"a gRPC call to {host} is answered ({said.get('last')})", timeout=30)


SCENARIOS = ((ingress_of_class_nginx, False), (gateway_routes, False))
