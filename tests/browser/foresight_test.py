#!/usr/bin/env python3
"""Opens pages of `podsense simulate --html` and `podsense plan --html` from their files, as whoever gets one attached does.

    foresight_test.py SCREENSHOTS        environment: as tests/integration/harness.py

report_case.py says what each is held to.
"""

import subprocess
import sys
import unittest
from pathlib import Path

from report_case import ReportCase

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))

from harness import BINARY, LIMIT, ROOT  # noqa: E402  the path has to be set first

EXAMPLES = ROOT / "examples"
COURSE = ["Requests", "Latency", "Pods"]
HOSTILE = "name='</script><img src=x onerror=alert(1)>'"


class Pages(ReportCase):
    KIND = "foresight"

    def page(self, name, *words, code=0):
        page = Path(self.folder.name) / f"{name}.html"
        done = subprocess.run([BINARY, *map(str, words), "--html", page], capture_output=True, text=True, timeout=LIMIT,
                              check=False)
        self.assertEqual((done.returncode, done.stderr), (code, ""), done.stdout)
        return page

    def section(self, title):
        return self.browser.run("return [...document.querySelectorAll('section')].find((s) => s.textContent"
                                ".startsWith(arguments[0]))?.textContent", title)

    def check_no_image(self):
        self.assertEqual(self.browser.run("return document.querySelectorAll('img').length"), 0)

    def test_an_autoscaler_simulated(self):
        page = self.page("simulate", "simulate", EXAMPLES / "simulate/autoscaling.yaml", "--runs", 5, "--set", HOSTILE)
        plots = [*COURSE, "The signal", "Requests in each pod"]
        self.look_at(page, plots)
        self.assertRegex(self.text("#verdict"), "250 ms for 99 %: missed in 5 of 5 runs")
        self.assertIn("<img src=x", self.text("#title"))
        self.check_no_image()
        for name, said in zip(plots, (r"due \S+", "p99", "ready", "as seen", r"pod \d+"), strict=True):
            self.assertRegex(self.read_out(name), said)
        self.assertIn("times the target", self.section("The autoscaler"))
        self.assertRegex(self.section("All figures"), r"latency p99 seconds\d")

    def test_fixed_pods_that_answer_nothing(self):
        page = self.page("nothing", "simulate", EXAMPLES / "simulate/autoscaling.yaml", "--set", "hpa=null", "--set",
                         "service.run_cpu=20s", "--set", "clients.timeout=100ms", "--set", "replicas=1")
        self.look_at(page, ["Requests", "Pods", "Requests in each pod"])
        self.assertIn("1 pods, no autoscaler", self.text("#how"))

    def test_a_plan(self):
        example = EXAMPLES / "plan"
        page = self.page("plan", "plan", example / "scenario.yaml", "--traffic", example / "half-hour.csv", "--objective",
                         "p95=500ms,errors=0.1%", "--runs", "2,4,8", "--allow", "cpu_request=250m", "--allow", "min=1,2,3",
                         "--allow", "signal=cpu,none", "--set", HOSTILE)
        self.look_at(page, ["Cost against the share that is late", *COURSE, "The signal"])
        self.assertRegex(self.text("#verdict"), "^Holds: cpu 250m")
        self.check_no_image()
        self.assertRegex(self.read_out("Cost against the share that is late"), r"% late, (holds|does not hold): cpu")
        self.assertIn("resources.requests.cpu", self.section("The values, and why"))
        self.assertRegex(self.section("What breaks first as traffic grows"), r"1\.25 ×")

    def test_a_plan_that_holds_nothing(self):
        example = EXAMPLES / "plan"
        page = self.page("nothing-holds", "plan", example / "scenario.yaml", "--traffic", "constant:6", "--length", "2m",
                         "--objective", "p99=30ms", "--runs", "2,2,2", "--allow", "cpu_request=250m", "--allow", "min=1",
                         "--allow", "max=2", "--allow", "signal=none", code=1)
        self.look_at(page, COURSE)
        self.assertIn("Nothing that was played holds", self.text("#verdict"))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
