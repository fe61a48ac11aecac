#!/usr/bin/env python3
"""Opens reports of `podsense load --html` from their files, as whoever gets one attached does.

    report_test.py SCREENSHOTS        environment: as tests/integration/harness.py

Reports of real runs against a double with known latencies: an open loop with failures, a closed
loop, a search. report_case.py says what each is held to.
"""

import subprocess
import sys
import unittest
from pathlib import Path

from report_case import ReportCase

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))

from harness import BINARY, LIMIT  # noqa: E402  the path has to be set first
from load_double import Double, constant, exponential  # noqa: E402


class Reports(ReportCase):
    KIND = "load"

    def report(self, name, *flags):
        page = Path(self.folder.name) / f"{name}.html"
        done = subprocess.run([BINARY, "load", *map(str, flags), "--html", page, "--quiet"],
                              capture_output=True, text=True, timeout=LIMIT, check=False)
        self.assertTrue(page.exists(), done)
        return page

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
