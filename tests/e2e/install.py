"""Installed from nothing, in every way that the documentation names, and gone without a trace."""

import json

import cluster
from cluster import Failure, fetch, kubectl, wait_answers, wait_until
from load import ROW

NAMESPACE = "podsense"


def both_models_answer(url, photo, *headers):
    """A photograph through /predict, a row through /predict-single, the simulated model through /infer."""
    status, body = fetch(f"{url}/predict", *headers, "--data-binary", f"@{photo}", "-H", "Content-Type: image/jpeg")
    expected = int(photo.stem.rsplit("_", 1)[1])
    if status != 200 or json.loads(body)["predictions"][0]["class"] != expected:
        raise Failure(f"/predict of {photo.name}: {status} {body[:300]}; expected class {expected}")
    status, body = fetch(f"{url}/predict-single", *headers, "-H", "Content-Type: application/json", "-d", ROW)
    if status != 200 or json.loads(body)["model"] != "random-forest":
        raise Failure(f"/predict-single: {status} {body[:300]}")
    status, body = fetch(f"{url}/infer?cpu_ms=1", *headers)
    if status != 200:
        raise Failure(f"/infer: {status} {body[:300]}")


def seconds_to_ready(namespace):
    """From a pod's start by the kubelet to Ready, by the pod's own conditions, and from creation."""
    def when(text):
        import datetime

        return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))

    pod = cluster.pods(namespace)[0]
    conditions = {entry["type"]: entry for entry in pod["status"]["conditions"]}
    ready = when(conditions["Ready"]["lastTransitionTime"])
    started = when(pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"])
    return (ready - when(pod["metadata"]["creationTimestamp"])).total_seconds(), (ready - started).total_seconds()


def helm_nodeport(context):
    """`helm install` with the NodePort preset; both models answer; `helm test`; uninstalled without a trace."""
    cluster.remove_namespace(NAMESPACE)
    cluster.run(
        ["helm", "install", "podsense", cluster.CHART, "-n", NAMESPACE, "--create-namespace", "-f",
         f"{cluster.CHART}/values-nodeport.yaml", "--wait", "--timeout", "150s"]
    )
    try:
        url = f"{cluster.node_url()}:{cluster.NODE_PORT}"
        wait_answers(f"{url}/readyz")
        both_models_answer(url, context.photo)
        created, started = seconds_to_ready(NAMESPACE)
        context.figures.add("pod created to ready", f"{created:.0f} s", f"container started to ready {started:.0f} s; "
                            "the API's clock counts whole seconds")
        print(cluster.helm(f"test podsense -n {NAMESPACE} --timeout 120s").stdout.count("Succeeded"), "helm tests")
        cluster.helm(f"uninstall podsense -n {NAMESPACE} --wait --timeout 120s")
        left = kubectl(f"get all,configmaps,secrets,ingresses,networkpolicies,pdb,hpa,serviceaccounts -n {NAMESPACE} "
                       "-l app.kubernetes.io/part-of=podsense -o name").stdout.split()
        left = [name for name in left if "-test-" not in name and not name.startswith("pod/")]
        if left:
            raise Failure(f"uninstalled, yet there are {left}")
    finally:
        cluster.remove_namespace(NAMESPACE)


def kustomize_overlays(context):
    """`kubectl apply -k` of the overlays that need no other image; each becomes ready and answers."""
    overlays = {
        "dev": ("k8s-inference-sim", "dev-inference-sim", "dev-inference-sim"),
        "ml-inference": ("ml-inference", "ml-inference-api", "ml-inference-service"),
        "model-api": ("ml-serving", "model-api", "model-api"),
    }
    for overlay, (namespace, deployment, service) in overlays.items():
        cluster.remove_namespace(namespace)
        kubectl(f"apply -k k8s/overlays/{overlay}")
        try:
            cluster.wait_rollout(namespace, deployment)
            url = cluster.expose(namespace, service)
            allow_from_outside(namespace)
            wait_answers(f"{url}/readyz")
            both_models_answer(url, context.photo)
        finally:
            kubectl(f"delete -k k8s/overlays/{overlay} --ignore-not-found --timeout=120s")
            cluster.remove_namespace(namespace)


def allow_from_outside(namespace):
    """The tests' own way in, beside the policies of the overlay: all sources, the HTTP port."""
    cluster.apply([{
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "e2e", "namespace": namespace},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"],
                 "ingress": [{"ports": [{"port": 8080}, {"port": 5000}]}]},
    }])


def raw_manifests(context):
    """`kubectl apply -f k8s/deployment.yaml` into a namespace of one's own."""
    cluster.remove_namespace(NAMESPACE)
    kubectl(f"create namespace {NAMESPACE}")
    try:
        kubectl(f"apply -f k8s/deployment.yaml -n {NAMESPACE}")
        cluster.wait_rollout(NAMESPACE, "podsense")
        url = f"{cluster.node_url()}:{cluster.NODE_PORT}"
        wait_answers(f"{url}/readyz")
        both_models_answer(url, context.photo)
        kubectl(f"delete -f k8s/deployment.yaml -n {NAMESPACE} --timeout=120s")
        wait_until(lambda: not cluster.pods(NAMESPACE), "the pods are gone")
    finally:
        cluster.remove_namespace(NAMESPACE)


def restricted_namespace(_):
    """The restricted Pod Security Standard, enforced, accepts the pods."""
    with cluster.namespace("podsense-restricted", {"pod-security.kubernetes.io/enforce": "restricted"}) as name:
        cluster.helm_install("podsense", name, "--set", "autoscaling.enabled=false,replicaCount=1")
        cluster.wait_ready(name, 1)


def several_deployments(_):
    """One release with a Deployment for pictures and one for rows beside it: each serves its own models, and goes with the release."""
    with cluster.namespace(NAMESPACE):
        parts = {"pictures": {"extraArgs": ["--only-models=efficientnet-lite0"], "autoscaling": {"enabled": False}, "replicaCount": 1},
                 "rows": {"extraArgs": ["--only-models=random-forest"], "autoscaling": {"minReplicas": 1, "maxReplicas": 2}}}  # fmt: skip
        cluster.helm_install("podsense", NAMESPACE, "--set", "autoscaling.enabled=false,replicaCount=1,resources.requests.cpu=50m",
                             "--set-json", f"deployments={json.dumps(parts)}")  # fmt: skip
        served = {}
        for deployment in cluster.items("deployments", NAMESPACE):
            name = deployment["metadata"]["name"]
            selector = ",".join(f"{key}={value}" for key, value in deployment["spec"]["selector"]["matchLabels"].items())
            (pod,) = cluster.pods(NAMESPACE, selector)
            status, body = fetch(f"http://{pod['status']['podIP']}:8080/health")
            served[name] = sorted(model["name"] for model in json.loads(body)["models"]) if status == 200 else status
            backends = {a["ip"] for s in cluster.get(f"endpoints {name}", NAMESPACE)["subsets"] for a in s["addresses"]}
            if backends != {pod["status"]["podIP"]}:
                raise Failure(f"the Service {name} leads to {backends}, and its pod is {pod['status']['podIP']}")
        wanted = {"podsense": ["efficientnet-lite0", "random-forest", "simulated"], "podsense-pictures": ["efficientnet-lite0"],
                  "podsense-rows": ["random-forest"]}  # fmt: skip
        if served != wanted:
            raise Failure(f"served: {served}")
        cluster.helm(f"uninstall podsense -n {NAMESPACE} --wait --timeout 120s")
        if left := cluster.items("deployments,services,hpa,networkpolicies,configmaps -l app.kubernetes.io/part-of=podsense", NAMESPACE):
            raise Failure(f"uninstalled, yet there are {[o['metadata']['name'] for o in left]}")


def production_without_zones(_):
    """The production preset on a node that is in no zone: no pod stays Pending."""
    with cluster.namespace(NAMESPACE):
        cluster.helm_install("podsense", NAMESPACE, "-f", f"{cluster.CHART}/values-production.yaml", "--set",
                             "resources.requests.cpu=20m,resources.requests.memory=128Mi,metrics.serviceMonitor.enabled=false")  # fmt: skip
        cluster.wait_ready(NAMESPACE, 5)


def the_quota_has_room_for_the_maximum_and_an_update(_):
    """The ml-inference preset with all the pods that it may have is rolled within its own quota."""
    with cluster.namespace("ml-inference") as name:
        most = 10
        cluster.helm_install("ml", name, "-f", f"{cluster.CHART}/values-ml-inference.yaml", "--set",
                             f"resources.requests.cpu=20m,autoscaling.minReplicas={most},namespace.create=false")  # fmt: skip
        cluster.wait_ready(name, most)
        kubectl(f"-n {name} rollout restart deployment/ml-inference-api")
        cluster.wait_rollout(name, "ml-inference-api")
        cluster.wait_ready(name, most)
        refused = [e["message"] for e in cluster.items("events --field-selector reason=FailedCreate", name) if "quota" in e["message"]]
        if not cluster.items("resourcequotas", name) or refused:
            raise Failure(f"quota: {refused[:1] or 'there is none'}")


SCENARIOS = ((helm_nodeport, True), (several_deployments, False), (production_without_zones, False),
             (the_quota_has_room_for_the_maximum_and_an_update, False), (kustomize_overlays, False), (raw_manifests, True), (restricted_namespace, False))
