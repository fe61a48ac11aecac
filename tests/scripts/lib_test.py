#!/usr/bin/env python3
"""scripts/lib.sh: what is built once and kept in the cache that clean clones share."""

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


if __name__ == "__main__":
    unittest.main()
