#!/usr/bin/env python3
"""`make dev` picks the tests of what changed, and of what uses it."""

import importlib.util
import pathlib
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SPEC = importlib.util.spec_from_file_location("dev_tests", ROOT / "scripts" / "dev-tests.py")
dev_tests = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(dev_tests)


class Selection(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.modules = dev_tests.modules_of(ROOT)

    def select(self, *paths):
        return dev_tests.tests_of(paths, self.modules)

    def test_a_source_brings_the_tests_of_its_module(self):
        programs, integration = self.select("src/batching/scheduler.cc")
        self.assertIn("scheduler_test", programs)
        self.assertNotIn("config_test", programs)
        self.assertEqual([], integration)

    def test_a_public_header_brings_those_of_the_modules_that_use_it(self):
        programs, _ = self.select("src/batching/scheduler.h")
        self.assertIn("scheduler_test", programs)
        self.assertLessEqual(self.modules["foresight"].tests, set(programs))
        self.assertNotIn("policy_test", programs)

    def test_a_module_inside_another_has_its_own(self):
        programs, _ = self.select("src/load/clients/http2_session.cc")
        self.assertIn("http2_session_test", programs)
        self.assertNotIn("rate_search_test", programs)
        self.assertIn("rate_search_test", self.select("src/load/clients/transport.h")[0])

    def test_every_named_test_is_a_file(self):
        for module in self.modules.values():
            for name in module.tests:
                self.assertTrue(list(module.folder.rglob(f"{name}.cc")), name)

    def test_an_integration_test_brings_itself(self):
        self.assertEqual(([], ["integration.tls"]), self.select("tests/integration/test_tls.py", "README.md"))

    def test_what_is_gone_or_elsewhere_brings_nothing(self):
        self.assertEqual(([], []), self.select("src/nothing/a.cc", "src/README.md", "web/index.html"))


if __name__ == "__main__":
    unittest.main()
