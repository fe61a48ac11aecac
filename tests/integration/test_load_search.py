"""`podsense load --find-max-qps` against a double whose capacity is known."""

import re
import unittest

from harness import wait_until
from load_double import Double, constant
from load_venv import schema_faults
from test_load import Run, Running


class Search(unittest.TestCase):
    def test_search_finds_no_more_than_the_server_can_do(self):
        with Double(constant(0.02), one_at_a_time=True) as double:  # at most 50 a second
            run = Run("--host", double.url, "--find-max-qps", "--slo", "p99=2s,errors=1%",
                      "--search-from", 5, "--search-to", 400, "--window", "300ms")
        search = run.report["search"]
        self.assertLessEqual(search["max_qps"], 52.5, run)
        self.assertFalse(search["limited"])
        self.assertTrue(any(not step["met"] for step in search["steps"]), run)
        self.assertGreater(search["not_held_qps"], search["max_qps"])
        self.assertFalse(search["out_of_time"], run)
        said = run.err.splitlines()
        self.assertRegex(said[0], "finding the highest rate that holds p99=2s,errors=1%.* at most 5 min")
        self.assertEqual(len(said), 1 + len(search["steps"]), run)
        self.assertTrue(all(re.match(r"[\d.]+/s: p99 .*(holds|does not hold)", line)
                            for line in said[1:]), run)
        if search["max_qps"]:
            self.assertEqual(run.code, 0)
            self.assertIn(search["max_qps"], [step["rate"] for step in search["steps"] if step["stable"]])
            self.assertRegex(run.out, r"\n  highest rate that holds .*/s \([\d.]+/s does not\)\n$")
        else:  # a machine too busy for three windows alike
            self.assertEqual(run.code, 3)
            self.assertRegex(run.out, r"\n  no rate that was tried holds .*/s\n$")

    def test_the_rates_of_its_report_are_those_of_its_windows(self):
        with Double(constant(0.3)) as double:  # answers under way when the last window ends take long
            run = Run("--host", double.url, "--find-max-qps", "--slo", "p99=2s,errors=1%", "--search-from", 50,
                      "--search-to", 50, "--window", "500ms")
        self.assertEqual(run.report["search"]["max_qps"], 50, run)
        self.assertAlmostEqual(run.report["rates"]["offered"], 50, delta=2.5)

    def test_prometheus_sees_a_search(self):
        with Double() as double, \
                Running(double.url, "--find-max-qps", "--window", "200ms", "--search-from", 50, "--search-to", 50) as run:
            wait_until(lambda: (run.ok() or 0) > 0, what="good answers")

    def test_a_search_ends_when_its_time_is_up(self):
        with Double(constant(0.001)) as double:
            run = Run("--host", double.url, "--find-max-qps", "--quiet", "--window", "200ms",
                      "--seconds", "1s", "--fail-if", "rps<100000")
        self.assertTrue(run.report["search"]["out_of_time"], run)
        self.assertRegex(run.out, "the time was up: allow more with --seconds\n$")
        self.assertEqual((run.code, run.err), (3, ""))
        self.assertEqual(schema_faults(run.report), "")


if __name__ == "__main__":
    unittest.main()
