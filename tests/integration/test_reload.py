"""Hot reload: a new version takes over with no failed request; a bad one changes nothing."""

import hashlib
import json
import os
import shutil
import signal
import tempfile
import threading
import unittest
from pathlib import Path

from harness import MODELS, RawClient, Server, copy_models, post, wait_until

ROW = {"features": [0.5] * 20}
BODY = post("/predict-single", json.dumps(ROW).encode(), [("Content-Type", "application/json")])


class Traffic(threading.Thread):
    """A closed loop on one connection; every answer must be 200."""

    def __init__(self, port):
        super().__init__()
        self.port = port
        self.stop = threading.Event()
        self.versions = []
        self.failures = []

    def run(self):
        try:
            with RawClient(self.port) as client:
                while not self.stop.is_set():
                    answer = client.exchange(BODY)
                    if answer.status != 200:
                        self.failures.append(repr(answer))
                    elif not self.versions or self.versions[-1] != answer.json["version"]:
                        self.versions.append(answer.json["version"])
        except Exception as error:  # must reach the test
            self.failures.append(repr(error))


class Reload(unittest.TestCase):
    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="podsense-models-"))
        self.addCleanup(shutil.rmtree, self.root)
        copy_models(self.root, "random-forest", "simulated")

    def add_version(self, version, data=None, manifest=None, model="random-forest"):
        """As a careful publisher does it: complete first, then in place in one step."""
        partial = self.root / f".new-{version}"
        partial.mkdir()
        data = (MODELS / "random-forest/1/model.onnx").read_bytes() if data is None else data
        (partial / "model.onnx").write_bytes(data)
        if manifest:
            (partial / "model.yaml").write_text(manifest)
        os.rename(partial, self.root / model / str(version))

    def set_manifest(self, extra, model="random-forest"):
        text = (MODELS / model / "model.yaml").read_text()
        partial = self.root / ".model.yaml"
        partial.write_text(text + extra)
        os.rename(partial, self.root / model / "model.yaml")

    def server(self, *flags):
        return Server(*flags, models=self.root)

    @staticmethod
    def version(server, query=""):
        answer = server.post_json("/predict-single" + query, ROW)
        return answer.json.get("version", answer.status)

    @staticmethod
    def reload(server, status=200):
        answer = server.admin("POST", "/v1/reload")
        assert answer.status == status, answer
        return answer.json

    def under_traffic(self, server, change, versions):
        clients = [Traffic(server.http_port) for _ in range(4)]
        for client in clients:
            client.start()
        try:
            for client in clients:
                wait_until(lambda client=client: client.versions or client.failures)
            change()
            wait_until(lambda: all(c.failures or c.versions[-1] == versions[-1] for c in clients),
                       what=f"version {versions[-1]} for everybody")
        finally:
            for client in clients:
                client.stop.set()
                client.join()
        for client in clients:
            self.assertEqual(client.failures, [])
            self.assertEqual(client.versions, versions)

    # --- the three triggers
    def test_by_the_admin_api(self):
        with self.server() as server:
            def change():
                self.add_version(2)
                self.assertEqual(self.reload(server), {"loaded": ["random-forest/2"],
                                                       "retired": ["random-forest/1"],
                                                       "refused": []})
            self.under_traffic(server, change, ["1", "2"])
            wait_until(lambda: server.log_lines("model_unloaded"), what="the old one's end")

    def test_by_sighup(self):
        with self.server() as server:
            def change():
                self.add_version(2)
                server.signal(signal.SIGHUP)
            self.under_traffic(server, change, ["1", "2"])

    def test_by_polling(self):
        with self.server("--reload-interval", "100ms") as server:
            self.under_traffic(server, lambda: self.add_version(2), ["1", "2"])
            self.under_traffic(server, lambda: self.add_version(3), ["2", "3"])

    def test_back_and_forth_many_times(self):
        with self.server() as server:
            def change():
                for _ in range(10):
                    self.add_version(2)
                    self.reload(server)
                    shutil.rmtree(self.root / "random-forest/2")
                    self.reload(server)
                self.add_version(3)
                self.reload(server)
            clients = [Traffic(server.http_port) for _ in range(4)]
            for client in clients:
                client.start()
            change()
            for client in clients:
                wait_until(lambda c=client: c.failures or (c.versions and c.versions[-1] == "3"))
                client.stop.set()
                client.join()
                self.assertEqual(client.failures, [])

    def test_each_trigger_can_be_switched_off(self):
        with self.server("--no-reload-api") as server:
            self.assertEqual(server.admin("POST", "/v1/reload").status, 404)
        with self.server("--no-reload-signal") as server:
            self.add_version(2)
            server.signal(signal.SIGHUP)
            self.assertEqual(self.version(server), "1")
            self.assertEqual(self.reload(server)["loaded"], ["random-forest/2"])
            self.assertEqual(server.log_lines("reload_requested"), [])

    def test_the_api_takes_post_alone_and_says_when_nothing_changed(self):
        with self.server() as server:
            self.assertEqual(server.admin("GET", "/v1/reload").status, 405)
            self.assertEqual(self.reload(server), {"loaded": [], "retired": [], "refused": []})
            names = [(m["name"], m["version"]) for m in server.admin("GET",
                                                                     "/v1/models").json["models"]]
            self.assertEqual(names, [("random-forest", "1"), ("simulated", "1")])

    # --- bad versions
    def refused(self, server, reason, version="2"):
        """Version 2 is refused for this reason everywhere a person looks; version 1 serves on."""
        (refusal,) = self.reload(server, 409)["refused"]
        self.assertRegex(refusal, f"^random-forest/{version}: {reason}")
        self.assertEqual(self.version(server), "1")
        health = server.get("/health")
        self.assertEqual((health.status, health.json["status"]), (200, "degraded"))
        self.assertEqual(health.json["problems"], [refusal])
        self.assertEqual(server.get("/readyz").status, 200)
        failed = [m for m in health.json["models"] if m["state"] == "failed"]
        self.assertEqual([(m["name"], m["version"]) for m in failed], [("random-forest", version)])
        self.reload(server, 409)  # asked again, it is not logged again
        (line,) = server.log_lines("model_refused")
        self.assertIn(line["reason"], refusal)
        # and it heals
        shutil.rmtree(self.root / "random-forest" / version)
        self.assertEqual(self.reload(server)["refused"], [])
        self.assertEqual(server.health()["status"], "ok")

    def test_a_broken_file_is_refused_and_the_old_version_serves_on(self):
        with self.server() as server:
            def change():
                self.add_version(2, b"this is no model")
                self.reload(server, 409)
                shutil.rmtree(self.root / "random-forest/2")
                self.add_version(3)
                self.reload(server)
            self.under_traffic(server, change, ["1", "3"])

    def test_reasons_can_be_read(self):
        whole = (MODELS / "random-forest/1/model.onnx").read_bytes()
        cases = (("junk", b"this is no model", None, r".*(ONNX|model)"),
                 ("empty", b"", None, r".*(empty|0 bytes)"),
                 ("cut short", whole[:len(whole) // 2], None, r".*(ONNX|model)"),
                 ("wrong sha256", None, f"sha256: {'0' * 64}\n",
                  r".*SHA-256.*model\.yaml says 0000"),
                 ("too large", None, "limits: {max_bytes: 1000}\n", r".*1000"),
                 ("unknown key", None, "tsk: tabular-classification\n", r".*'tsk'.*task"),
                 ("bad YAML", None, "task: [\n", r".*line"),
                 ("wrong task", None, "task: image-classification\n", r"."))
        for what, data, manifest, reason in cases:
            with self.subTest(what), self.server() as server:
                self.add_version(2, data, manifest)
                self.refused(server, reason)

    def test_a_right_sha256_is_accepted(self):
        data = (MODELS / "random-forest/1/model.onnx").read_bytes()
        self.add_version(2, data, f"sha256: {hashlib.sha256(data).hexdigest()}\n")
        with self.server() as server:
            self.assertEqual(self.version(server), "2")

    def test_a_folder_without_a_model_is_refused(self):
        with self.server() as server:
            (self.root / "random-forest/2").mkdir()
            self.refused(server, r".*model\.onnx")

    def test_a_missing_repository_is_reported_and_can_come(self):
        gone = self.root / "later"
        with Server("--reload-interval", "100ms", models=gone, ready=False) as server:
            wait_until(lambda: server.get("/startupz").status == 200, what="started")
            health = server.get("/health")
            self.assertEqual(health.status, 503)
            self.assertIn(str(gone), " ".join(health.json["problems"]))
            partial = self.root / "partial"
            partial.mkdir()
            copy_models(partial, "random-forest")
            os.rename(partial, gone)
            server.wait_ready()
            self.assertEqual(self.version(server), "1")

    def test_a_repository_that_goes_away_is_one_line_and_its_return_another(self):
        with Server("--reload-interval", "20ms", models=self.root) as server:
            away = self.root.with_name(self.root.name + "-away")
            for _ in range(2):
                os.rename(self.root, away)
                told = len(server.log_lines("repository_unreadable"))
                wait_until(lambda n=told: len(server.log_lines("repository_unreadable")) > n, what="the line")
                for _ in range(3):  # a reload each, beside the polls
                    self.assertEqual(server.admin("POST", "/v1/reload").status, 404)
                os.rename(away, self.root)
                back = len(server.log_lines("repository_readable"))
                wait_until(lambda n=back: len(server.log_lines("repository_readable")) > n, what="its return")
            self.assertEqual(len(server.log_lines("repository_unreadable")), 2)
            self.assertEqual(len(server.log_lines("repository_readable")), 2)
            self.assertEqual(server.log_lines("control_failed"), [])
            self.assertIn(str(self.root), server.log_lines("repository_unreadable")[0]["message"])

    # --- which versions
    def test_version_policies(self):
        self.add_version(2)
        self.add_version(10)
        served = {"": ["10"],
                  "versions: {policy: latest}\n": ["10"],
                  "versions: {policy: latest, keep: 2}\n": ["2", "10"],
                  "versions: {policy: all}\n": ["1", "2", "10"],
                  "versions: {policy: list, list: [1, 2]}\n": ["1", "2"]}
        with self.server() as server:
            for manifest, versions in served.items():
                with self.subTest(manifest=manifest):
                    self.set_manifest(manifest)
                    self.reload(server)
                    self.assertEqual(self.version(server), versions[-1])
                    for version in ("1", "2", "10"):
                        expected = version if version in versions else 404
                        self.assertEqual(self.version(server, f"?version={version}"), expected)

    def test_a_listed_version_that_is_not_there_is_reported(self):
        with self.server() as server:
            self.set_manifest("versions: {policy: list, list: [1, 7]}\n")
            (refusal,) = self.reload(server, 409)["refused"]
            self.assertIn("7", refusal)
            self.assertEqual(self.version(server), "1")

    def test_removing_a_model(self):
        with self.server() as server:
            shutil.rmtree(self.root / "random-forest")
            self.assertEqual(self.reload(server)["retired"], ["random-forest/1"])
            answer = server.post_json("/predict-single", ROW)
            self.assertEqual(answer.status, 404)
            self.assertEqual(answer.json["error"], "no model for tabular-classification or "
                                                   "tabular-regression is served; there are: simulated")
            self.assertEqual(server.get("/infer?cpu_ms=0").status, 200)
            self.assertNotIn("random-forest", server.admin("GET", "/v1/models").text)

    def test_requests_of_a_version_that_goes_are_answered(self):
        with self.server("--executors", "2") as server, server.raw() as client:
            client.send(post("/infer?cpu_ms=500", b""))
            wait_until(lambda: server.metric("podsense_in_flight", model="simulated") == 1)
            shutil.rmtree(self.root / "simulated")
            self.assertEqual(self.reload(server)["retired"], ["simulated/1"])
            self.assertEqual(client.read().status, 200)
            wait_until(lambda: server.log_lines("model_unloaded"), what="the end of the version")

    def test_model_name_is_the_default_of_its_task_in_a_repository_too(self):
        shutil.copytree(self.root / "random-forest", self.root / "another")
        with self.server() as server:
            self.assertEqual(server.post_json("/predict-single", ROW).json["model"], "another")
        for env in ({"MODEL_NAME": "random-forest"}, {"PODSENSE_MODEL_NAME": "random-forest"}):
            with Server(models=self.root, env=env) as server:
                answer = server.post_json("/predict-single", ROW)
                self.assertEqual(answer.json["model"], "random-forest")
                self.assertEqual(server.get("/infer?cpu_ms=0").json["model"], "simulated")
        env = {"MODEL_NAME": "random-forest", "PODSENSE_DEFAULTS": "tabular-classification=another"}
        with Server(models=self.root, env=env) as server:
            self.assertEqual(server.post_json("/predict-single", ROW).json["model"], "another")

    # --- a folder with one model
    def test_a_single_model_as_kserve_mounts_it(self):
        folder = self.root / "mount"
        folder.mkdir()
        shutil.copy(MODELS / "random-forest/1/model.onnx", folder)
        for flags, name in (((), "model"), (("--model-name", "iris"), "iris")):
            with Server(*flags, models=folder) as server:
                answer = server.post_json("/predict-single", ROW)
                self.assertEqual((answer.status, answer.json["model"], answer.json["version"]),
                                 (200, name, "1"))
        with Server(models=folder, env={"MODEL_NAME": "from-env"}) as server:
            self.assertEqual(server.post_json("/predict-single?model=from-env", ROW).status, 200)


if __name__ == "__main__":
    unittest.main(verbosity=2)
