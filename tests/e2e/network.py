"""What NetworkPolicies let through and what not, by trying: from pods of several namespaces in, from the server out."""

import json
import re

import cluster
from cluster import Failure, fetch, kubectl, wait_until

NAMESPACE = "podsense"
OTHER = "podsense-other"
TARGET = f"target.{OTHER}.svc.cluster.local"
# Ports of the target's containers: one that the values may name for traces, two for URLs, one that nobody names.
TRACES, URLS, MORE_URLS, NOWHERE = 4318, 80, 8443, 9999


def container(number, port):
    """A server whose counters tell whether it was reached."""
    return {
        "name": f"on-{port}", "image": cluster.image(), "imagePullPolicy": "IfNotPresent",
        "args": ["serve", "--models=/models", "--only-models=simulated", f"--http-port={port}", f"--admin-port={8000 + number}",
                 "--no-grpc"],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": 8000 + number}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}},
        "securityContext": {"runAsUser": 0},
    }  # fmt: skip


def make_target():
    ports = (TRACES, URLS, MORE_URLS, NOWHERE)
    cluster.apply([
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "target", "namespace": OTHER, "labels": {"app": "target"}},
         "spec": {"containers": [container(number, port) for number, port in enumerate(ports)]}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "target", "namespace": OTHER},
         "spec": {"selector": {"app": "target"}, "ports": [{"name": f"on-{port}", "port": port} for port in ports]}},
    ])  # fmt: skip
    wait_until(lambda: cluster.is_ready(cluster.get("pod target", OTHER)), "the target is ready")
    address = cluster.get("pod target", OTHER)["status"]["podIP"]
    return {port: f"http://{address}:{8000 + number}/metrics" for number, port in enumerate(ports)}, address


def reached(metrics):
    """How many requests came to the target's port, by its own count."""
    _, text = fetch(metrics)
    return sum(float(value) for value in re.findall(r'^podsense_requests_total\{.*model="".*\} (\S+)$', text, re.MULTILINE))


def check(namespace, url):
    """Whether a pod of this namespace is answered there."""
    spec = {"restartPolicy": "Never", "containers": [{
        "name": "check", "image": cluster.image(), "imagePullPolicy": "IfNotPresent", "args": ["check", url, "--timeout=3s"]}]}  # fmt: skip
    kubectl(f"delete pod check -n {namespace} --ignore-not-found --grace-period=0 --force", check=False)
    cluster.apply([{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "check", "namespace": namespace}, "spec": spec}])

    def ended():
        phase = cluster.get("pod check", namespace)["status"].get("phase")
        return phase if phase in ("Succeeded", "Failed") else None

    return wait_until(ended, f"the check of {url} ends", timeout=60) == "Succeeded"


def expect(what, got, wanted):
    if got != wanted:
        raise Failure(f"{what}: {'let through' if got else 'held back'}, and should be {'let through' if wanted else 'held back'}")


def install(*more):
    values = "autoscaling.enabled=false,replicaCount=1,resources.requests.cpu=50m"
    cluster.helm_install("podsense", NAMESPACE, "--set", values, *more)
    (pod,) = cluster.wait_until(lambda: [p for p in cluster.pods(NAMESPACE) if cluster.is_ready(p)], "a ready pod")
    return f"http://{pod['status']['podIP']}:8080"


def who_may_come_in(_):
    """HTTP from everywhere, then from the chosen namespace alone; the admin port from the namespaces of release and monitoring."""
    http, admin = (f"http://podsense.{NAMESPACE}.svc:{port}/readyz" for port in (80, 8000))
    with cluster.namespace(NAMESPACE), cluster.namespace(OTHER), cluster.namespace("monitoring"):
        install()
        for namespace, url, wanted in ((OTHER, http, True), (OTHER, admin, False), ("monitoring", admin, True), (NAMESPACE, admin, True)):
            expect(f"{url} from {namespace}", check(namespace, url), wanted)
        chosen = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": OTHER}}}
        install("--set-json", f"networkPolicy.ingress.from=[{json.dumps(chosen)}]")
        for namespace, wanted in ((OTHER, True), ("monitoring", False)):
            expect(f"{http} from {namespace}, one of them chosen", check(namespace, http), wanted)


def what_may_go_out(_):
    """Traces and URLs reach what the values name; what they do not name, or the server alone knows of, is held back."""
    with cluster.namespace(NAMESPACE), cluster.namespace(OTHER):
        metrics, address = make_target()

        def goes(server, port, send):
            before = reached(metrics[port])
            send(server)
            try:
                return bool(wait_until(lambda: reached(metrics[port]) > before, "a request", timeout=8))
            except Failure:
                return False

        def ask_url(port):
            picture = f"http://{address}:{port}/nothing.jpg"  # names of the cluster are refused by the server itself
            return lambda server: fetch(f"{server}/predict/url", "-H", "Content-Type: application/json", "-d",
                                        json.dumps({"url": picture}), timeout=20)  # fmt: skip

        def trace(server):
            fetch(f"{server}/infer?cpu_ms=1", "-H", "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")

        ports = f"{URLS},{MORE_URLS},{NOWHERE}"
        named = {"tracing": {"endpoint": f"http://{TARGET}:{TRACES}"}, "fetch": {"allow_cidrs": [address], "ports": [URLS, MORE_URLS]}}
        server = install("--set-json", f"config={json.dumps(named)}")
        for what, port, send in (("traces", TRACES, trace), ("a URL", URLS, ask_url(URLS)), ("a URL", MORE_URLS, ask_url(MORE_URLS))):
            expect(f"{what}, port {port}, named by the values", goes(server, port, send), True)
        # The same settings by a way that the chart does not see: the server wants to go there, the policy does not let it.
        cluster.apply([{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "unseen", "namespace": NAMESPACE}, "stringData": {
            "PODSENSE_OTLP_ENDPOINT": f"http://{TARGET}:{TRACES}", "PODSENSE_FETCH_ALLOW_CIDRS": address, "PODSENSE_FETCH_PORTS": ports}}])  # fmt: skip
        unseen = ("--set-json", "config={}", "--set", "envFrom[0].secretRef.name=unseen")
        server = install(*unseen)
        for what, port, send in (("traces", TRACES, trace), ("a URL", URLS, ask_url(URLS)), ("a URL", NOWHERE, ask_url(NOWHERE))):
            expect(f"{what}, port {port}, not named by the values", goes(server, port, send), False)
        server = install(*unseen, "--set", "networkPolicy.enabled=false")
        expect("a URL without a policy", goes(server, NOWHERE, ask_url(NOWHERE)), True)


def no_way_to_the_admin_port_from_outside(_):
    """By a NodePort Service, neither metrics nor reload are reached from outside the cluster."""
    with cluster.namespace(NAMESPACE):
        cluster.helm_install("podsense", NAMESPACE, "-f", f"{cluster.CHART}/values-nodeport.yaml", "--set",
                             "envoy.enabled=true,envoy.serviceType=NodePort,networkPolicy.enabled=false")  # fmt: skip
        node, seen = cluster.node_url(), 0
        for service in cluster.items("services", NAMESPACE):
            for port in service["spec"]["ports"]:
                if "nodePort" not in port:
                    continue
                seen += 1
                for path, method in (("metrics", "GET"), ("v1/reload", "POST"), ("stats/prometheus", "GET"), ("loglevel", "GET")):
                    status, body = fetch(f"{node}:{port['nodePort']}/{path}", "-X", method)
                    if status == 200:
                        raise Failure(f"{method} /{path} of {service['metadata']['name']} answers outside: {body[:200]}")
        if seen < 2:
            raise Failure("no node ports to try")


SCENARIOS = ((who_may_come_in, False), (what_may_go_out, False), (no_way_to_the_admin_port_from_outside, False))
