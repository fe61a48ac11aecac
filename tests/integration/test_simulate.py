"""`podsense simulate`: the example, its report's schema, replays, and what is said of faulty files."""

import json
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

from harness import BINARY, LIMIT, ROOT, SANITIZER
from load_venv import use_packages

EXAMPLE = ROOT / "examples/simulate/autoscaling.yaml"
QUICK = "arrivals: {shape: constant:20}\nservice: {run_cpu: 10ms}\nlength: 5s\n"


def simulate(*arguments, text=None):
    return subprocess.run([str(BINARY), "simulate", *map(str, arguments)], input=text, text=True, capture_output=True,
                          timeout=LIMIT, check=False)


def report(*arguments, text=None):
    done = simulate(*arguments, "--json", "-", text=text)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return json.loads(done.stdout)


class Simulate(unittest.TestCase):
    def test_the_example_scales_and_says_why(self):
        done = simulate(EXAMPLE, "--runs", 20)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("above objective or failed", done.stdout)
        self.assertIn("times the target", done.stdout)
        self.assertIn("Rescaled from 1 to", done.stdout)

    def test_reports_follow_their_schema(self):
        use_packages()
        import jsonschema
        schema = json.loads((ROOT / "docs/reference/simulate.schema.json").read_text())
        jsonschema.Draft202012Validator.check_schema(schema)
        validator = jsonschema.Draft202012Validator(schema)
        for made in (report(EXAMPLE, "--runs", 3, "--explain"), report("-", text=QUICK),
                     report(EXAMPLE, "--set", "faults=[{kind: no_custom_metrics, at: 5s, length: 30s}]")):
            faults = [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(made)]
            self.assertEqual(faults, [])
        self.assertNotEqual(list(validator.iter_errors(made | {"extra": 1})), [])

    @unittest.skipIf(SANITIZER, "the sanitizer's own memory")
    def test_reports_of_an_hour_in_seconds_fit_into_100_mb(self):
        text = "length: 1h\narrivals: {shape: constant:20}\nservice: {run_cpu: {lognormal: {median: 20ms, sigma: 0.5}}}\n"
        with tempfile.TemporaryDirectory() as folder:
            path, out = Path(folder, "hour.yaml"), Path(folder, "out.json")
            path.write_text(text)
            child = subprocess.Popen([str(BINARY), "simulate", path, "--runs", "4", "--json", out], stdout=subprocess.DEVNULL)
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            self.assertEqual(child.returncode, 0)
            made = json.loads(out.read_text())
        self.assertLess(usage.ru_maxrss, 100_000)
        self.assertEqual([len(run["timeline"]["slices"]) for run in made["runs"]], [3600] * 4)
        for run in made["runs"]:
            counted = sum(count for one in run["timeline"]["slices"] for _, count in one["latency"]["buckets"])
            self.assertEqual(counted, sum(count for _, count in run["histograms"]["latency"]["buckets"]))

    def test_processes_agree_to_the_byte(self):
        first = simulate(EXAMPLE, "--runs", 4, "--threads", 1, "--json", "-")
        again = simulate(EXAMPLE, "--runs", 4, "--threads", 3, "--json", "-")
        self.assertEqual(first.stdout, again.stdout)
        self.assertNotEqual(first.stdout, simulate(EXAMPLE, "--runs", 4, "--seed", 2, "--json", "-").stdout)

    def test_the_page_loads_nothing_and_has_the_runs_data(self):
        done = simulate(EXAMPLE, "--runs", 3, "--html", "-", "--set", "name='</script><b>'")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        data = done.stdout.split('<script type="application/json" id="data">')[1].split("</script>")[0]
        page = json.loads(data)
        self.assertEqual(page["scenario"]["name"], "</script><b>")
        self.assertEqual(page["runs"], 3)
        slices = page["run"]["timeline"]["slices"]
        self.assertEqual(len(slices), 60)
        self.assertEqual(len(slices[-1]["loads"]), slices[-1]["pods"] + slices[-1]["draining"])
        for one in page["run"]["decisions"]:
            self.assertEqual("explain" in one, one["rescaled"])
        self.assertNotRegex(done.stdout.replace("http://www.w3.org/2000/svg", ""), r"https?://|@[A-Z]+@|<link|src=")

    def test_two_settings_are_compared_on_the_same_luck(self):
        done = simulate(EXAMPLE, "--runs", 20, "--compare", EXAMPLE)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        rows = [line for line in done.stdout.splitlines() if " ± " in line]
        self.assertGreater(len(rows), 8)
        for row in rows:
            self.assertRegex(row, r"   \+0(\.00)?( \S+)? ± 0(\.00)?( \S+)?$")
        done = simulate(EXAMPLE, "--runs", 20, "--compare", EXAMPLE, "--set", "pod.cpu_limit=500m")
        self.assertRegex(done.stdout, r"(?m)^requests .* \+0 ± 0$")
        self.assertRegex(done.stdout, r"(?m)^above objective or failed .* -\d[\d.]* points ± \d")

    def test_looks_are_replayed_with_the_same_decisions(self):
        with tempfile.TemporaryDirectory() as folder:
            looks = Path(folder) / "looks.jsonl"
            made = report(EXAMPLE, "--runs", 3, "--dump-hpa", looks)
            replayed = simulate("hpa", "--vectors", looks)
        answers = [json.loads(line) for line in replayed.stdout.splitlines()]
        decisions = [one for run in made["runs"] for one in run["decisions"]]
        self.assertGreater(len(decisions), 30)
        for key in ("at", "current", "desired", "rescaled"):
            self.assertEqual([one[key] for one in decisions], [one[key] for one in answers], key)

    def test_the_objective_can_decide_the_exit_code(self):
        self.assertEqual(simulate("-", "--fail-if-missed", text=QUICK).returncode, 0)
        self.assertEqual(simulate("-", "--fail-if-missed", "--set", "objective.latency=5ms", text=QUICK).returncode, 3)

    def test_files_that_cannot_be_written_cost_no_run(self):
        for flag in ("--json", "--html", "--dump-hpa"):
            done = simulate(EXAMPLE, "--runs", 100000, "--set", "length=1h", flag, "/nonexistent/x")
            self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
            self.assertEqual(done.stderr, f"podsense simulate: {flag}: cannot write /nonexistent/x: No such file or directory\n")

    def test_faults_are_one_line_and_exit_code_2(self):
        for arguments, text, fault in (
            ((), "", "scenario is required"),
            (("/nonexistent.yaml",), "", "/nonexistent.yaml: No such file"),
            (("-",), "arrivals: {", "standard input: line 1: not YAML"),
            (("-",), QUICK + "pods: 1\n", 'unknown field "pods"; did you mean pod?'),
            (("-",), QUICK + "hpa: none.yaml\n", "hpa: "),
            (("-", "--set", "x"), QUICK, "must be FIELD=VALUE"),
            (("-", "--runs", "0"), QUICK, "--runs"),
            (("-", "--json", "-", "--dump-hpa", "-"), QUICK, "--json and --dump-hpa are both standard output"),
            (("-", "--compare", "-", "--json", "x.json"), QUICK, "--compare prints a table"),
        ):
            done = simulate(*arguments, text=text)
            self.assertEqual(done.returncode, 2, (arguments, done.stderr))
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
            self.assertIn(fault, done.stderr)
            self.assertTrue(done.stderr.startswith("podsense simulate: "), done.stderr)


if __name__ == "__main__":
    unittest.main()
