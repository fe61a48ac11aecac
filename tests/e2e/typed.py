"""Commands as a shell gets them, one after the other: those of docs/reference/commands.md and of compat/.

What no cluster of a test run can do (an account, a registry of charts, another machine) is left out with its reason, and
counted. What never ends is ended after a few seconds; tunnels stay open behind what follows.
"""

import contextlib
import os
import pathlib
import re
import signal
import subprocess
import tempfile

import cluster
from cluster import Failure
from load import BINARY, ROW

# What a run cannot do, by the command's beginning, and why.
ELSEWHERE = (
    (r"(cd infra\S*( && )?|cd infrastructure/?)?$", "a folder"),
    (r".*\b(aws|terraform|eksctl)\b", "an AWS account"),
    (r".*\b(gcloud|docker)\b", "a cloud's account or Docker"),
    (r".*\b(minikube|colima)\b", "another kind of machine"),
    (r"kind (create|delete|load)\b", "kind, where the run has a cluster already"),
    (r"brew ", "macOS"),
    (r"(curl -LO|curl https://raw|sudo install)\b.*", "programs that are here"),
    (r"helm (repo|install (ingress ingress-nginx|prometheus prometheus-comm|aws-load-balancer))", "a registry of charts"),
    (r"make monitoring-up|.*prometheus-grafana|.*prometheus-kube-prom", "a registry of charts"),
    (r"pip install", "a package registry"),
    (r"make (image|build|kind-down)\b|scripts/image.sh", "done by the run itself"),
    (r"kubectl delete (ingress|svc) --all -A", "it would remove everybody's"),
    (r"kubectl config (delete|get)", "the run's own access"),
)
FOREVER = re.compile(r"kubectl\b.*\bget\b.* -w\b|kubectl\b.*\blogs (.* )?-f\b")
# Answers that come after a while: metrics after two rounds, a Service after its pods.
SOON = re.compile(r"kubectl top|curl ")
PICTURE = "https://static.vecteezy.com/system/resources/previews/045/926/094/non_2x/a-hat-isolated-on-white-background-vector.jpg"


def reason_to_leave(command):
    if "deployment metrics-server" in command and cluster.platform() == "kit":
        return "a metrics-server in a pod"
    return next((why for pattern, why in ELSEWHERE if re.match(pattern, command)), "")


def told_that_nothing_leaves(command, said):
    """Requests for a picture on the web, from a cluster without a way out: all are answered, with the reason."""
    return PICTURE in command and "502" in said and "could not be resolved" in said and "50 sent" in said


class Shell:
    """Types commands in a folder. `values` replaces parts of them, by a text or what a function gives then."""

    def __init__(self, folder=cluster.ROOT, values=None, before=None):
        self.folder = pathlib.Path(folder)
        self.values = {"http://localhost:30080": lambda: f"{cluster.node_url()}:30080",
                       '{"features": […]}': ROW, '{"url":"…"}': f'{{"url":"{PICTURE}"}}'} | (values or {})  # fmt: skip
        self.before = before or {}
        self.tunnels = {}  # local port → (command, process)
        self.typed, self.left = [], []

    def __enter__(self):
        self.scratch = tempfile.TemporaryDirectory()
        for name, program in (("podsense", pathlib.Path(BINARY).resolve()), ("k6", cluster.output("scripts/go-tool.sh k6")),
                              ("hey", cluster.output("scripts/go-tool.sh hey"))):  # fmt: skip
            os.symlink(program, f"{self.scratch.name}/{name}")
        return self

    def __exit__(self, *_):
        for _, process in self.tunnels.values():
            self.end(process)
        self.scratch.cleanup()

    @staticmethod
    def end(process):
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)

    def substituted(self, command):
        for name, value in self.values.items():
            if name in command:
                command = command.replace(name, value() if callable(value) else value)
        command = command.replace("--seconds 180", "--seconds 5").replace("k6 run ", "k6 run -q -e DURATION=3s -e RAMP=2s ")
        # A status of 400 or more is an error here.
        return re.sub(r"^curl ", "curl -fsS -m 30 ", command)

    def type(self, command):
        """One command, and before it what a reader would have done who took the other way before."""
        if why := reason_to_leave(command):
            self.left.append((command, why))
            return
        for preparation in self.before.get(command, ()):
            if callable(preparation):
                preparation()
            else:
                self.run(preparation, limit=300)
        self.typed.append(command)
        print(f"    $ {command}", flush=True)
        command = self.substituted(command)
        if " port-forward " in command:
            self.open_tunnel(command)
        elif FOREVER.search(command):
            self.run(f"timeout 4 {command} || [ $? = 124 ]")
        else:
            self.reopen_tunnels(command)
            self.run(command, limit=600, patience=90 if SOON.search(command) else 0)

    def run(self, command, limit=60, patience=0):
        environment = {"PATH": f"{self.scratch.name}:{os.environ['PATH']}"}
        done = None

        def works():
            nonlocal done
            done = cluster.run(["bash", "-e", "-o", "pipefail", "-c", command], check=False, timeout=limit, env=environment,
                               cwd=self.folder)  # fmt: skip
            return done.returncode == 0 or told_that_nothing_leaves(command, done.stdout)

        try:
            cluster.wait_until(works, command, timeout=patience, pause=1)
        except Failure as error:
            raise Failure(f"{command}: exit {done.returncode}\n{done.stdout[-1500:]}{done.stderr[-1500:]}") from error
        return done.stdout

    def open_tunnel(self, command):
        port = re.search(r" (\d+):", command).group(1)
        if port in self.tunnels:
            self.end(self.tunnels[port][1])
        process = subprocess.Popen(["bash", "-c", f"exec {command}"], cwd=self.folder, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)  # fmt: skip
        self.tunnels[port] = (command, process)
        cluster.wait_answers(f"http://localhost:{port}/readyz")

    def reopen_tunnels(self, command):
        """A tunnel ends with its pod: whoever types sees that, and opens it again."""
        for port, (tunnel, _) in list(self.tunnels.items()):
            if f"localhost:{port}" in command or command.startswith("k6 "):
                if command.startswith("k6 ") or cluster.fetch(f"http://localhost:{port}/readyz")[0] != 200:
                    self.open_tunnel(tunnel)

    def report(self, figures, what):
        figures.add(what, f"{len(self.typed)} commands typed", f"{len(self.left)} left out, which need: " +
                    ", ".join(sorted({why for _, why in self.left})))  # fmt: skip
