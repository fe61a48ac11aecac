"""`podsense plan`: the whole way from traffic to values, its report's schema, its page, and the errors of faulty questions."""

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from harness import BINARY, LIMIT, ROOT, SANITIZER
from load_venv import use_packages

SCENARIO = """
length: 30s
arrivals: {shape: "steps:4,14,6"}
service: {run_cpu: {lognormal: {median: 20ms, sigma: 0.3}}}
pod: {cpu_request: 250m, memory_request: 128Mi}
start: {pull: 1s, load: 500ms}
metrics: {resolution: 5s, scrape: 2s}
controller: {sync_period: 2s}
kubernetes: 1.36
"""
SPACE = ("--allow", "cpu_request=250m,500m", "--allow", "min=1,2,3", "--allow", "max=3,5", "--allow", "down_window=60s", "--allow",
         "up=chart")
GOAL = ("--objective", "p90=400ms,errors=1%")
RUNS = ("--runs", "4,8,12")
QUICK = (*GOAL, *RUNS, *SPACE)


def plan(*arguments, text=SCENARIO):
    return subprocess.run([str(BINARY), "plan", *map(str, arguments)], input=text, text=True, capture_output=True,
                          timeout=LIMIT, check=False)


def report(*arguments, text=SCENARIO, code=0):
    done = plan("-", *arguments, "--json", "-", text=text)
    if done.returncode != code:
        raise AssertionError(f"{done.returncode}: {done.stderr}")
    return json.loads(done.stdout)


class Plan(unittest.TestCase):
    def test_it_says_how_wrong_the_plans_were_that_were_verified(self):
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as record:
            for error in (0.06, -0.1):
                record.write(json.dumps({"format": "podsense-verified/1", "cluster": "kind",
                                         "figures": {"latency_p99_seconds": {"error": error}}}) + "\n")
            record.flush()
            said = plan("-", *QUICK, "--record", record.name).stdout
            self.assertIn("error of the last 2 verified plans on kind: p99 8 %", said)
            self.assertNotIn("verified plan", plan("-", *QUICK, "--record", record.name, "--cluster", "eks").stdout)

    def test_values_have_their_reasons_and_the_report_follows_its_schema(self):
        use_packages()
        import jsonschema
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            done = plan("-", *QUICK, "--out", folder / "values.yaml", "--json", folder / "plan.json", "--html", folder / "plan.html")
            self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
            values = (folder / "values.yaml").read_text()
            made = json.loads((folder / "plan.json").read_text())
            page = (folder / "plan.html").read_text()
            (folder / "chosen.json").write_text(json.dumps(made["scenario"]))
            again = subprocess.run([str(BINARY), "simulate", folder / "chosen.json", "--runs", "12", "--seed",
                                    str(made["predicted"]["seed"]), "--json", "-"], capture_output=True, check=True, timeout=LIMIT)
        self.assertIn("holds p90=400ms,errors=1%", done.stdout)
        schema = json.loads((ROOT / "docs/reference/plan.schema.json").read_text())
        jsonschema.Draft202012Validator.check_schema(schema)
        validator = jsonschema.Draft202012Validator(schema)
        self.assertEqual([f"{one.json_path}: {one.message[:300]}" for one in validator.iter_errors(made)], [])
        self.assertNotEqual(list(validator.iter_errors(made | {"extra": 1})), [])
        for line in made["lines"]:
            self.assertTrue(line["reason"], line)
        self.assertIn("    # ", values)
        # The scenario in it is the one that was played: the same seeds give the same figures.
        played = json.loads(again.stdout)["figures"]
        for key in ("late_share", "pod_seconds", "latency_p99_seconds"):
            self.assertEqual(played[key]["mean"], made["predicted"]["figures"][key]["mean"], key)
        data = json.loads(page.split('<script type="application/json" id="data">')[1].split("</script>")[0])
        self.assertEqual(data["chosen"], made["chosen"])
        self.assertNotRegex(page.replace("http://www.w3.org/2000/svg", ""), r"https?://|@[A-Z]+@|<link|src=")

    def test_every_kind_of_values_is_one_that_the_charts_checks_render(self):
        # Lint renders helm/podsense/ci with Helm 3 and 4 and holds it against the schemas of chart and Kubernetes; here it is
        # held that plans have these keys and forms.
        fixed = ("--objective", "p50=10s", "--runs", "2,2,2", "--allow", "cpu_request=250m", "--allow", "min=2", "--allow", "max=5",
                 "--allow", "up=fast", "--allow", "down_window=120s", "--allow", "saturation_target=600m", "--allow", "cpu_target=60",
                 "--allow", "queue_target=2", "--allow", "executors=2", "--set", "service.max_wait=2s", "--set",
                 "pod.memory_request=768Mi")
        for name, arguments in (("hpa", ("--allow", "signal=cpu+saturation+queue_depth", "--allow", "cpu_limit=1",
                                         "--allow", "tolerance=0.05")),
                                ("keda", ("--allow", "signal=keda:saturation", "--allow", "cpu_limit=500m")),
                                ("fixed", ("--allow", "signal=none", "--allow", "cpu_limit=request"))):
            done = plan("-", *fixed, *arguments, "--out", "-")
            self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
            made = [line for line in done.stdout.splitlines() if not line.lstrip().startswith("#")]
            file = ROOT / f"helm/podsense/ci/plan-{name}-values.yaml"
            if os.environ.get("PODSENSE_UPDATE"):
                file.write_text("# Of `podsense plan`; tests/integration/test_plan.py has it anew with PODSENSE_UPDATE=1.\n"
                                + "\n".join(made) + "\n")
            kept = [line for line in file.read_text().splitlines() if not line.lstrip().startswith("#")]
            self.assertEqual(made, kept, name)

    def test_threads_do_not_change_a_byte(self):
        first = report(*QUICK, "--threads", 1)
        self.assertEqual(first, report(*QUICK, "--threads", 3))
        self.assertNotEqual(first["predicted"], report(*QUICK, "--seed", 77)["predicted"])

    def test_what_is_not_measured_is_refused_or_marked_everywhere(self):
        text = SCENARIO.replace("start: {pull: 1s, load: 500ms}\n", "")
        refused = plan("-", *QUICK, text=text)
        self.assertEqual(refused.returncode, 2)
        self.assertRegex(refused.stderr, r"^podsense plan: start: .*--assume-start DURATION\n$")
        with tempfile.TemporaryDirectory() as folder:
            done = plan("-", *QUICK, "--assume-start", "2s", "--out", Path(folder) / "v", "--json", Path(folder) / "j",
                        "--html", Path(folder) / "h", text=text)
            self.assertEqual(done.returncode, 0, done.stderr)
            for made in (done.stdout, *(Path(folder, name).read_text() for name in "vjh")):
                self.assertIn("assumed, not measured", " ".join(made.replace("#", "").split()))

    @unittest.skipIf(SANITIZER, "half a minute of CPU time without one")
    def test_the_tutorial_typed_in_a_clean_folder_prints_what_it_shows(self):
        blocks = re.findall(r"```(\w*)\n(.*?)```", (ROOT / "docs/tutorials/from-a-trace-to-values.md").read_text(), re.DOTALL)
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "examples").mkdir()
            shutil.copytree(ROOT / "examples/plan", Path(folder) / "examples/plan")
            (Path(folder) / "bin").mkdir()
            (Path(folder) / "bin/podsense").symlink_to(BINARY)
            typed = "set -e\n" + "".join(text for kind, text in blocks if kind == "sh")
            done = subprocess.run(["bash", "-c", typed], cwd=folder, capture_output=True, text=True, timeout=6 * LIMIT, check=False,
                                  env=os.environ | {"PATH": f"{folder}/bin:{os.environ['PATH']}", "HOME": folder, "XDG_STATE_HOME": ""})
            self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
            said = done.stdout + "".join((Path(folder) / "plan" / name).read_text() for name in ("half-hour.csv", "values-plan.yaml"))
            self.assertTrue((Path(folder) / "plan/chosen.html").read_text().startswith("<!doctype html>"))
        shown = [line for kind, text in blocks if kind != "sh" for line in text.splitlines() if line.strip() not in ("", "…")]
        self.assertGreater(len(shown), 15)
        self.assertEqual([line for line in shown if line.rstrip() not in {one.rstrip() for one in said.splitlines()}], [])

    def test_nothing_holds_is_exit_code_1_with_the_nearest(self):
        with tempfile.TemporaryDirectory() as folder:
            done = plan("-", *RUNS, *SPACE, "--objective", "p99=25ms", "--out", Path(folder) / "values.yaml")
            self.assertFalse(Path(folder, "values.yaml").exists())
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("nothing that was played holds p99=25ms; these come nearest: ", done.stdout)

    def test_a_trace_growth_and_a_failure(self):
        with tempfile.TemporaryDirectory() as folder:
            trace = Path(folder) / "minutes.csv"
            trace.write_text("minute,count\n0,240\n1,480\n")
            made = report(*QUICK, "--traffic", trace, "--growth", 1.5, "--survive", "zone")
        self.assertEqual(made["traffic"]["seconds"], 120)
        self.assertAlmostEqual(made["traffic"]["requests"], 1080)
        self.assertEqual(made["files"][str(trace)], "minute,count\n0,240\n1,480\n")
        self.assertEqual(made["scenario"]["faults"][0]["kind"], "kill_pods")
        nodes = report(*QUICK, "--node", "2cpu,8Gi,0.1")
        self.assertAlmostEqual(nodes["predicted"]["figures"]["cost"]["median"], 0.1)

    def test_names_cannot_break_the_page(self):
        with tempfile.TemporaryDirectory() as folder:
            name = Path(folder) / "</script><b>.csv"
            name.parent.mkdir(parents=True, exist_ok=True)
            name.write_text("minute,count\n0,240\n")
            done = plan("-", *QUICK, "--traffic", name, "--html", "-")
        self.assertEqual(done.stdout.count("</script>"), 2)

    def test_an_interrupt_gives_what_there_is(self):
        terminal, end = pty.openpty()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "plan.json"
            scenario = Path(folder) / "scenario.yaml"
            scenario.write_text(SCENARIO.replace("length: 30s", "length: 1h"))
            with subprocess.Popen([str(BINARY), "plan", scenario, "--objective", "p90=400ms", "--simulations", "1000000", "--json",
                                   path], stdout=subprocess.PIPE, stderr=end, text=True) as running:
                os.close(end)
                seen = b""
                until = time.monotonic() + LIMIT
                while b" runs, " not in seen and time.monotonic() < until:
                    seen += os.read(terminal, 4096)
                running.send_signal(signal.SIGINT)
                out, _ = running.communicate(timeout=LIMIT)
            os.close(terminal)
            self.assertEqual(running.returncode, 130)
            self.assertRegex(out, "interrupted; the best so far|nothing was played")

    def test_files_that_cannot_be_written_cost_no_search(self):
        endless = (*GOAL, "--runs", "10000,10000,10000", "--simulations", "100000000")
        for flag in ("--out", "--json", "--html"):
            done = plan("-", *endless, flag, "/nonexistent/x")
            self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
            self.assertEqual(done.stderr, f"podsense plan: {flag}: cannot write /nonexistent/x: No such file or directory\n")

    def test_faults_are_one_line_and_exit_code_2(self):
        for arguments, fault in (
            (("--objective", "p99=fast"), "--objective: 'p99=fast' must be a duration"),
            (("--traffic", "/nonexistent.csv"), "--traffic: cannot read /nonexistent.csv: No such file"),
            (("--traffic", "sine:1"), "arrivals.shape: "),
            (("--survive", "all"), "--survive: 'all' is not accepted; accepted: pods such as 1, zone"),
            (("--node", "4,16Gi,1"), "--node: '4,16Gi,1' is no node"),
            (("--runs", "8,4,2"), "--runs: '8,4,2' is not accepted"),
            (("--allow", "pods=1"), "--allow: 'pods' is nothing to choose; accepted: cpu_request"),
            (("--space", "/nonexistent.yaml"), "--space: cannot read /nonexistent.yaml: No such file"),
            (("--set", "x"), "--set: 'x' must be FIELD=VALUE"),
            (("--set", "pods=1"), 'unknown field "pods"'),
            (("--growth", "0"), "--growth"),
            (("--price-cpu", "0", "--price-memory", "0"), "one of them must be above 0"),
            (("--model", "cat"), "--model requires --prometheus"),
            (("--prometheus", "http://127.0.0.1:1", "--range", "1y"), "--range: '1y' is no range; accepted: such as 30m"),
            (("--json", "-", "--html", "-"), "--json and --html are both standard output"),
        ):
            goal = () if "--objective" in arguments else GOAL
            runs = () if "--runs" in arguments else RUNS
            done = plan("-", *goal, *runs, *SPACE, *arguments)
            self.assertEqual(done.returncode, 2, (arguments, done.stderr))
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
            self.assertIn(fault, done.stderr)
            self.assertTrue(done.stderr.startswith("podsense plan: "), done.stderr)


if __name__ == "__main__":
    unittest.main()
