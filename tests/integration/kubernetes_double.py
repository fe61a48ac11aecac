"""As much of Kubernetes' API as kubectl asks for in tests: lists of objects, and raw paths."""

import http.server
import json
import os
import tempfile
import threading
import unittest
from pathlib import Path
from urllib.parse import urlsplit

from harness import clean_environment

needs_kubectl = unittest.skipUnless(
    any(os.access(Path(folder, "kubectl"), os.X_OK) for folder in os.get_exec_path()), "kubectl is not here")

RESOURCES = {
    "/api/v1": [("pods", "Pod", True), ("nodes", "Node", False), ("configmaps", "ConfigMap", True),
                ("resourcequotas", "ResourceQuota", True), ("limitranges", "LimitRange", True)],
    "/apis/apps/v1": [("deployments", "Deployment", True), ("statefulsets", "StatefulSet", True)],
    "/apis/autoscaling/v2": [("horizontalpodautoscalers", "HorizontalPodAutoscaler", True)],
    "/apis/policy/v1": [("poddisruptionbudgets", "PodDisruptionBudget", True)],
}


class ApiServer(http.server.BaseHTTPRequestHandler):
    """As much of Kubernetes' API as `kubectl get -o json` asks for."""

    objects = {}
    raw = {}  # path: a body, or what makes one

    def log_message(self, *_):
        pass

    def answer(self, path):
        if path in self.raw:
            return self.raw[path]
        if path == "/api":
            return {"kind": "APIVersions", "versions": ["v1"]}
        if path == "/apis":
            groups = [(version.split("/")[2], version.split("/")[3]) for version in RESOURCES if "/apis/" in version]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [
                {"name": group, "versions": [{"groupVersion": f"{group}/{version}", "version": version}],
                 "preferredVersion": {"groupVersion": f"{group}/{version}", "version": version}}
                for group, version in groups]}
        if path in RESOURCES:
            version = path.removeprefix("/apis/").removeprefix("/api/")
            return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": [
                {"name": name, "singularName": "", "kind": kind, "namespaced": spaced, "verbs": ["get", "list"]}
                for name, kind, spaced in RESOURCES[path]]}
        plural = path.rsplit("/", 1)[1]
        for version, known in RESOURCES.items():
            for name, kind, _ in known:
                if path.startswith(version) and name == plural:
                    return {"kind": kind + "List", "apiVersion": version.removeprefix("/apis/").removeprefix("/api/"),
                            "metadata": {}, "items": self.objects.get(kind, [])}
        return None

    def do_GET(self):
        answer = self.answer(urlsplit(self.path).path)
        failure = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404}
        body = (answer() if callable(answer) else json.dumps(answer or failure)).encode()
        self.send_response(200 if answer else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Kubernetes:
    """Gives the environment with which kubectl asks it."""

    def __init__(self, objects, raw=None):
        self.handler = type("Api", (ApiServer,), {"objects": objects, "raw": raw or {}})

    def __enter__(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()
        self.folder = tempfile.TemporaryDirectory()
        config = Path(self.folder.name, "kubeconfig")
        config.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{self.server.server_port}"}}],
            "users": [{"name": "u", "user": {}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}]}))
        return clean_environment() | {"KUBECONFIG": str(config), "HOME": self.folder.name}

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
        self.folder.cleanup()
