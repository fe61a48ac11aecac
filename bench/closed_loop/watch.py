"""What happens in the cluster while a run lasts: each change of pods, autoscaler and target as the API server tells it, and the
values of its metrics, asked once a second as the autoscaler asks for them.

All by one `kubectl proxy`: a kubectl a second would be a load of its own. Moments are Unix time of this machine.
"""

import http.client
import json
import re
import socket
import subprocess
import threading
import time
import urllib.parse

ASK = 1.0  # seconds between two values of a metric
PODS = "app.kubernetes.io/component=server"


class Api:
    """The API server, by a proxy that lives as long as the block."""

    def __enter__(self):
        self.process = subprocess.Popen(["kubectl", "proxy", "--port=0"], stdout=subprocess.PIPE, text=True)
        said = self.process.stdout.readline()
        found = re.search(r":(\d+)\s*$", said)
        if not found:
            raise SystemExit(f"kubectl proxy does not start: {said}")
        self.port = int(found[1])
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=30)

    def open(self, path, timeout=10):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        connection.request("GET", path)
        return connection, connection.getresponse()

    def text(self, path):
        """None where it answers with an error."""
        connection, answer = self.open(path)
        try:
            body = answer.read().decode()
            return body if answer.status == 200 else None
        finally:
            connection.close()

    def get(self, path):
        text = self.text(path)
        return None if text is None else json.loads(text)


def trim_pod(pod):
    meta, status = pod["metadata"], pod.get("status", {})
    ready = next((one for one in status.get("conditions", []) if one["type"] == "Ready"), None)
    running = any("running" in one.get("state", {}) for one in status.get("containerStatuses", []))
    found = {"name": meta["name"], "phase": status.get("phase", "Pending"), "deleted": "deletionTimestamp" in meta,
             "start": status.get("startTime"), "running": running}
    if ready:
        found |= {"ready": ready["status"], "ready_at": ready.get("lastTransitionTime")}
    return found


def trim_hpa(hpa):
    return {"name": hpa["metadata"]["name"], "spec": hpa["spec"], "status": hpa.get("status", {})}


def trim_deployment(deployment):
    return {"name": deployment["metadata"]["name"], "spec": deployment["spec"].get("replicas", 1),
            "status": deployment.get("status", {}).get("replicas", 0)}


def trim_slice(one):
    ready = [entry.get("targetRef", {}).get("name") for entry in one.get("endpoints") or [] if entry["conditions"].get("ready")]
    return {"name": one["metadata"]["name"], "ready": sorted(name for name in ready if name)}


KINDS = {
    "pod": ("/api/v1/namespaces/{}/pods", {"labelSelector": PODS}, trim_pod),
    "hpa": ("/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers", {}, trim_hpa),
    "deployment": ("/apis/apps/v1/namespaces/{}/deployments", {}, trim_deployment),
    "slice": ("/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices", {"labelSelector": "kubernetes.io/service-name=podsense"},
              trim_slice),
}


class Follow:
    """Changes of one kind, on a thread of its own. Events: t, rv, kind, gone, object; what there was at first has `first`."""

    def __init__(self, api, kind, namespace, events):
        path, query, self.trim = KINDS[kind]
        self.kind, self.events, self.ended = kind, events, False
        path = path.format(namespace)
        listed = api.get(f"{path}?{urllib.parse.urlencode(query)}")
        for entry in listed["items"]:
            self.note(entry, first=True)
        query = query | {"watch": "1", "resourceVersion": listed["metadata"]["resourceVersion"]}
        self.connection, self.answer = api.open(f"{path}?{urllib.parse.urlencode(query)}", timeout=None)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def note(self, entry, gone=False, first=False):
        event = {"t": time.time(), "rv": int(entry["metadata"]["resourceVersion"]), "kind": self.kind, "object": self.trim(entry)}
        self.events.append(event | ({"gone": True} if gone else {}) | ({"first": True} if first else {}))

    def read(self):
        try:
            for line in self.answer:
                event = json.loads(line)
                if event["type"] in ("ADDED", "MODIFIED", "DELETED"):
                    self.note(event["object"], gone=event["type"] == "DELETED")
                elif event["type"] == "ERROR":
                    break
        except (OSError, ValueError, http.client.HTTPException):
            pass
        self.ended = True

    def stop(self):
        """Whether it followed until now."""
        whole = not self.ended
        try:
            self.connection.sock.shutdown(socket.SHUT_RDWR)
        except (OSError, AttributeError):
            pass
        self.thread.join(10)
        return whole


def source_of(metric):
    """The name of what the autoscaler asks for one metric of its spec. @raises SystemExit: none that is watched here"""
    kind = metric["type"]
    if kind == "Resource":
        return "resource"
    if kind in ("Pods", "External"):
        return f"{kind.lower()}/{metric[kind.lower()]['metric']['name']}"
    raise SystemExit(f"a metric of type {kind} is not watched here: Resource, Pods and External are")


def path_of(metric, namespace, selector):
    """Where it asks."""
    source, kind, query = source_of(metric), metric["type"], selector
    name = source.rpartition("/")[2]
    path = {"Resource": f"/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods",
            "Pods": f"/apis/custom.metrics.k8s.io/v1beta2/namespaces/{namespace}/pods/*/{name}",
            "External": f"/apis/external.metrics.k8s.io/v1beta1/namespaces/{namespace}/{name}"}[kind]
    if kind == "External":
        query = labels(metric["external"]["metric"].get("selector", {}).get("matchLabels", {}))
    return f"{path}?{urllib.parse.urlencode({'labelSelector': query})}"


def labels(chosen):
    return ",".join(f"{key}={value}" for key, value in sorted(chosen.items()))


def values_of(source, answer):
    """What an answer says, shortly; None for an error."""
    if answer is None:
        return None
    if source == "resource":
        return {item["metadata"]["name"]: [item["timestamp"], item["window"], [one["usage"].get("cpu") for one in item["containers"]]]
                for item in answer["items"]}
    if source.startswith("pods/"):
        return {item["describedObject"]["name"]: item["value"] for item in answer["items"]}
    return [item["value"] for item in answer["items"]]


class Ask:
    """One metric, each second, on a thread of its own. Answers that are alike follow each other as one: t until `until`."""

    def __init__(self, api, source, path):
        self.source, self.path, self.api, self.answers = source, path, api, []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            began = time.time()
            try:
                values = values_of(self.source, self.api.get(self.path))
            except (OSError, ValueError, http.client.HTTPException):
                values = None
            add_answer(self.answers, began, time.time(), values)
            if self.over.wait(max(0.0, began + ASK - time.time())):
                return

    def stop(self):
        self.over.set()
        self.thread.join(15)


def add_answer(answers, began, ended, values):
    if answers and answers[-1]["values"] == values:
        answers[-1]["until"] = ended
    else:
        answers.append({"t": began, "until": ended, "values": values})


class Watch:
    """All of it. `end()` gives what was seen."""

    def __init__(self, api, namespace, selector, metrics=()):
        self.events = []
        self.follows = [Follow(api, kind, namespace, self.events) for kind in KINDS]
        sources = {source_of(metric): path_of(metric, namespace, selector) for metric in metrics}
        self.asks = [Ask(api, source, path) for source, path in sources.items()]

    def end(self):
        for ask in self.asks:
            ask.stop()
        whole = all([follow.stop() for follow in self.follows])
        events = sorted(self.events, key=lambda event: (event["rv"], event["t"]))
        return {"whole": whole, "events": events, "answers": {ask.source: ask.answers for ask in self.asks}}
