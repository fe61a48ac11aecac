#!/usr/bin/env python3
"""From a pod's creation to its readiness: PodSense with the chart's probes, beside a server that does nothing.

    bench/pod_start.py [--runs 7] [--values FILE] [--json FILE]

Needs the local cluster (scripts/cluster.sh up) with the image podsense:VERSION on its nodes. Pods are made one at a time, each
kind in turn, so that all meet the same machine. Times are those at which a watch of the API server tells: it is asked before the pod
is made, and answers within milliseconds; the API's own clocks count whole seconds. The other server is a static binary of some lines
of Go, in an image of its own, asked every second by a readiness probe.
"""

import argparse
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/e2e"))
import cluster  # noqa: E402  # its folder comes first

NAMESPACE = "podsense-pod-start"
TRIVIAL = "podsense-bench-trivial:1"
STEPS = ("scheduled", "running", "ready", "endpoint")
LONGEST = 60  # seconds that a pod may take
SERVER = """package main

import "net/http"

func main() {
    http.ListenAndServe(":8080", http.HandlerFunc(func(answer http.ResponseWriter, _ *http.Request) { answer.Write([]byte("ok")) }))
}
"""


def make_trivial_image():
    go = cluster.output("scripts/go-tool.sh --go")
    docker = subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder)
        (path / "main.go").write_text(SERVER, "utf-8")
        (path / "Dockerfile").write_text('FROM scratch\nCOPY server /server\nENTRYPOINT ["/server"]\n', "utf-8")
        subprocess.run([go, "build", "-ldflags=-s", "-o", "server", "main.go"], cwd=path, env={**os.environ, "CGO_ENABLED": "0"}, check=True)
        cluster.run(["docker" if docker else "buildah", "build", "--quiet", "-t", TRIVIAL, str(path)])
    cluster.run(["scripts/cluster.sh", "load", TRIVIAL])


def trivial_pod():
    return {
        "containers": [{
            "name": "server", "image": TRIVIAL, "imagePullPolicy": "IfNotPresent", "ports": [{"containerPort": 8080}],
            "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
            "resources": {"requests": {"cpu": "100m", "memory": "32Mi"}, "limits": {"cpu": "1", "memory": "64Mi"}},
        }],
        "terminationGracePeriodSeconds": 1,
    }  # fmt: skip


def chart_pod(values, *sets):
    """The pod of the chart's Deployment, and the objects that it needs."""
    words = ["helm", "template", "podsense", cluster.CHART, "-n", NAMESPACE, "--set", "tests.enabled=false,networkPolicy.enabled=false"]
    for path in values:
        words += ["-f", path]
    for text in sets:
        words += ["--set", text]
    objects = [document for document in yaml.safe_load_all(cluster.output(words)) if document]
    deployment = next(o for o in objects if o["kind"] == "Deployment")
    needed = [o for o in objects if o["kind"] in ("ServiceAccount", "ConfigMap", "Secret")]
    return deployment["spec"]["template"]["spec"], needed


class Watch:
    """Lines of `kubectl get --watch`, with the moment at which each came."""

    def __init__(self, kind):
        self.seen, self.changed = [], threading.Condition()
        self.process = subprocess.Popen(
            ["kubectl", "-n", NAMESPACE, "get", kind, "--watch", "-o", "json", "--output-watch-events"], stdout=subprocess.PIPE, text=True
        )
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        decoder, text = json.JSONDecoder(), ""
        while piece := os.read(self.process.stdout.fileno(), 1 << 16):
            now = time.monotonic()
            text += piece.decode()
            with contextlib.suppress(ValueError):
                while text := text.lstrip():
                    event, end = decoder.raw_decode(text)
                    text = text[end:]
                    with self.changed:
                        self.seen.append((now, event["object"]))
                        self.changed.notify_all()

    def first(self, predicate, what):
        """When an object first was as wanted."""
        with self.changed:
            if not self.changed.wait_for(lambda: any(predicate(o) for _, o in self.seen), LONGEST):
                raise SystemExit(f"pod_start: {what}: not within {LONGEST} s")
            return next(when for when, o in self.seen if predicate(o))

    def end(self):
        self.process.terminate()
        self.process.wait()


def condition(pod, kind):
    return any(c["type"] == kind and c["status"] == "True" for c in pod.get("status", {}).get("conditions", []))


def running(pod):
    return any("running" in s["state"] for s in pod.get("status", {}).get("containerStatuses", []))


def start_once(name, spec):
    """Seconds from the request for the pod to each step."""
    pods, slices = Watch("pods"), Watch("endpointslices")
    try:
        # Both answer once before anything happens here.
        cluster.wait_until(lambda: any(o["metadata"].get("labels", {}).get("kubernetes.io/service-name") == "server" for _, o in slices.seen), "the watch answers")
        began = time.monotonic()
        cluster.apply([{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "bench"}}, "spec": spec}], NAMESPACE)
        made = pods.first(lambda o: o["metadata"]["name"] == name, f"{name} made")

        def leads_there(o):
            return any(e.get("targetRef", {}).get("name") == name and e["conditions"].get("ready") for e in o.get("endpoints") or [])

        found = {
            "scheduled": pods.first(lambda o: o["metadata"]["name"] == name and condition(o, "PodScheduled"), f"{name} scheduled"),
            "running": pods.first(lambda o: o["metadata"]["name"] == name and running(o), f"{name} running"),
            "ready": pods.first(lambda o: o["metadata"]["name"] == name and condition(o, "Ready"), f"{name} ready"),
            "endpoint": slices.first(leads_there, f"{name} has an endpoint"),
        }
        assert began <= made
        return {step: when - made for step, when in found.items()}
    finally:
        pods.end()
        slices.end()
        cluster.kubectl(f"-n {NAMESPACE} delete pod {name} --grace-period=0 --force --ignore-not-found")


def service():
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "server"},
            "spec": {"selector": {"app": "bench"}, "ports": [{"port": 80, "targetPort": 8080}]}}  # fmt: skip


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--runs", type=int, default=7)
    options.add_argument("--values", action="append", default=[], help="values files of the chart")
    options.add_argument("--json", help="writes all figures there")
    arguments = options.parse_args()
    cluster.adopt_environment()
    make_trivial_image()
    results = {}
    with cluster.namespace(NAMESPACE):
        kinds = {"a server that does nothing": trivial_pod()}
        for name, sets in (("PodSense, the chart's probes", ()), ("PodSense, a probe that does not wait", ("probes.startup.path=/startupz",)),
                           ("PodSense, the simulated model alone", ("extraArgs[0]=--only-models=simulated",))):
            kinds[name], needed = chart_pod(arguments.values, *sets)
        cluster.apply([*needed, service()], NAMESPACE)
        for run in range(arguments.runs):
            for number, (kind, spec) in enumerate(kinds.items()):
                results.setdefault(kind, []).append(start_once(f"pod-{number}-{run}", spec))
    print(f"median of {arguments.runs} (least to most), seconds from the pod's creation")
    print(f"{'':36}" + "".join(f"{step:>22}" for step in STEPS))
    for kind, runs in results.items():
        cells = []
        for step in STEPS:
            values = sorted(run[step] for run in runs)
            cells.append(f"{statistics.median(values):.2f} ({values[0]:.2f} to {values[-1]:.2f})")
        print(f"{kind:36}" + "".join(f"{cell:>22}" for cell in cells))
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
