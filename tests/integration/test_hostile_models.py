"""Whatever a model's files hold: it ends in that model's reason, and its neighbours serve, at start and on reload."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import unittest
from pathlib import Path

import hostile_models
from harness import BINARY, SANITIZER, Server, clean_environment, wait_until
from onnx_writer import FLOAT, INT64, add_one, floats, model, node, put, value

FAILING_THREADS = os.environ.get("PODSENSE_FAILING_THREADS")
# Sanitizers need the address space that the limit of memory is about.
SANITIZED = bool(SANITIZER)


class Repository(unittest.TestCase):
    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="podsense-hostile-"))
        self.addCleanup(shutil.rmtree, self.root)

    def ask(self, server, name="good", number=1.0):
        return server.post_json(f"/v2/models/{name}/infer", {"inputs": [
            {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [number, number]}]})

    def assert_serves(self, server, name="good", number=2.0):
        answer = self.ask(server, name)
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.json["outputs"][0]["data"], [number, number])

    @staticmethod
    def reasons(server):
        """{name: reason} of what is not served."""
        return {problem.split("/")[0].split(":")[0]: problem for problem in server.health()["problems"]}


class EachKind(Repository):
    def check(self, kind, *flags):
        put(self.root, "good", add_one())
        expected = kind(self.root)
        if SANITIZED:
            expected = {name: reason for name, reason in expected.items() if reason != "takes more memory than"}
            for name in ("shape-absurd", "shape-overflow", "shape-large", "weights-made"):
                shutil.rmtree(self.root / name, ignore_errors=True)
        with Server(*flags, models=self.root) as server:
            self.assert_serves(server)
            wait_until(lambda: not any("still being opened" in r for r in self.reasons(server).values()),
                       what="the end of slow openings")
            found = self.reasons(server)
            for name, reason in expected.items():
                if reason is None:
                    self.assertNotIn(name, found)
                    self.assertEqual(server.get(f"/v2/models/{name}/ready").status, 200)
                else:
                    self.assertIn(name, found)
                    self.assertIn(reason, found[name])
            # And the next load goes on as ever.
            put(self.root, "later", add_one())
            put(self.root, "good", model([node("Add", ["x", "two"], ["y"])],
                                         initializers=[floats("two", [2.0, 2.0], [1, 2])]), version="2")
            report = server.admin("POST", "/v1/reload")
            self.assertEqual(report.status, 409, report)  # some were refused
            self.assertEqual(report.json["loaded"], ["good/2", "later/1"])
            self.assert_serves(server, "later")
            self.assert_serves(server, number=3.0)
            self.assertEqual(set(self.reasons(server)), set(found))

    def test_endless_loop(self):
        self.check(hostile_models.endless_loop, "--load-timeout", "3s")

    def test_shapes(self):
        self.check(hostile_models.shapes)

    def test_external_data(self):
        self.check(hostile_models.external_data)

    def test_files(self):
        self.check(hostile_models.files)

    def test_graphs(self):
        self.check(hostile_models.graphs)

    def test_deep_tree(self):
        self.check(hostile_models.deep_tree)

    def test_manifests(self):
        self.check(hostile_models.manifests)

    def test_versions(self):
        self.check(hostile_models.versions)


class OneRequest(Repository):
    """A request's values are its own affair, too."""

    def test_a_run_without_enough_memory_fails_alone(self):
        put(self.root, "good", add_one())
        put(self.root, "make", model([node("ConstantOfShape", ["x"], ["y"])], [value("x", INT64, [1])],
                                     [value("y", FLOAT, ["n"])]))
        with Server(models=self.root) as server:
            for count in (1 << 40, 1 << 57, (1 << 62) - 1, -1):
                answer = server.post_json("/v2/models/make/infer", {"inputs": [
                    {"name": "x", "shape": [1], "datatype": "INT64", "data": [count]}]})
                self.assertIn(answer.status, (400, 413, 503), answer)
                self.assert_serves(server)

    def test_graphs_nested_as_deep_as_any_that_load_run_on_small_stacks(self):
        put(self.root, "good", add_one())
        put(self.root, "deep", hostile_models.nested_ifs(31))
        put(self.root, "deeper", hostile_models.nested_ifs(40))
        small = ("/bin/sh", "-c", 'ulimit -Ss 256; exec "$@"', "-")
        with Server(models=self.root, executable=small) as server:
            self.assertEqual(set(self.reasons(server)), {"deeper"})
            self.assert_serves(server, "deep", 1.0)


class TheWall(Repository):
    def children(self, server):
        return [int(pid) for pid in
                Path(f"/proc/{server.pid}/task").glob("*/children") for pid in pid.read_text().split()]

    def test_others_serve_while_one_is_being_opened(self):
        put(self.root, "good", add_one())
        hostile_models.endless_loop(self.root)
        with Server("--load-timeout", "10m", models=self.root, ready=False) as server:
            wait_until(lambda: self.ask(server).status == 200, what="the neighbour's answer")
            child = wait_until(lambda: self.children(server), what="the child")[0]
            inherited = sorted(os.listdir(f"/proc/{child}/fd"), key=int)[:3]
            self.assertEqual(inherited, ["0", "1", "2"])
            sockets = [name for name in os.listdir(f"/proc/{child}/fd")
                       if os.readlink(f"/proc/{child}/fd/{name}").startswith("socket:")]
            self.assertEqual(sockets, [], "listeners are the server's own")
            server.signal(signal.SIGTERM)
            server.wait_exit()
            wait_until(lambda: not Path(f"/proc/{child}").exists(), what="the child's end")

    def test_a_crash_is_the_models_own(self):
        """The child is killed as a crash would: by a signal, and one that sanitizers leave alone."""
        put(self.root, "good", add_one())
        hostile_models.endless_loop(self.root)
        with Server("--load-timeout", "10m", models=self.root, ready=False) as server:
            # Until then, the child may be the neighbour's.
            wait_until(lambda: self.ask(server).status == 200, what="the neighbour's answer")
            os.kill(wait_until(lambda: self.children(server), what="the child")[0], signal.SIGABRT)
            server.wait_ready()
            self.assertIn("SIGABRT", self.reasons(server)["endless-loop"])
            self.assert_serves(server)
            refused = server.log_lines("model_refused")
            self.assertEqual([line["model"] for line in refused], ["endless-loop"])
            # A poll does not try it again at once.
            server.admin("POST", "/v1/reload")
            self.assertEqual(self.children(server), [])

    @unittest.skipUnless(FAILING_THREADS, "PODSENSE_FAILING_THREADS names the library to preload")
    def test_where_no_process_can_be_started_models_are_opened_here(self):
        put(self.root, "good", add_one())
        with Server(models=self.root, env={"LD_PRELOAD": FAILING_THREADS, "FAIL_SPAWN": "1"}) as server:
            self.assert_serves(server)
            said = server.log_lines("trial_impossible")
            self.assertEqual([line["model"] for line in said], ["good"])
            self.assertIn("Resource temporarily unavailable", said[0]["reason"])

    def test_known_models_need_no_child(self):
        put(self.root, "good", add_one())
        hashes = self.root.parent / (self.root.name + ".hashes")
        self.addCleanup(hashes.unlink)
        subprocess.run([BINARY, "check", "--models", self.root, "--hashes", hashes], check=True,
                       env=clean_environment(), stdout=subprocess.DEVNULL)
        self.assertIn(" good/1\n", hashes.read_text())
        with Server("--known-models", str(hashes), models=self.root,
                    env={"LD_DEBUG": "files", "LD_DEBUG_OUTPUT": str(hashes) + ".ld"}) as server:
            self.assert_serves(server)
            traces = list(hashes.parent.glob(hashes.name + ".ld.*"))
            for trace in traces:
                trace.unlink()
            self.assertEqual(len(traces), 1, "one process was started")

    def test_check_survives_them_too(self):
        put(self.root, "good", add_one())
        expected = hostile_models.deep_tree(self.root)
        done = subprocess.run([BINARY, "check", "--models", self.root, "--json"], check=False, text=True,
                              env=clean_environment(), capture_output=True)
        self.assertEqual(done.returncode, 1, done)
        rows = {row["model"]: row for row in json.loads(done.stdout)["models"]}
        self.assertTrue(rows["good/1"]["ok"])
        self.assertIn(expected["tree-deep"], rows["tree-deep/1"]["reason"])

    def test_saved_profiles_need_no_child(self):
        put(self.root, "good", add_one())
        cache = Path(tempfile.mkdtemp(prefix="podsense-cache-"))
        self.addCleanup(shutil.rmtree, cache)
        for processes in (2, 1):
            traces = cache / "ld"
            with Server("--model-cache", str(cache), models=self.root,
                        env={"LD_DEBUG": "files", "LD_DEBUG_OUTPUT": str(traces)}) as server:
                self.assert_serves(server)
            found = list(cache.glob("ld.*"))
            self.assertEqual(len(found), processes)
            for trace in found:
                trace.unlink()

    def test_without_a_limit_of_time_models_are_opened_here(self):
        put(self.root, "good", add_one())
        with Server("--load-timeout", "0s", models=self.root) as server:
            self.assert_serves(server)
            self.assertIn("measured", server.get("/v2/models/good/config").text)


if __name__ == "__main__":
    unittest.main()
