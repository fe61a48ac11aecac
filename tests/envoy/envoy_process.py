"""A real Envoy on free ports, with the configuration that ships; only ports, paths and times of
waiting are changed."""

import json
import shutil
import signal
import subprocess
import tempfile
import urllib.request
from importlib.resources import files
from pathlib import Path

from harness import LIMIT, ROOT, wait_until

BINARY = Path(str(files("envoy") / "_bin" / "envoy"))
CONFIGURATION = ROOT / "envoy/envoy.yaml"


def validate(path, folder):
    return subprocess.run([BINARY, "--mode", "validate", "-c", path], cwd=folder, check=False,
                          capture_output=True, text=True, timeout=LIMIT)


class Envoy:
    """Runs while the block does. `changes` are (text, replacement) pairs; each text must be there."""

    def __init__(self, descriptor_set, grpc_port, http_port, changes=()):
        self.folder = Path(tempfile.mkdtemp(prefix="podsense-envoy-"))
        shutil.copy(descriptor_set, self.folder / "podsense.pb")
        text = CONFIGURATION.read_text()
        for old, new in [("port_value: 9901", "port_value: 0"), ("port_value: 8081", "port_value: 0"),
                         ("address: 0.0.0.0", "address: 127.0.0.1"),
                         ("port_value: 9000", f"port_value: {grpc_port}"),
                         ("port_value: 8080", f"port_value: {http_port}"),
                         ("interval: 2s", "interval: 0.1s"), *changes]:
            if old not in text:
                raise AssertionError(f"envoy.yaml has no {old!r}")
            text = text.replace(old, new)
        (self.folder / "envoy.yaml").write_text(text)

    def __enter__(self):
        self.log = open(self.folder / "log", "wb")  # noqa: SIM115  closed at exit
        address = self.folder / "admin"
        self.process = subprocess.Popen(
            [BINARY, "-c", "envoy.yaml", "--log-level", "warning", "--concurrency", "1",
             "--use-dynamic-base-id", "--drain-time-s", "1", "--admin-address-path", address],
            cwd=self.folder, stdout=self.log, stderr=subprocess.STDOUT)
        try:
            wait_until(lambda: self._alive() and address.exists() and address.read_text(),
                       what="Envoy's admin port")
            self.admin_address = address.read_text()
            wait_until(lambda: self.admin("/ready", expect=None) == "LIVE\n", what="Envoy's readiness")
            listeners = json.loads(self.admin("/listeners?format=json"))["listener_statuses"]
            found = next(one for one in listeners if one["name"] == "http")
            self.port = found["local_address"]["socket_address"]["port_value"]
            self.wait_healthy()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(LIMIT)
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _alive(self):
        if self.process.poll() is not None:
            raise AssertionError(f"Envoy ended:\n{self.log_text()[-3000:]}")
        return True

    def log_text(self):
        return (self.folder / "log").read_text(errors="replace")

    def admin(self, path, method="GET", expect=200):
        try:
            request = urllib.request.Request(f"http://{self.admin_address}{path}", method=method)
            with urllib.request.urlopen(request, timeout=LIMIT) as answer:
                return answer.read().decode()
        except OSError:
            if expect is not None:
                raise
            return None

    def healthy(self, cluster="grpc"):
        """How many servers of a cluster Envoy sends requests to."""
        for status in json.loads(self.admin("/clusters?format=json"))["cluster_statuses"]:
            if status["name"] == cluster:
                return sum(not host["health_status"].get("failed_active_health_check", False)
                           for host in status.get("host_statuses", []))
        return 0

    def wait_healthy(self):
        for cluster in ("grpc", "http"):
            wait_until(lambda name=cluster: self._alive() and self.healthy(name) > 0,
                       what=f"a healthy server of {cluster}")
