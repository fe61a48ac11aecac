"""Start-up and readiness: every row of docs/reference/readiness.md, with the real binary."""

import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import hostile_models
from harness import BINARY, LIMIT, ROOT, Server, clean_environment, copy_models, wait_until

ROW = {"features": [0.5] * 20}


def serve_to_its_end(models, *flags):
    """Exit code, stdout and stderr of a server that should not go on."""
    ended = subprocess.run(
        [BINARY, "serve", "--models", models, "--host", "127.0.0.1", "--admin-host", "127.0.0.1",
         "--http-port", "0", "--grpc-port", "0", "--admin-port", "0", *flags],
        capture_output=True, text=True, timeout=LIMIT, check=False, env=clean_environment())
    return ended.returncode, ended.stdout, ended.stderr


class Readiness(unittest.TestCase):
    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="podsense-models-"))
        self.addCleanup(shutil.rmtree, self.root)

    def break_model(self, name, version="1"):
        (self.root / name / version).mkdir(parents=True, exist_ok=True)
        (self.root / name / version / "model.onnx").write_bytes(b"this is no model")

    # --- exit code 2
    def test_a_wrong_setting(self):
        copy_models(self.root, "simulated")
        code, _, said = serve_to_its_end(self.root, "--log-level", "loud")
        self.assertEqual(code, 2, said)

    def test_a_default_that_the_repository_lacks(self):
        copy_models(self.root, "simulated", "random-forest")
        for task in ("image-classification", "tabular-classification", "simulated"):
            for more in ((), ("--reload-interval", "1s"), ("--strict-readiness",)):
                code, _, said = serve_to_its_end(self.root, "--defaults", f"{task}=nosuch", *more)
                self.assertEqual(code, 2, said)
                self.assertIn("'nosuch'", said)
                self.assertIn("there are: random-forest, simulated", said)

    # --- exit code 1
    def test_nothing_to_serve_and_no_polling(self):
        empty = self.root / "empty"
        empty.mkdir()
        for models, reason in ((self.root / "missing", "missing"), (empty, "holds none")):
            code, out, said = serve_to_its_end(models)
            self.assertEqual(code, 1, said)
            self.assertIn(reason, said)
            self.assertIn('"event":"serving_failed"', out)

    def test_nothing_in_it_loads_and_no_polling(self):
        self.break_model("one")
        self.break_model("two")
        (self.root / "three/x").mkdir(parents=True)  # no version at all
        code, _, said = serve_to_its_end(self.root)
        self.assertEqual(code, 1, said)
        for name in ("one/1: ", "two/1: "):
            self.assertIn(name, said)

    def test_a_default_in_an_empty_repository_is_no_wrong_setting(self):
        code, _, said = serve_to_its_end(self.root, "--defaults", "image-classification=later")
        self.assertEqual(code, 1, said)

    # --- with polling it runs
    def test_with_polling_it_waits_for_models(self):
        self.break_model("one")
        for models in (self.root, self.root / "missing"):
            with Server("--reload-interval", "50ms", models=models, ready=False) as server:
                wait_until(lambda s=server: s.get("/startupz").status == 200, what="started")
                self.assert_not_ready(server)
        with Server("--reload-interval", "50ms", models=self.root, ready=False) as server:
            self.assert_not_ready(server)
            copy_models(self.root, "simulated")
            server.wait_ready()

    def assert_not_ready(self, server):
        self.assertEqual(server.get("/readyz").status, 503)
        health = server.get("/health")
        self.assertEqual((health.status, health.json["status"]), (503, "unavailable"))
        self.assert_alive(server)

    def assert_alive(self, server):
        for path in ("/livez", "/health?probe=liveness"):
            for ask in (server.get, lambda p: server.admin("GET", p)):
                self.assertEqual((ask(path).status, ask(path).json), (200, {"live": True}), path)

    # --- one fails, one serves
    def test_one_fails_and_one_serves(self):
        copy_models(self.root, "simulated")
        self.break_model("random-forest")
        with Server(models=self.root) as server:
            health = server.get("/health")
            self.assertEqual((health.status, health.json["status"]), (200, "degraded"))
            (problem,) = health.json["problems"]
            self.assertRegex(problem, "^random-forest/1: .*(ONNX|model)")
            self.assertEqual(server.get("/readyz").status, 200)
            self.assertEqual(server.get("/health?probe=readiness").json, {"ready": True})
            self.assertEqual(server.get("/health?probe=startup").json, {"started": True})
            self.assertEqual(server.get("/infer?cpu_ms=0").status, 200)
            # The reason is given on the routes of the model that failed, and 404 is for others.
            for path, body in (("/predict-single", ROW), ("/predict-single?model=random-forest", ROW)):
                answer = server.post_json(path, body)
                self.assertEqual((answer.status, answer.json["code"]), (503, "UNAVAILABLE"))
                self.assertIn("random-forest/1", answer.json["error"])
                self.assertGreaterEqual(int(answer.headers["retry-after"]), 1)
            self.assertEqual(server.post_json("/predict-single?model=other", ROW).status, 404)
            self.assertEqual(server.get("/v2/models/random-forest/ready").status, 503)
            self.assertEqual(server.get("/v2/health/ready").status, 200)
            self.assert_alive(server)
        with Server("--strict-readiness", models=self.root, ready=False) as server:
            wait_until(lambda: server.get("/startupz").status == 200, what="started")
            self.assert_not_ready(server)
            self.assertEqual(server.get("/v2/health/ready").status, 503)
            self.assertEqual(server.get("/infer?cpu_ms=0").status, 200)

    def test_the_model_behind_a_default_fails(self):
        copy_models(self.root, "simulated")
        self.break_model("random-forest")
        flags = ("--defaults", "tabular-classification=random-forest")
        with Server(*flags, models=self.root) as server:
            answer = server.post_json("/predict-single", ROW)
            self.assertEqual((answer.status, answer.json["code"]), (503, "UNAVAILABLE"))
            self.assertIn("random-forest/1", answer.json["error"])
            (line,) = server.log_lines("default_model_unavailable")
            self.assertEqual((line["level"], line["model"]), ("warning", "random-forest"))
        with Server(*flags, "--strict-readiness", models=self.root, ready=False) as server:
            wait_until(lambda: server.get("/startupz").status == 200, what="started")
            self.assert_not_ready(server)

    def test_a_new_version_that_fails_leaves_strict_readiness_alone(self):
        copy_models(self.root, "simulated", "random-forest")
        self.break_model("random-forest", "2")
        shutil.copytree(self.root / "random-forest/1", self.root / "random-forest/3")
        with Server("--strict-readiness", models=self.root) as server:
            self.break_model("random-forest", "4")
            self.assertEqual(server.admin("POST", "/v1/reload").status, 409)
            self.assertEqual(server.health()["status"], "degraded")
            self.assertEqual(server.get("/readyz").status, 200)

    # --- still being opened
    def test_a_model_that_is_still_being_opened(self):
        hostile_models.endless_loop(self.root)
        with Server("--load-timeout", "10m", models=self.root, ready=False) as server:
            wait_until(lambda: server.log_lines("model_pending"), what="the end of patience")
            self.assert_not_ready(server)
            self.assertEqual(server.get("/startupz").status, 503)
        copy_models(self.root, "simulated")
        with Server("--load-timeout", "10m", models=self.root) as server:
            self.assertEqual(server.health()["status"], "degraded")
            self.assertIn("still being opened", server.health()["problems"][0])

    def test_a_startup_probe_that_waits(self):
        copy_models(self.root, "simulated", "random-forest")
        with Server(models=self.root, ready=False) as server:
            # Asked as soon as it listens; while models load, or after: the first answer is the last.
            answer = server.admin("GET", "/startupz?wait")
            self.assertEqual((answer.status, answer.json), (200, {"started": True}))
            self.assertEqual(server.get("/startupz?wait").status, 200)

    # --- nothing serves any more
    def test_nothing_serves_any_more(self):
        copy_models(self.root, "simulated")
        with Server(models=self.root) as server:
            shutil.rmtree(self.root / "simulated")
            self.assertEqual(server.admin("POST", "/v1/reload").status, 200)
            self.assert_not_ready(server)

    def test_an_unknown_probe_is_told_the_known_ones(self):
        copy_models(self.root, "simulated")
        with Server(models=self.root) as server:
            answer = server.get("/health?probe=live")
            self.assertEqual(answer.status, 400)
            self.assertIn("probe=liveness", answer.json["error"])
            self.assertEqual(server.get("/health?verbose").status, 200)

    def test_the_documentation_has_the_table(self):
        page = (ROOT / "docs/reference/readiness.md").read_text()
        rows = [line for line in page.splitlines() if line.startswith("| ")]
        self.assertEqual(len(rows), 13, "a row was added: test it above, or in test_drain.py")


if __name__ == "__main__":
    unittest.main(verbosity=2)
