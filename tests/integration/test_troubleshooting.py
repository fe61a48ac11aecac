"""What docs/how-to/troubleshooting.md says of the server, with the real binary: each row of its table, each
answer that it explains, and every name that it tells people to type."""

import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import hostile_models
from harness import BINARY, LIMIT, ROOT, Server, clean_environment, copy_models, wait_until
from test_readiness import ROW, serve_to_its_end

PAGE = (ROOT / "docs/how-to/troubleshooting.md").read_text()
CLUSTER = {  # rows that only a cluster can show: tests/e2e and tests/chart have them
    "`ImagePullBackOff`, `ErrImagePull`, `ErrImageNeverPull`", "`OOMKilled`", "`Pending`",
    "no pod at all, event `FailedCreate … exceeded quota`", "`violates PodSecurity`"}


def rows():
    """Of the table of pods that do not start: what one sees, why, and what helps."""
    table = PAGE.split("## Pods do not start")[1].split("\n## ")[0]
    found = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()
             if line.startswith("| ") and not line.startswith("| reason")]
    return {row[0]: row[1:] for row in found}


def ask(*words):
    return subprocess.run([BINARY, *map(str, words)], capture_output=True, text=True, timeout=LIMIT, check=False,
                          env=clean_environment())


class Pods(unittest.TestCase):
    """A test for each row. Stuck executors: test_faults.py."""

    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="podsense-models-"))
        self.addCleanup(shutil.rmtree, self.root)

    def row(self, reason, *said):
        why, helps = rows()[reason]
        for words in said:
            self.assertIn(words, why + " | " + helps, reason)

    def break_model(self, name):
        (self.root / name / "1").mkdir(parents=True, exist_ok=True)
        (self.root / name / "1/model.onnx").write_bytes(b"this is no model")

    def test_every_row_is_one_of_these(self):
        source = Path(__file__).read_text()
        for reason in set(rows()) - CLUSTER:
            self.assertIn(f'self.row("{reason}"', source, "a row was added: test it here")
        self.assertLessEqual(CLUSTER, set(rows()))

    def test_exit_code_2(self):
        self.row("`CrashLoopBackOff`, exit code 2", "a setting is wrong", "a default names a model that the repository lacks",
                 "names every fault", "`podsense serve --print-config` tries it")
        copy_models(self.root, "simulated")
        file = self.root / "podsense.yaml"
        file.write_text("http:\n  prt: 5\nlimits:\n  request_timeout: soon\n")
        code, _, said = serve_to_its_end(self.root, "--config", file)
        self.assertEqual(code, 2, said)
        tried = ask("serve", "--print-config", "--config", file)
        self.assertEqual((tried.returncode, tried.stderr), (2, said))
        for fault in ("http.prt", "request_timeout"):
            self.assertIn(fault, said)
        code, _, said = serve_to_its_end(self.root, "--defaults", "image-classification=other")
        self.assertEqual(code, 2, said)
        self.assertIn("'other'", said)

    def test_exit_code_1(self):
        self.row("`CrashLoopBackOff`, exit code 1", "a port is taken", "the repository is missing, empty, or nothing in it loads",
                 "nobody polls it (`models.reload_interval` is 0)", "`podsense check --models DIR`")
        empty = self.root / "empty"
        empty.mkdir()
        for models in (self.root / "missing", empty):
            code, _, said = serve_to_its_end(models)
            self.assertEqual((code, said != ""), (1, True), said)
        broken = self.root / "broken"
        self.root = broken
        self.break_model("one")
        code, _, said = serve_to_its_end(broken)
        self.assertEqual(code, 1, said)
        self.assertIn("one/1", said)
        checked = ask("check", "--models", broken)
        self.assertNotEqual(checked.returncode, 0)
        self.assertIn("one", checked.stdout + checked.stderr)
        with Server() as server:
            code, _, said = serve_to_its_end(server.models, "--http-port", str(server.http_port))
            self.assertEqual(code, 1, said)
            self.assertIn(str(server.http_port), said)
        with Server("--reload-interval", "50ms", models=broken, ready=False) as polling:  # somebody polls
            wait_until(lambda: polling.get("/startupz").status == 200, what="started")

    def test_running_never_ready(self):
        self.row("running, never ready", "nothing serves, and the server polls", "is still being opened and no other serves",
                 "`models.strict_readiness` is on", "hold more than half of the executors", "under `problems`")
        with Server("--reload-interval", "1h", models=self.root, ready=False) as server:
            wait_until(lambda: server.get("/startupz").status == 200, what="started")
            self.not_ready(server)
        hostile_models.endless_loop(self.root)
        with Server("--load-timeout", "10m", models=self.root, ready=False) as server:
            wait_until(lambda: server.log_lines("model_pending"), what="the end of patience")
            self.not_ready(server, "still being opened")
        shutil.rmtree(self.root)
        copy_models(self.root, "simulated")
        self.break_model("one")
        with Server("--strict-readiness", models=self.root, ready=False) as server:
            wait_until(lambda: server.get("/startupz").status == 200, what="started")
            self.not_ready(server, "one/1")

    def not_ready(self, server, said=""):
        self.assertEqual(server.get("/readyz").status, 503)
        self.assertTrue(any(said in problem for problem in server.health()["problems"]), server.health())

    def test_ready_and_one_model_answers_503(self):
        self.row("ready, and one model answers 503", "could not be loaded", "the others serve", "`degraded`",
                 "repair or remove it, then `POST /v1/reload`")
        copy_models(self.root, "simulated")
        self.break_model("random-forest")
        with Server(models=self.root) as server:
            self.assertEqual(server.get("/readyz").status, 200)
            self.assertEqual(server.health()["status"], "degraded")
            self.assertTrue(any("random-forest/1" in problem for problem in server.health()["problems"]))
            self.assertEqual(server.post_json("/predict-single", ROW).status, 503)
            self.assertEqual(server.get("/infer?cpu_ms=0").status, 200)
            self.assertNotEqual(ask("check", "--models", self.root).returncode, 0)
            shutil.rmtree(self.root / "random-forest")
            copy_models(self.root, "random-forest")
            self.assertEqual(server.admin("POST", "/v1/reload").status, 200)
            self.assertEqual(server.health()["status"], "ok")
            self.assertEqual(server.post_json("/predict-single", ROW).status, 200)


class Answers(unittest.TestCase):
    def says(self, words):
        self.assertIn(words, re.sub(r"\s+", " ", PAGE))

    def test_413_429_503_504(self):
        self.says("**413**: the body is over the limit of the server (`limits.max_body_bytes`, 20 MiB; JSON: `limits.max_json_bytes`, 28 MiB)")
        self.says("**429**: a rate limit. **503 with `Retry-After`**: the queue could not meet the deadline")
        self.says("**504**: the deadline passed.")
        with Server() as server:
            body = b"x" * (20 * 1024 * 1024 + 1)
            self.assertEqual(server.post("/predict", body, "image/jpeg").status, 413)
            self.assertNotEqual(server.post("/predict", body[1:], "image/jpeg").status, 413)
        with Server("--request-timeout", "300ms") as server:
            self.assertEqual(server.post("/infer?cpu_ms=2000").status, 504)
        # Nobody may wait, so that the queue meets no deadline.
        with Server("--executors", "1", "--max-queue-length", "1") as server:
            busy = [server.raw() for _ in range(4)]
            answers = []
            for client in busy:
                self.addCleanup(client.socket.close)
                client.send(b"POST /infer?cpu_ms=500 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
            answers = [client.read() for client in busy]
            refused = [answer for answer in answers if answer.status == 503]
            self.assertTrue(refused, answers)
            self.assertTrue(all(int(answer.headers["retry-after"]) >= 1 for answer in refused))
        with tempfile.TemporaryDirectory() as folder:
            keys = Path(folder) / "keys"
            keys.write_text("ana:ana-0123456789abcdef\n")
            with Server("--auth-api-keys", keys, "--auth-rate", "0.01", "--auth-burst", "1") as server:
                headers = {"Authorization": "Bearer ana-0123456789abcdef"}
                statuses = [server.get("/infer?cpu_ms=0", headers).status for _ in range(2)]
                self.assertEqual(statuses, [200, 429])

    def test_fetching(self):
        self.says("**`/predict/url` answers 403 or 502**: addresses inside the cluster, of the cloud's metadata and other "
                  "private ones are refused on purpose")
        with Server() as server:
            for url in ("http://10.0.0.1/x.jpg", "http://169.254.169.254/latest", "http://127.0.0.1/x.jpg"):
                self.assertEqual(server.post_json("/predict/url", {"url": url}).status, 403, url)
            self.assertEqual(server.post_json("/predict/url", {"url": "http://nowhere.invalid/x.jpg"}).status, 502)

    def test_times_of_a_drain(self):
        self.says("does `terminationGracePeriodSeconds` (40) still exceed `shutdown.drain_timeout` (25 s)? Is a load balancer "
                  "outside the cluster slower to notice than `shutdown.drain_delay` (5 s)?")
        self.assertRegex((ROOT / "helm/podsense/values.yaml").read_text(), r"(?m)^terminationGracePeriodSeconds: 40$")
        settings = ask("serve", "--print-config").stdout
        self.assertRegex(settings, r"drain_timeout: 25s ")
        self.assertRegex(settings, r"drain_delay: 5s ")


class Scripts(unittest.TestCase):
    def test_what_they_say_is_quoted_as_they_say_it(self):
        quoted = re.findall(r"\*\*`([^`]+)`\*\*", PAGE.split("## The cluster")[1].split("\n## ")[0])
        self.assertEqual(len(quoted), 2)
        scripts = "".join(path.read_text() for path in sorted((ROOT / "scripts").glob("*.sh")))
        for words in quoted:
            self.assertIn(words.replace("(kind)", "($on)"), scripts)


class Names(unittest.TestCase):
    """What it tells people to type exists."""

    def test_settings_values_scripts_targets_and_commands(self):
        code = re.findall(r"`([^`]+)`", re.sub(r"\s+", " ", PAGE))
        settings = (ROOT / "docs/reference/configuration.md").read_text()
        values = (ROOT / "helm/podsense/values.yaml").read_text()
        targets = (ROOT / "Makefile").read_text()
        seen = 0
        for text in code:
            with self.subTest(text):
                if re.fullmatch(r"(limits|models|shutdown)\.\w+", text):
                    self.assertIn(f"`{text}`", settings)
                elif re.fullmatch(r"(resources|ingress|networkPolicy|image)(\.\w+)+|replicaCount", text):
                    self.assertRegex(values, rf"(?m)^ *{text.split('.')[-1]}:|{text.split('.')[-1]}: ")
                elif text.startswith(("scripts/", "./")):
                    self.assertTrue((ROOT / text.split()[0]).is_file())
                elif text.startswith("make "):
                    for target in re.sub(r"\w+=\S+", "", text).split()[1:]:
                        self.assertRegex(targets, rf"(?m)^([\w-]+ )*{target}( [\w-]+)*:")
                elif text.startswith("podsense "):
                    self.assertIn(ask(text.split()[1], "--help").returncode, (0,))
                else:
                    continue
                seen += 1
        self.assertGreater(seen, 20)


if __name__ == "__main__":
    unittest.main()
