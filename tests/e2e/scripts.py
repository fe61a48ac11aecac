"""The scripts and Make targets that people type, typed."""

import contextlib
import os
import re
import signal
import subprocess

import cluster
from cluster import Failure, output, run

DEV = "k8s-inference-sim"


def simulator_workflow(_):
    """kind-load, deploy, info.sh, undeploy: the simulator's workflow; deploying twice is no error."""
    cluster.remove_namespace(DEV)
    try:
        run("make kind-up")
        run("make kind-load")
        said = output("make deploy")
        if "dev-inference-sim is rolled out" not in said:
            raise Failure(f"make deploy said: {said}")
        run("make deploy")
        told = output("./info.sh")
        for part in ("dev-inference-sim: 1/1 ready", "port-forward svc/dev-inference-sim 8080:80", "== Grafana"):
            if part not in told:
                raise Failure(f"info.sh does not say {part!r}: {told}")
    finally:
        run("make undeploy")
    if cluster.get(f"namespace {DEV}"):
        raise Failure("make undeploy left the namespace")


def missing_image_is_told(_):
    """A deployment whose image no node has ends early, with the line that helps."""
    with cluster.namespace("podsense-noimage") as name:
        cluster.helm("install podsense helm/podsense -n podsense-noimage --set image.tag=absent,image.pullPolicy=Never,"
                     "autoscaling.enabled=false,replicaCount=1")
        done = run(["bash", "-c", f". scripts/lib.sh; . scripts/kube-lib.sh; use_cluster; wait_rollout {name} podsense 60"],
                   check=False)
        if done.returncode == 0 or "the node has no image" not in done.stderr or "make image kind-load" not in done.stderr:
            raise Failure(f"exit {done.returncode}: {done.stderr}")


def cleanup_leaves_what_is_not_ours(_):
    """cleanup.sh removes a release and an overlay, and keeps a stranger's objects beside them."""
    with cluster.namespace("podsense-cleanup") as name:
        cluster.helm_install("podsense", name, "--set", "autoscaling.enabled=false,replicaCount=1")
        cluster.kubectl(f"create configmap stranger -n {name} --from-literal=a=b")
        run("make deploy")
        cluster.kubectl(f"create configmap stranger -n {DEV} --from-literal=a=b")
        listed = output("scripts/cleanup.sh --dry-run")
        if f"Helm release {name}/podsense" not in listed or f"Namespace {DEV}" not in listed:
            raise Failure(f"cleanup.sh --dry-run: {listed}")
        refused = run("scripts/cleanup.sh", check=False, stdin="")
        if refused.returncode == 0 or not cluster.get("deployment podsense", name):
            raise Failure("cleanup.sh without a terminal must ask for --yes")
        run("scripts/cleanup.sh --yes")
        for place in (name, DEV):
            if cluster.items("deployments", place) or not cluster.get("configmap stranger", place):
                raise Failure(f"cleanup.sh in {place}: deployments stayed, or the stranger's went")
        cluster.remove_namespace(DEV)


def checklist(_):
    """scripts/checklist.sh ticks what can be tried without load."""
    with cluster.namespace("podsense-checklist") as name:
        cluster.helm_install("podsense", name, "-f", "helm/podsense/values-nodeport.yaml", "--set", "autoscaling.minReplicas=2")
        cluster.wait_ready(name, 2)
        done = run(["scripts/checklist.sh", "-n", name], check=False)
        for item in ("Pods start", "Health checks pass", "Service load balances", "Logs are accessible"):
            if f"[x] {item}" not in done.stdout:
                raise Failure(f"checklist.sh did not tick {item!r}:\n{done.stdout}{done.stderr}")


TUTORIAL = cluster.ROOT / "docs/tutorials/kind-in-ten-minutes.md"
# What the run around this test has done already, or does at its end.
DONE = ("make image", "make build", "make kind-down")


def tutorial(_):
    """Each line of docs/tutorials/kind-in-ten-minutes.md, in its order."""
    cluster.remove_namespace(DEV)
    blocks = re.findall(r"^```sh\n(.*?)^```", TUTORIAL.read_text("utf-8"), re.M | re.S)
    lines = [line for block in blocks for line in block.splitlines()]
    background = []
    try:
        for line in lines:
            if line in DONE:
                continue
            print(f"    $ {line}", flush=True)
            if "port-forward" in line:
                background.append(subprocess.Popen(["bash", "-c", f"exec {line}"], cwd=cluster.ROOT, stdout=subprocess.DEVNULL))
                cluster.wait_answers("http://localhost:8080/readyz")
            elif line.endswith(" -w"):
                typed(f"timeout 5 {line} || [ $? = 124 ]")
            else:
                typed(line.replace("--seconds 180", "--seconds 10"))
    finally:
        for process in background:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
        run("make undeploy", check=False)


def typed(line):
    """As a user's shell would run it."""
    line = line.replace("build/release/podsense", os.environ.get("PODSENSE_BINARY", "build/release/podsense"))
    done = run(["bash", "-e", "-o", "pipefail", "-c", line], check=False)
    if done.returncode != 0:
        raise Failure(f"{line}: exit {done.returncode}\n{done.stdout[-1000:]}{done.stderr[-1000:]}")


SCENARIOS = (
    (simulator_workflow, True),
    (missing_image_is_told, True),
    (cleanup_leaves_what_is_not_ours, False),
    (checklist, False),
    (tutorial, False),
)
