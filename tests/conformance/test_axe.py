"""axe-core's rules of accessibility: the page, the documentation and the report of a load, in Chromium."""

import importlib.resources
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from harness import BINARY, LIMIT, ROOT, ServerCase

sys.path.insert(0, str(ROOT / "tests/browser"))
from webdriver import Browser  # noqa: E402  the path has to be set first

# The Python package is taken for the file: the browser is Debian's, as in tests/browser.
AXE = (importlib.resources.files("axe_playwright_python") / "axe.min.js").read_text("utf-8")
RUN = """
  window.found = null;
  axe.run(document).then(
    (all) => { window.found = all.violations.map((one) => [one.id, one.nodes.slice(0, 3).map((node) => node.html)]); },
    (error) => { window.found = [[String(error), []]]; });"""


class Accessibility(ServerCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.browser = cls.enterClassContext(Browser())
        cls.base = f"http://127.0.0.1:{cls.server.http_port}"

    def check(self, url, shown):
        for phone in (False, True):
            with self.subTest(url=url, phone=phone):
                self.browser.look(360 if phone else 1280, 800, dark=phone, phone=phone)
                self.browser.open("about:blank")
                self.browser.open(url)
                self.browser.until(f"document.querySelector('{shown}')", "the page")
                self.browser.run(AXE + RUN)
                found = self.browser.until("window.found && {rules: window.found}", "axe-core", LIMIT)
                self.assertEqual(found["rules"], [])

    def test_the_page(self):
        self.check(self.base + "/", "#health[data-state=ok]")

    def test_the_documentation(self):
        self.check(self.base + "/docs", ".operation")

    def test_a_report_of_load(self):
        with tempfile.TemporaryDirectory(prefix="podsense-axe-") as folder:
            report = Path(folder, "report.html")
            subprocess.run([BINARY, "load", self.base + "/livez", "--qps", "200", "--seconds", "3", "--html", report,
                            "--quiet"], check=True, capture_output=True, timeout=LIMIT)
            self.check(report.as_uri(), "svg.plot")


if __name__ == "__main__":
    unittest.main(verbosity=2)
