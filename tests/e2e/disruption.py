"""Pods come, go and change under open-loop load through a Service, and no request fails."""

import contextlib
import json
import threading

import cluster
from cluster import Failure, kubectl, ready_pods, wait_until
from load import photos, require_no_failure, rows

NAMESPACE = "podsense-disruption"
DEPLOYMENT = "podsense"
ROWS_PER_SECOND = 60
PHOTOS_PER_SECOND = 4


def pause(seconds):
    """Lets the load run on; nothing is asserted about this time."""
    threading.Event().wait(seconds)


@contextlib.contextmanager
def installed(*arguments, replicas=2):
    """The chart with the NodePort preset and a fixed number of pods, in a namespace of its own; its URL."""
    with cluster.namespace(NAMESPACE):
        values = ["-f", f"{cluster.CHART}/values-nodeport.yaml", "--set", f"autoscaling.enabled=false,replicaCount={replicas}",
                  "--set", "resources.requests.cpu=100m", *arguments]
        cluster.helm_install(DEPLOYMENT, NAMESPACE, *values)
        cluster.wait_ready(NAMESPACE, replicas)
        url = f"{cluster.node_url()}:{cluster.NODE_PORT}"
        cluster.wait_answers(f"{url}/readyz")
        yield url, values


@contextlib.contextmanager
def no_request_fails(context, what, url):
    """Rows and photographs come in during the block; all are answered."""
    with rows(url, ROWS_PER_SECOND) as few, photos(url, PHOTOS_PER_SECOND, context.photo) as large:
        pause(2)
        yield
        pause(2)
        require_no_failure(f"{what}, rows", few, context.figures)
        require_no_failure(f"{what}, photos", large, context.figures)


def settled(replicas):
    cluster.wait_rollout(NAMESPACE, DEPLOYMENT)
    cluster.wait_ready(NAMESPACE, replicas)


def rolling_updates(context):
    """Ten rolling updates in a row."""
    with installed() as (url, _), no_request_fails(context, "10 rolling updates", url):
        for _ in range(10):
            kubectl(f"-n {NAMESPACE} rollout restart deployment/{DEPLOYMENT}")
            settled(2)


def deletion(context):
    """A pod is deleted, its replacement comes, then the other one."""
    with installed() as (url, _), no_request_fails(context, "2 pod deletions", url):
        for _ in range(2):
            kubectl(f"-n {NAMESPACE} delete pod {ready_pods(NAMESPACE)[0]} --wait=false")
            cluster.wait_ready(NAMESPACE, 2)


def evict(pod):
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": NAMESPACE}}
    return kubectl(f"create --raw /api/v1/namespaces/{NAMESPACE}/pods/{pod}/eviction -f -", stdin=json.dumps(body), check=False)


def eviction(context):
    """An eviction is granted, a second one at the same time refused by the disruption budget."""
    with installed() as (url, _), no_request_fails(context, "eviction", url):
        first, second = ready_pods(NAMESPACE)
        wait_until(lambda: cluster.get("pdb podsense", NAMESPACE)["status"].get("disruptionsAllowed"), "the budget allows one")
        granted, refused = evict(first), evict(second)
        if granted.returncode != 0:
            raise Failure(f"the first eviction was refused: {granted.stderr}")
        if refused.returncode == 0 or "disruption budget" not in refused.stderr:
            raise Failure(f"the second eviction was not refused: {refused.stdout}{refused.stderr}")
        cluster.wait_ready(NAMESPACE, 2)


def scaling(context):
    """From 1 pod to 4 and back to 1."""
    with installed(replicas=1) as (url, _), no_request_fails(context, "scale 1→4→1", url):
        for count in (4, 1):
            kubectl(f"-n {NAMESPACE} scale deployment {DEPLOYMENT} --replicas={count}")
            cluster.wait_ready(NAMESPACE, count)


def image_of():
    return cluster.get(f"deployment {DEPLOYMENT}", NAMESPACE)["spec"]["template"]["spec"]["containers"][0]["image"]


def set_image_and_undo(context):
    """`kubectl set image` to another tag, then `kubectl rollout undo`."""
    with installed() as (url, _), no_request_fails(context, "set image, rollout undo", url):
        before = image_of()
        kubectl(f"-n {NAMESPACE} set image deployment/{DEPLOYMENT} podsense=k8s-inference-sim:local")
        settled(2)
        kubectl(f"-n {NAMESPACE} rollout undo deployment/{DEPLOYMENT}")
        settled(2)
        if image_of() != before:
            raise Failure(f"undone, yet the image is {image_of()}")


def helm_upgrade_and_rollback(context):
    """`helm upgrade` with another configuration (the checksum rolls the pods), then `helm rollback`."""
    with installed() as (url, values), no_request_fails(context, "helm upgrade, helm rollback", url):
        before = set(ready_pods(NAMESPACE))
        cluster.helm_install(DEPLOYMENT, NAMESPACE, *values, "--set", "configEnv.LOG_LEVEL=debug")
        settled(2)
        if before & set(ready_pods(NAMESPACE)):
            raise Failure("a changed ConfigMap did not roll all pods")
        cluster.helm(f"rollback {DEPLOYMENT} 1 -n {NAMESPACE} --wait --timeout 120s")
        settled(2)
        environment = cluster.items("configmaps -l app.kubernetes.io/part-of=podsense", NAMESPACE)
        if any("debug" in json.dumps(entry.get("data", {})) for entry in environment):
            raise Failure("rolled back, yet the configuration is the new one")


SCENARIOS = (
    (deletion, True),
    (eviction, True),
    (scaling, False),
    (set_image_and_undo, False),
    (helm_upgrade_and_rollback, True),
    (rolling_updates, False),
)
