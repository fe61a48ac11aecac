#!/usr/bin/env python3
"""Opens reports of `podsense load --html` from their files, as whoever gets one attached does.

    report_test.py SCREENSHOTS        environment: as tests/integration/harness.py

Reports of real runs against a double with known latencies: an open loop with failures, a closed
loop, a search. Every look (wide and phone, light and dark): plots hold finite numbers, nothing runs
out of the page, text has contrast, the console has no error, nothing is fetched.
"""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from webdriver import Browser

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))

from harness import BINARY, LIMIT  # noqa: E402  the path has to be set first
from load_double import Double, constant, exponential  # noqa: E402

IN_PAGE = (HERE / "in_page.js").read_text()
LOOKS = {"wide-light": {"width": 1280, "height": 900}, "wide-dark": {"width": 1280, "height": 900, "dark": True},
         "phone-light": {"width": 360, "height": 740, "phone": True},
         "phone-dark": {"width": 360, "height": 740, "dark": True, "phone": True}}
# Each plot: its name, how many shapes it draws, and those whose numbers are none.
PLOTS = """return [...document.querySelectorAll('svg.plot')].map((svg) => {
  const shapes = [...svg.querySelectorAll('g path, g rect, g circle')];
  const box = svg.getBoundingClientRect();
  return {name: svg.getAttribute('aria-label'), shapes: shapes.length, ticks: svg.querySelectorAll('text').length,
          width: box.width, height: box.height,
          cut: [...svg.querySelectorAll('text')].filter((t) => { const b = t.getBoundingClientRect(); return b.left < box.left - 1 || b.right > box.right + 1; }).map((t) => t.textContent),
          bad: shapes.filter((s) => /NaN|Infinity|undefined/.test(s.outerHTML)).length,
          seen: shapes.some((s) => { const b = s.getBBox(); return b.width > 20 || b.height > 5; })};
});"""

# As axe-core's rules: empty-table-header, scope-attr-valid, td-headers, region, scrollable-region-focusable.
UNREACHABLE = """const faults = [];
const say = (what, node) => faults.push(`${what}: ${node.outerHTML.slice(0, 120)}`);
for (const th of document.querySelectorAll('th')) {
  if (!th.textContent.trim()) say('empty header', th);
  if (!['row', 'col'].includes(th.scope)) say('header of what', th);
}
for (const row of document.querySelectorAll('tbody tr')) if (!row.querySelector('th')) say('row without header', row);
for (const node of document.body.children)
  if (!['HEADER', 'MAIN', 'FOOTER', 'SCRIPT', 'NOSCRIPT'].includes(node.tagName)) say('outside of regions', node);
for (const node of document.querySelectorAll('body *'))
  if (/auto|scroll/.test(getComputedStyle(node).overflowX) && node.tabIndex < 0) say('scroller without focus', node);
for (const region of document.querySelectorAll('[role=region]')) if (!region.getAttribute('aria-label')) say('nameless', region);
return faults;"""


class Reports(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.shots = Path(sys.argv[1])
        cls.shots.mkdir(parents=True, exist_ok=True)
        cls.browser = cls.enterClassContext(Browser())

    def report(self, name, *flags):
        page = Path(self.folder.name) / f"{name}.html"
        done = subprocess.run([BINARY, "load", *map(str, flags), "--html", page, "--quiet"],
                              capture_output=True, text=True, timeout=LIMIT, check=False)
        self.assertTrue(page.exists(), done)
        return page

    def look_at(self, page, plots):
        """Every look; then the page is left open, wide."""
        for look, settings in LOOKS.items():
            with self.subTest(look):
                self.browser.look(**settings)
                self.browser.console()
                self.browser.open(page.as_uri())
                self.browser.until("document.querySelectorAll('svg.plot line.axis').length == "
                                   "document.querySelectorAll('svg.plot').length", "the plots")
                found = {plot["name"]: plot for plot in self.browser.run(PLOTS)}
                self.assertEqual(list(found), plots)
                for plot in found.values():
                    self.assertEqual((plot["bad"], plot["cut"]), (0, []), plot)
                    self.assertTrue(plot["seen"] and plot["shapes"] and plot["ticks"] > 4, plot)
                    self.assertGreater(plot["width"], 250, plot)
                self.assertLessEqual(self.browser.run("return document.documentElement.scrollWidth"),
                                     settings["width"])
                self.assertEqual(self.browser.run(IN_PAGE + "\nreturn lowContrast();"), [])
                self.assertEqual(self.browser.run(UNREACHABLE), [])
                fetched = "return performance.getEntriesByType('resource').map((e) => e.name);"
                self.assertEqual(self.browser.run(fetched), [])
                self.assertEqual([e for e in self.browser.console() if e["level"] != "INFO"], [])
                self.browser.screenshot(self.shots / f"load-{page.stem}-{look}.png")
        self.browser.look(**LOOKS["wide-light"])
        self.browser.open(page.as_uri())
        self.browser.until("document.querySelector('svg.plot line.axis')", "the plots")

    def text(self, css):
        return self.browser.run(f"return document.querySelector({json.dumps(css)}).textContent")

    def read_out(self, name):
        """What the plot says after a key was pressed on it."""
        return self.browser.run(
            "const svg = document.querySelector(`svg[aria-label='${arguments[0]}']`);"
            "svg.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowLeft', bubbles: true}));"
            "return svg.nextSibling.textContent;", name)

    def test_an_open_loop_with_failures(self):
        with Double(exponential(0.02), stall=(1.0, 0.5)) as double:
            page = self.report("open", "--host", double.url, "--qps", 200, "--seconds", 3, "--warmup",
                               "400ms", "--timeout", "300ms", "--fail-if", "p99>1ms", "--fail-if", "rps<1")
        plots = ["Latency over time", "Requests a second over time", "Histogram of latencies",
                 "Latency by percentile"]
        self.look_at(page, plots)
        self.assertIn("Failed: p99>1ms", self.text("#verdict"))
        for name, said in zip(plots, ("p50", "answered well", "requests", "p"), strict=True):
            self.assertRegex(self.read_out(name), rf"\d.*{said}|{said}.*\d")
        table = self.browser.run("return [...document.querySelectorAll('section')].find((s) => s.textContent"
                                 ".startsWith('Latency in numbers')).textContent")
        self.assertIn("95 % between", table)
        self.assertRegex(table, r"p99\d")
        answers = self.browser.run("return [...document.querySelectorAll('section')].find((s) => "
                                   "s.textContent.startsWith('Answers and errors')).textContent")
        self.assertRegex(answers, r"200\d.*timeout\d+")
        # The switch between scales draws anew.
        ticks = "return document.querySelector('svg.plot').textContent"
        before = self.browser.run(ticks)
        self.browser.click(".switch button[aria-pressed=false]")
        self.assertNotEqual(self.browser.run(ticks), before)

    def test_a_closed_loop(self):
        with Double(constant(0.002)) as double:
            page = self.report("closed", double.url, "-n", 300, "-c", 4)
        self.look_at(page, ["Latency over time", "Requests a second over time",
                            "Histogram of latencies", "Latency by percentile"])
        self.assertEqual(self.text("#verdict"), "All 300 requests succeeded.")

    def test_a_search(self):
        with Double(constant(0.01), one_at_a_time=True) as double:
            page = self.report("search", "--host", double.url, "--find-max-qps", "--slo",
                               "p99=1s,errors=1%", "--search-from", 20, "--search-to", 320,
                               "--window", "300ms")
        self.look_at(page, ["Latency against throughput", "Latency over time",
                            "Requests a second over time", "Histogram of latencies", "Latency by percentile"])
        self.assertRegex(self.text("main"), r"Highest rate\d+|No rate that was tried")
        self.assertRegex(self.read_out("Latency against throughput"), r"offered \S+/s, answered")

    def test_two_targets(self):
        with Double(constant(0.002)) as quick, Double(lambda number: 9 if number % 5 == 1 else 0.002) as hanging:
            page = self.report("targets", "--target", f"quick={quick.url}", "--target", f"hanging={hanging.url}",
                               "--qps", 60, "--seconds", 1, "--timeout", "200ms")
        self.look_at(page, ["Latency over time", "Requests a second over time",
                            "Histogram of latencies", "Latency by percentile"])
        rows = self.browser.run("return [...document.querySelectorAll('section')].find((s) => s.textContent"
                                ".startsWith('Targets')).innerText.split('\\n').slice(-2)")
        self.assertNotIn("≥", rows[0])
        self.assertRegex(rows[1], r"≥ 2\d\d ms")  # the p99 of all; that of the answered is far below

    def test_nothing_succeeded(self):
        with Double(status=503, body=b"<img src=x onerror=alert(1)>") as double:
            page = self.report("failed", double.url, "-n", 40, "-c", 2)
        self.look_at(page, ["Requests a second over time"])
        self.assertIn("No request succeeded", self.text("#verdict"))
        self.assertIn("<img src=x", self.text("main"))
        self.assertEqual(self.browser.run("return document.querySelectorAll('img').length"), 0)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
