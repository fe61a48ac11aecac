"""`podsense plan measure`: a profile of a model that is served, and a scenario that takes it."""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from harness import BINARY, LIMIT, MODELS, ROOT, clean_environment
from load_venv import use_packages


def plan(*arguments, **more):
    return subprocess.run([str(BINARY), "plan", "measure", *map(str, arguments)], text=True, capture_output=True,
                          timeout=4 * LIMIT, check=False, env=clean_environment(), **more)


class Measure(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = Path(self.folder.name, "profile.json")

    def measured(self, model, *arguments):
        done = plan(MODELS, "--model", model, "--seconds", 2, "--starts", 2, "--force", "--out", self.path, *arguments)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return json.loads(self.path.read_text()), done.stdout

    def test_a_profile_follows_its_schema_and_a_scenario_takes_it(self):
        use_packages()
        import jsonschema
        schema = json.loads((ROOT / "docs/reference/profile.schema.json").read_text())
        profile, text = self.measured("random-forest")
        faults = [f"{error.json_path}: {error.message[:300]}"
                  for error in jsonschema.Draft202012Validator(schema).iter_errors(profile)]
        self.assertEqual(faults, [])
        self.assertEqual(profile["runs"][0]["rows"], 1)
        self.assertGreater(len(profile["runs"]), 1, "it takes batches")
        self.assertEqual(len(profile["starts"]), 2)
        self.assertIn("1 row: ", text)
        Path(self.folder.name, "s.yaml").write_text("profile: profile.json\narrivals: {shape: constant:50}\nlength: 5s\n")
        done = subprocess.run([str(BINARY), "simulate", str(Path(self.folder.name, "s.yaml")), "--json", "-"], text=True,
                              capture_output=True, timeout=LIMIT, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stdout)
        for caution in profile["cautions"]:
            self.assertIn("the profile: " + caution, report["notes"])

    def test_a_run_has_the_time_that_the_model_burns(self):
        body = Path(self.folder.name, "body.json")
        body.write_text(json.dumps({"inputs": [{"name": "cpu_ms", "shape": [1], "datatype": "FP64", "data": [5]}]}))
        profile, _ = self.measured("simulated", "--body", body)
        [run] = profile["runs"]
        mean = run["wall"]["sum_ns"] / run["count"]
        self.assertGreater(mean, 4.9e6)
        cpu = run["cpu"]["sum_ns"] / run["count"]
        self.assertLessEqual(cpu, mean * 1.01)
        self.assertGreater(cpu, 2e6)

    def test_a_busy_machine_is_refused(self):
        burner = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        try:
            done = plan(MODELS, "--model", "random-forest", "--out", self.path)
        finally:
            burner.kill()
            burner.wait()
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertRegex(done.stderr, r"^podsense plan measure: others use [\d.]+ cores of this machine; .*--force\n$")
        self.assertFalse(self.path.exists())

    def test_faults_are_one_line(self):
        for arguments, code, part in [((MODELS, "--model", "nowhere", "--force"), 2, "there is no model 'nowhere'"),
                                      ((MODELS, "--image", "a", "--body", "b"), 2, "give one of"),
                                      ((MODELS, "--starts", "0"), 2, "--starts"),
                                      ((MODELS, "--model", "random-forest", "--seconds", "3600", "--out", "/nonexistent/x"), 2,
                                       "--out: cannot write /nonexistent/x: No such file or directory")]:
            done = plan(*arguments, *(() if "--out" in arguments else ("--out", self.path)))
            self.assertEqual((done.returncode, done.stdout), (code, ""), done.stderr)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
            self.assertIn(part, done.stderr)


if __name__ == "__main__":
    unittest.main()
