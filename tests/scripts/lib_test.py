#!/usr/bin/env python3
"""scripts/lib.sh: what is built once and kept in the cache that clean clones share; what make gives to
what it runs, and what it installs for that."""

import os
import pathlib
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


class BuildOnce(unittest.TestCase):
    def setUp(self):
        self.cache = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def build(self, command):
        script = f"""set -euo pipefail
. {ROOT}/scripts/lib.sh
name=outer what=outer
make() {{ {command}; }}
build_once "$podsense_cache/tools/it-1" it make
cat "$podsense_cache/tools/it-1/made"
"""
        return subprocess.run(["bash", "-c", script], capture_output=True, text=True,
                              env=os.environ | {"BUILD_CACHE": str(self.cache), "BUILD_QUIET": ""})

    def tools(self):
        return sorted(path.name for path in (self.cache / "tools").iterdir())

    def test_it_is_built_once_and_sees_its_callers_variables(self):
        done = self.build('echo noise; echo "$name $what" >"$1/made"')
        self.assertEqual((0, "outer outer\n"), (done.returncode, done.stdout), done.stderr)
        self.assertIn("building it", done.stderr)
        self.assertEqual("outer outer\n", self.build("false").stdout)
        self.assertEqual(["it-1"], self.tools())
        self.assertEqual(0o755, (self.cache / "tools/it-1").stat().st_mode & 0o777)

    def test_a_failure_says_so_and_leaves_nothing(self):
        done = self.build('touch "$1/half" && false')
        self.assertNotEqual(0, done.returncode)
        self.assertIn("cannot build it", done.stderr)
        self.assertEqual([], self.tools())


class Make(unittest.TestCase):
    def test_nothing_that_it_exports_is_a_setting_of_the_server(self):
        """The server reads variables that begin with PODSENSE_, and refuses those that it does not know."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(("PODSENSE_", "MAKE"))}
        for flags in ([], ["-s"], ["-s", "-j2"]):
            done = subprocess.run(["make", *flags, "-C", ROOT, "-f", "-", "show"], text=True, capture_output=True,
                                  input="include Makefile\nshow: ; @env\n", env=own, check=True)
            names = [line.split("=", 1)[0] for line in done.stdout.splitlines()]
            self.assertIn("BUILD_QUIET", names)
            self.assertEqual([], [name for name in names if name.startswith("PODSENSE_")], flags)

    def test_what_bench_compare_runs_is_installed_for_it(self):
        done = subprocess.run([ROOT / "scripts/setup.sh", "--bench", "--list"], text=True, capture_output=True, check=True)
        for package in ("libbenchmark-dev", "nginx-light", "wrk"):
            self.assertIn(package, done.stdout.split())


if __name__ == "__main__":
    unittest.main()
