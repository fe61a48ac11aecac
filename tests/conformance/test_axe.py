"""axe-core's rules of accessibility: the page, the documentation, and the reports of load, simulate and plan, in Chromium."""

import base64
import importlib.resources
import json
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from harness import BINARY, GOLDEN, LIMIT, ROOT, Server, ServerCase
from oip_models import TINY

sys.path.insert(0, str(ROOT / "tests/browser"))
from webdriver import Browser  # noqa: E402  the path has to be set first

# The Python package is taken for the file: the browser is Debian's, as in tests/browser.
AXE = (importlib.resources.files("axe_playwright_python") / "axe.min.js").read_text("utf-8")
IN_PAGE = (ROOT / "tests/browser/in_page.js").read_text("utf-8")
SLOW = 180  # seconds: axe-core looks at 18,000 elements of /docs, and does nothing in between
# @arg the elements to look at, or null
RUN = """
  window.found = null;
  const whole = arguments[0] === null ? document : document.querySelector(arguments[0]);
  axe.run(whole, {resultTypes: ["violations"]}).then(
    (all) => { window.found = all.violations.map((one) => [one.id, one.nodes.slice(0, 3).map((node) => node.html)]); },
    (error) => { window.found = [[String(error), []]]; });"""


class Accessibility(ServerCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.browser = cls.enterClassContext(Browser())
        cls.base = f"http://127.0.0.1:{cls.server.http_port}"

    def check(self, url, shown, *steps):
        """axe-core finds nothing once `shown` is there, nor after any of `steps`: a script, what it brings,
        and the part of the page that it changes where that is large."""
        for phone in (False, True):
            with self.subTest(url=url, phone=phone):
                self.browser.look(360 if phone else 1280, 800, dark=phone, phone=phone)
                self.browser.open("about:blank")
                self.browser.open(url)
                self.browser.until(f"document.querySelector({json.dumps(shown)})", "the page", LIMIT)
                self.browser.run(AXE)
                for script, brought, *part in (("", shown), *steps):
                    self.browser.run(script)
                    self.browser.until(f"document.querySelector({json.dumps(brought)})", brought, LIMIT)
                    self.browser.run(RUN, *(part or [None]))
                    found = self.browser.until("window.found && {rules: window.found}", "axe-core", SLOW)
                    self.assertEqual(found["rules"], [], script)

    def test_the_page(self):
        ready = "#answer[aria-busy=false]"
        self.check(self.base + "/", "#health[data-state=ok]",
                   ("document.querySelector('#example-cat').click();", ready + " .bars"),
                   ("document.querySelector('#answer-body details').open = true;", "#answer-body details[open]"),
                   ("document.querySelector('#tab-numbers').click();", "#x1"),
                   ("document.querySelector('#send').click();", ready + " .error"),
                   ("document.querySelector('#example').click(); document.querySelector('#send').click();",
                    ready + " .timing"),
                   ("document.querySelector('#tab-url').click();", "#panel-url:not([hidden])"),
                   ("document.querySelector('#tab-simulated').click();", "#panel-simulated:not([hidden])"),
                   ("location.hash = '#url?url=https%3A%2F%2Fexample.com%2F&model=gone';", ".empty"))

    def test_several_answers(self):
        photo = base64.b64encode((GOLDEN / "photos/imagenet_04_949.jpg").read_bytes()).decode()
        drop = f"{IN_PAGE}\ndropAll([['a.jpg', 'image/jpeg', '{photo}'], ['b.jpg', 'image/jpeg', 'AAAA']]);"
        self.check(self.base + "/", "#health[data-state=ok]",
                   (drop, "#answer[aria-busy=false] .one[data-state=failed]"),
                   ("document.querySelectorAll('.one details').forEach((one) => { one.open = true; });",
                    ".one details[open] .bars"))

    def test_the_boxes_of_a_detector(self):
        with tempfile.TemporaryDirectory(prefix="podsense-axe-") as folder:
            model = Path(folder, "detector")
            (model / "1").mkdir(parents=True)
            shutil.copy(TINY / "detect_yolov8.onnx", model / "1/model.onnx")
            (model / "model.yaml").write_text("task: object-detection\nlabels: [cat, dog]\npreprocess: {scale: 1}\n")
            with Server(models=Path(folder)) as server:
                self.check(f"http://127.0.0.1:{server.http_port}/", "#health[data-state=ok]",
                           ("document.querySelector('#example-cat').click();",
                            "#answer[aria-busy=false] .boxes rect"))

    def test_the_documentation(self):
        self.check(self.base + "/docs", ".operation",
                   ("document.querySelectorAll('#post-predict details').forEach((one) => { one.open = true; });",
                    "#post-predict .media[open]", "#post-predict"),
                   ("const s = document.querySelector('#search'); s.value = 'zzzz';"
                    " s.dispatchEvent(new Event('input'));", "#nothing:not([hidden])"))

    def test_a_report_of_load(self):
        with tempfile.TemporaryDirectory(prefix="podsense-axe-") as folder:
            report = Path(folder, "report.html")
            subprocess.run([BINARY, "load", self.base + "/livez", "--qps", "200", "--seconds", "3", "--html", report,
                            "--quiet"], check=True, capture_output=True, timeout=LIMIT)
            self.check(report.as_uri(), "svg.plot")

    def test_the_pages_of_simulate_and_plan(self):
        examples = ROOT / "examples"
        for words in (["simulate", examples / "simulate/autoscaling.yaml", "--runs", "3"],
                      ["plan", examples / "plan/scenario.yaml", "--traffic", examples / "plan/half-hour.csv", "--objective",
                       "p95=500ms,errors=0.1%", "--runs", "2,4,8", "--allow", "cpu_request=250m", "--allow", "min=1,2,3",
                       "--allow", "signal=cpu,none"]):
            with tempfile.TemporaryDirectory(prefix="podsense-axe-") as folder:
                page = Path(folder, "page.html")
                subprocess.run([BINARY, *words, "--html", page], check=True, capture_output=True, timeout=LIMIT)
                self.check(page.as_uri(), "svg.plot")


if __name__ == "__main__":
    unittest.main(verbosity=2)
