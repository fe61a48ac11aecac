"""What goes wrong ends as it should and says why; what served before goes on serving."""

import contextlib
import os
import signal

import cluster
from cluster import Failure, events, kubectl, ready_pods, wait_until, waiting_reasons
from disruption import DEPLOYMENT, NAMESPACE, installed, pause
from load import require_no_failure, rows


@contextlib.contextmanager
def bad_release(context, what, *arguments):
    """A release that cannot become ready is tried under load; then it is rolled back. Yields when helm has
    begun; what served before must not lose a request."""
    with installed() as (url, values):
        before = set(ready_pods(NAMESPACE))
        with rows(url, 50) as load:
            pause(1)
            words = ["helm", "upgrade", DEPLOYMENT, cluster.CHART, "-n", NAMESPACE, *values, *arguments]
            cluster.run(words)
            yield
            if set(ready_pods(NAMESPACE)) != before:
                raise Failure(f"{what}: the pods that served are not the ones that serve")
            cluster.helm(f"rollback {DEPLOYMENT} 1 -n {NAMESPACE} --wait --timeout 120s")
            cluster.wait_ready(NAMESPACE, 2)
            require_no_failure(what, load, context.figures)


def killed_process(context):
    """kill -9 of the server: the container starts again, the pod stays, the other pod serves."""
    with installed() as (url, _):
        pod = ready_pods(NAMESPACE)[0]
        os.kill(cluster.pod_process(NAMESPACE, pod), signal.SIGKILL)

        def restarted():
            status = cluster.get(f"pod {pod}", NAMESPACE)["status"]["containerStatuses"][0]
            ended = status.get("lastState", {}).get("terminated", {})
            return status["restartCount"] == 1 and status["ready"] and ended.get("exitCode") == 137

        wait_until(restarted, "the container runs again, after exit code 137")
        with rows(url, 50) as load:
            pause(2)
            require_no_failure("after kill -9", load, context.figures)


def out_of_memory(context):
    """A memory limit below what the models take: OOMKilled; the rollout stops, the old pods serve."""
    with bad_release(context, "OOM rollout", "--set", "resources.limits.memory=24Mi,resources.requests.memory=16Mi"):
        wait_until(lambda: waiting_reasons(NAMESPACE) & {"OOMKilled", "StartError", "ContainerCannotRun"}, "OOMKilled")
        if "OOMKilled" not in waiting_reasons(NAMESPACE):
            raise Failure(f"it ended by {waiting_reasons(NAMESPACE)}")


def new_pod(namespace, known):
    return next((pod for pod in cluster.pods(namespace) if pod["metadata"]["name"] not in known), None)


def failing_readiness(context):
    """A pod that never becomes ready gets no traffic and does not replace one that is."""
    known = set()
    with bad_release(context, "rollout that never gets ready", "--set", "probes.startup.enabled=false,probes.readiness.path=/absent"):
        known |= set(ready_pods(NAMESPACE))
        wait_until(lambda: any("404" in message for message in events(NAMESPACE, "Unhealthy")), "an event names the 404")


def bad_configuration(context):
    """An unknown setting in the ConfigMap: the new pod ends with a line that names it and the nearest one."""
    with bad_release(context, "bad ConfigMap", "--set", "configEnv.PODSENSE_LOG_LEVLE=debug"):
        wait_until(lambda: "CrashLoopBackOff" in waiting_reasons(NAMESPACE), "CrashLoopBackOff")
        pod = next(pod for pod in cluster.pods(NAMESPACE) if not cluster.is_ready(pod))
        said = kubectl(f"-n {NAMESPACE} logs {pod['metadata']['name']}").stdout
        if "PODSENSE_LOG_LEVLE" not in said or "PODSENSE_LOG_LEVEL" not in said:
            raise Failure(f"the log does not name the setting and the nearest one: {said}")


def wrong_image(context):
    """An image that no node has: the reason is told, the old pods serve."""
    with bad_release(context, "wrong image", "--set", "image.tag=9.9.9"):
        wait_until(lambda: waiting_reasons(NAMESPACE) & {"ImagePullBackOff", "ErrImagePull", "ErrImageNeverPull"}, "ErrImagePull")


def exceeded_quota(context):
    """More pods than the quota allows: the event says so, and what is there serves."""
    with installed() as (url, _), rows(url, 50) as load:
        cluster.apply([{
            "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "e2e", "namespace": NAMESPACE},
            "spec": {"hard": {"pods": "3"}},
        }])
        kubectl(f"-n {NAMESPACE} scale deployment {DEPLOYMENT} --replicas=5")
        wait_until(lambda: any("exceeded quota" in message for message in events(NAMESPACE, "FailedCreate")),
                   "an event says 'exceeded quota'")
        wait_until(lambda: len(ready_pods(NAMESPACE)) == 3, "as many pods as the quota allows")
        kubectl(f"-n {NAMESPACE} scale deployment {DEPLOYMENT} --replicas=2")
        cluster.wait_ready(NAMESPACE, 2)
        require_no_failure("quota exceeded, scaled back", load, context.figures)


SCENARIOS = (
    (killed_process, True),
    (bad_configuration, True),
    (wrong_image, False),
    (out_of_memory, False),
    (failing_readiness, False),
    (exceeded_quota, False),
)
