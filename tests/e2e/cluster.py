"""What the end-to-end tests do to a cluster: commands, waiting, namespaces of their own.

The cluster is the local one of scripts/cluster.sh: kind, or the cluster kit.
"""

import contextlib
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = "helm/podsense"
NODE_PORT = 30001  # k8s/kind.yaml makes it answer on localhost
LIMIT = 180.0  # seconds until a wait is given up; usual waits take a few
IMAGE = "podsense"
LABEL = "app.kubernetes.io/component=server"


class Failure(AssertionError):
    """A promise that was not kept."""


def run(command, check=True, timeout=LIMIT * 2, stdin=None, env=None, cwd=ROOT):
    """Runs a command (a string is split as a shell would), in the project's folder unless told another."""
    words = shlex.split(command) if isinstance(command, str) else [str(word) for word in command]
    done = subprocess.run(
        words,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
        input=stdin,
        # As somebody types it: a quiet `make` around us would make those inside quiet, too.
        env={name: value for name, value in os.environ.items()
             if name not in ("BUILD_QUIET", "MAKEFLAGS", "MFLAGS", "MAKELEVEL")} | (env or {}),
    )
    if check and done.returncode != 0:
        raise Failure(f"{' '.join(words)}: exit {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done


def output(command, **options):
    return run(command, **options).stdout.strip()


def platform():
    """kind or kit."""
    return output(["bash", "-c", ". scripts/lib.sh; . scripts/kube-lib.sh; platform"])


def kit():
    """The cluster kit's folder."""
    return pathlib.Path(os.environ.get("KUBEKIT") or ROOT.parent / "shared/cluster")


def kit_image(name, program):
    """Gives the kit's node an image of one program that needs nothing else, at /bin; its name."""
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder, "bin")
        place.mkdir()
        shutil.copy2(program, place)
        words = [f"{kit()}/make-image", name, folder, f"/bin/{pathlib.Path(program).name}"]
        made = subprocess.run(words, stdout=subprocess.PIPE, check=True)
        subprocess.run([f"{kit()}/load-image"], input=made.stdout, stdout=subprocess.DEVNULL, check=True)
    return name


def adopt_environment():
    """Points kubectl and helm, here and in every child, at the local cluster."""
    for name, value in re.findall(r"(\w+)=(\S+)", output("scripts/cluster.sh env")):
        os.environ[name] = value.replace("$PATH", os.environ.get(name, ""))
    os.environ.setdefault("HELM_CACHE_HOME", str(ROOT / "build/e2e/helm-cache"))


def kubectl(arguments, **options):
    return run(["kubectl", *shlex.split(arguments)], **options)


def get(what, namespace=None):
    """An object or a list as parsed JSON; None where there is none."""
    place = ["-n", namespace] if namespace else []
    done = run(["kubectl", "get", *shlex.split(what), *place, "-o", "json", "--ignore-not-found"])
    return json.loads(done.stdout) if done.stdout.strip() else None


def items(what, namespace=None):
    found = get(what, namespace)
    return found["items"] if found else []


def apply(manifest, namespace=None):
    """Applies objects given as a list of dictionaries."""
    place = ["-n", namespace] if namespace else []
    documents = json.dumps({"apiVersion": "v1", "kind": "List", "items": manifest})
    run(["kubectl", "apply", *place, "-f", "-"], stdin=documents)


def wait_until(predicate, what, timeout=LIMIT, pause=0.2):
    """The first true value of predicate()."""
    deadline = time.monotonic() + timeout
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failure(f"{what}: not within {timeout:.0f} s")
        threading.Event().wait(pause)


def node_url():
    if platform() == "kind":
        return "http://localhost"
    addresses = items("nodes")[0]["status"]["addresses"]
    return "http://" + next(entry["address"] for entry in addresses if entry["type"] == "InternalIP")


def expose(namespace, service, port=NODE_PORT, name="e2e"):
    """Makes a Service's pods answer on a port of the node; the URL."""
    spec = get(f"service {service}", namespace)["spec"]
    http = next(entry for entry in spec["ports"] if entry.get("name") in ("http", None, "")) if len(
        spec["ports"]) > 1 else spec["ports"][0]
    body = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "type": "NodePort",
            "selector": spec["selector"],
            "ports": [{"name": "http", "port": 80, "targetPort": http["targetPort"], "nodePort": port}],
        },
    }
    apply([body])
    return f"{node_url()}:{port}"


def fetch(url, *arguments, timeout=10):
    """(status, body) of a request by curl; status 0 where nothing answered."""
    words = ["curl", "-s", "-m", str(timeout), "-w", "\n%{http_code}", *arguments, url]
    body, _, status = run(words, check=False).stdout.rpartition("\n")
    return int(status or 0), body


def wait_answers(url, *arguments, status=200):
    return wait_until(lambda: fetch(url, *arguments)[0] == status, f"{url} answers {status}")


# --- Pods and Deployments


def pods(namespace, selector=LABEL):
    return items(f"pods -l {selector}", namespace)


def is_ready(pod):
    conditions = {entry["type"]: entry["status"] for entry in pod["status"].get("conditions", [])}
    return conditions.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]


def ready_pods(namespace, selector=LABEL):
    return [pod["metadata"]["name"] for pod in pods(namespace, selector) if is_ready(pod)]


def wait_ready(namespace, count, selector=LABEL):
    def settled():
        return len(ready_pods(namespace, selector)) == count and len(pods(namespace, selector)) == count

    with telling_why(namespace):
        wait_until(settled, f"{count} ready pods and no other in {namespace}")


def wait_rollout(namespace, deployment):
    with telling_why(namespace):
        run(["kubectl", "-n", namespace, "rollout", "status", f"deployment/{deployment}", f"--timeout={LIMIT:.0f}s"])


@contextlib.contextmanager
def telling_why(namespace):
    """A failure inside says what the namespace looked like, since its objects will be gone when somebody reads it."""
    try:
        yield
    except Failure as failure:
        raise Failure(f"{failure}\n{scene(namespace)}") from failure


def scene(namespace):
    """Pods, the latest events, and the last lines of the pods that are not ready."""
    found = [kubectl(f"-n {namespace} get pods -o wide", check=False).stdout,
             kubectl(f"-n {namespace} get events --sort-by=.lastTimestamp", check=False).stdout[-3000:],
             kubectl("describe nodes", check=False).stdout.partition("Allocated resources:")[2][:600]]
    for pod in items("pods", namespace):
        if not is_ready(pod):
            name = pod["metadata"]["name"]
            logs = kubectl(f"-n {namespace} logs {name} --all-containers --tail=15", check=False)
            found.append(f"--- {name}\n{logs.stdout[-2000:]}{logs.stderr[-500:]}")
    return "\n".join(found)


def waiting_reasons(namespace, selector=LABEL):
    """What containers wait for or ended with: {"CrashLoopBackOff", "OOMKilled", …}."""
    found = set()
    for pod in pods(namespace, selector):
        for status in pod["status"].get("containerStatuses", []):
            for state in (status.get("state", {}), status.get("lastState", {})):
                for kind in ("waiting", "terminated"):
                    if kind in state:
                        found.add(state[kind].get("reason", ""))
    return found


def events(namespace, reason):
    return [entry["message"] for entry in items(f"events --field-selector reason={reason}", namespace)]


def pod_process(namespace, pod):
    """The server's process id as this machine sees it, whatever made the node."""
    uid = get(f"pod {pod}", namespace)["metadata"]["uid"]
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            groups = (folder / "cgroup").read_text("utf-8")
            command = (folder / "cmdline").read_bytes().split(b"\0")[0]
            if command.endswith(b"podsense") and (uid in groups or uid.replace("-", "_") in groups):
                return int(folder.name)
    raise Failure(f"no podsense process of pod {pod} on this machine")


# --- Helm


def helm(arguments, **options):
    return run(["helm", *shlex.split(arguments)], **options)


def helm_install(release, namespace, *arguments, check=True):
    """Installs or upgrades the chart and waits until it is ready."""
    words = ["helm", "upgrade", "--install", release, CHART, "-n", namespace, "--wait", "--timeout", "150s"]
    with telling_why(namespace):
        return run([*words, *arguments], check=check)


@contextlib.contextmanager
def namespace(name, labels=None):
    """A namespace of the test's own, empty at the start and gone at the end."""
    remove_namespace(name)
    apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels or {}}}])
    try:
        yield name
    finally:
        if not os.environ.get("E2E_KEEP"):
            remove_namespace(name)


def remove_namespace(name):
    # Pods drain for seconds; a test that is over need not wait for that.
    kubectl(f"delete pods --all -n {name} --grace-period=0 --force --ignore-not-found", check=False)
    kubectl(f"delete namespace {name} --ignore-not-found --timeout=120s", check=False)


def version():
    return re.search(r"podsense VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text("utf-8")).group(1)


def image():
    return f"{IMAGE}:{version()}"
