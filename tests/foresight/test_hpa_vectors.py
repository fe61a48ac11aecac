#!/usr/bin/env python3
"""podsense simulate hpa decides as the real controllers did: 0 differences."""

import os
import subprocess
import unittest

import hpa_vectors

COMMAND = [os.environ["PODSENSE_BINARY"], "simulate", "hpa"]


class HpaVectors(unittest.TestCase):
    def test_every_version_agrees_with_its_controller(self):
        self.assertTrue(hpa_vectors.versions())
        for version in hpa_vectors.versions():
            with self.subTest(version):
                expected = hpa_vectors.answers(version)
                self.assertGreater(len(expected), 1000)
                actual = hpa_vectors.ask(COMMAND, version, hpa_vectors.cases(version))
                self.assertEqual(list(hpa_vectors.differences(expected, actual))[:5], [])

    def test_explaining_changes_no_decision(self):
        version = hpa_vectors.versions()[0]
        lines = list(hpa_vectors.cases(version))[::10]
        plain = hpa_vectors.ask(COMMAND, version, lines)
        explained = hpa_vectors.ask([*COMMAND, "--explain"], version, lines)
        self.assertEqual(list(hpa_vectors.differences(plain, explained)), [])
        for look in explained:
            self.assertTrue(look["explain"])
            for sentence in look["explain"]:
                self.assertRegex(sentence, r"^[A-Z].*\.$")

    def test_bad_input_is_one_line_and_exit_code_2(self):
        for arguments, stdin, fault in (
            (["--vectors", "-"], "{}\n", "standard input line 1: a case must have hpa"),
            (["--vectors", "/nonexistent"], "", "--vectors: cannot read /nonexistent"),
            (["--vectors", "-", "--kubernetes", "1.20"], "", "accepted: 1.34, 1.35, 1.36, 1.37"),
        ):
            done = subprocess.run([*COMMAND, *arguments], input=stdin, text=True, capture_output=True)
            self.assertEqual(done.returncode, 2)
            self.assertEqual(done.stderr.count("\n"), 1)
            self.assertIn(fault, done.stderr)


if __name__ == "__main__":
    unittest.main()
