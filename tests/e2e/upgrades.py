"""Upgrades as people do them: with values of an older chart, with an autoscaler switched on, after kubectl changed something."""

import contextlib
import tempfile
import threading

import cluster
from cluster import Failure, kubectl, wait_until

NAMESPACE = "podsense"
SMALL = "resources.requests.cpu=50m"
# The chart of the last release and of three earlier ones.
COMMITS = ("3b0f47c", "ae3e674", "8d5ed1f", "c9746f7")


def upgrade(*arguments, check=True, chart=cluster.CHART):
    words = ["helm", "upgrade", "--install", "podsense", chart, "-n", NAMESPACE, "--wait", "--timeout", "150s"]
    return cluster.run([*words, *arguments], check=check)


def with_values_of_older_charts(context):
    """`--reuse-values` from older charts: it works, or says that --reset-then-reuse-values helps, which then works."""
    for commit in COMMITS:
        with tempfile.TemporaryDirectory() as folder, cluster.namespace(NAMESPACE):
            made = cluster.run(["bash", "-c", f"git archive {commit} helm | tar -x -C {folder}"], check=False)
            if made.returncode:
                raise Failure(f"no chart of {commit} in this clone: {made.stderr[-300:]}")
            mine = f"{SMALL},autoscaling.enabled=false,replicaCount=1,service.type=NodePort"
            upgrade("--set", mine, chart=f"{folder}/helm/podsense")
            done, way = upgrade("--reuse-values", check=False), "--reuse-values"
            if done.returncode:
                if "--reset-then-reuse-values" not in done.stderr:
                    raise Failure(f"{commit}: --reuse-values: {done.stderr[-600:]}")
                way = "--reset-then-reuse-values"
                upgrade(way)
            kind = cluster.get("service podsense", NAMESPACE)["spec"]["type"]
            if kind != "NodePort":
                raise Failure(f"{commit}: {way} lost what was set: the Service is a {kind}")
            context.figures.add(f"upgrade from the chart of {commit}", "works", way)


@contextlib.contextmanager
def fewest_replicas():
    """The lowest number of wanted pods while the block runs, as `wanted[-1]`."""
    stop, seen = threading.Event(), []

    def look():
        while not stop.is_set():
            seen.append(cluster.get("deployment podsense", NAMESPACE)["spec"]["replicas"])

    thread = threading.Thread(target=look)
    thread.start()
    wanted = []
    try:
        yield wanted
    finally:
        stop.set()
        thread.join()
        wanted.append(min(seen))


def an_autoscaler_is_switched_on(context):
    """From 3 fixed pods to an HPA, with server-side apply as Helm 4 has it: there are never fewer than 3."""
    with cluster.namespace(NAMESPACE):
        upgrade("--set", f"{SMALL},autoscaling.enabled=false,replicaCount=3")
        cluster.wait_ready(NAMESPACE, 3)
        with fewest_replicas() as wanted:
            upgrade("--set", f"{SMALL},autoscaling.enabled=true,autoscaling.minReplicas=3")
            upgrade("--set", f"{SMALL},autoscaling.enabled=true,autoscaling.minReplicas=3,podAnnotations.again=yes")
            cluster.wait_ready(NAMESPACE, 3)
        if wanted[-1] < 3:
            raise Failure(f"the Deployment wanted {wanted[-1]} pods at times")
        context.figures.add("autoscaler switched on at 3 pods", f"{wanted[-1]} at least", "wanted by the Deployment")


def after_kubectl_changed_something(_):
    """`kubectl set env` and `scale` are in the next upgrade's way, which says so; the documented way out works."""
    with cluster.namespace(NAMESPACE):
        mine = f"{SMALL},autoscaling.enabled=false,replicaCount=1"
        upgrade("--set", mine)
        kubectl(f"-n {NAMESPACE} set image deployment/podsense podsense=k8s-inference-sim:local")
        kubectl(f"-n {NAMESPACE} scale deployment/podsense --replicas=2")
        wait_until(lambda: len(cluster.ready_pods(NAMESPACE)) == 2, "two pods")
        done = upgrade("--set", f"{mine},podAnnotations.again=yes", check=False)
        if done.returncode == 0 or "conflict" not in done.stderr:
            raise Failure(f"no conflict: {done.returncode} {done.stderr[-600:]}")
        upgrade("--set", f"{mine},podAnnotations.again=yes", "--force-conflicts")
        deployment = cluster.get("deployment podsense", NAMESPACE)["spec"]
        image = deployment["template"]["spec"]["containers"][0]["image"]
        if deployment["replicas"] != 1 or "k8s-inference-sim" in image:
            raise Failure(f"--force-conflicts left {deployment['replicas']} pods of {image}")


SCENARIOS = ((with_values_of_older_charts, False), (an_autoscaler_is_switched_on, False), (after_kubectl_changed_something, False))
