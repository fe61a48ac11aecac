"""The programs of docs/how-to/clients.md, as they stand there but for the ports."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from harness import GOLDEN, Server

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/how-to/clients.md").read_text("utf-8")


class DocumentedClients(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(Server())
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        shutil.copy(GOLDEN / "photos/china.jpg", cls.folder / "cat.jpg")
        (cls.folder / "proto").symlink_to(ROOT / "proto")
        cls.programs = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)

    def run_here(self, command):
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=120,
                              env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"})
        self.assertEqual(0, done.returncode, done.stderr)
        return done.stdout

    def said_by(self, package):
        program = next(p for p in self.programs if re.search(rf"^import {package}\b", p, re.MULTILINE))
        for theirs, ours in (("8080", self.server.http_port), ("9000", self.server.grpc_port)):
            program = program.replace(theirs, str(ours))
        return self.run_here([sys.executable, "-c", program])

    def test_each_program_is_run_here(self):
        self.assertEqual(3, len(self.programs))

    def test_the_standard_library(self):
        self.assertRegex(self.said_by("http.client"), r"^[01]\n2\n[a-z ]+ 0\.\d+\n$")

    def test_tritonclient(self):
        self.assertRegex(self.said_by("tritonclient"), r"^\[[01] [01]\] \(2, 2\)\n$")

    def test_grpc_with_stubs_made_as_it_says(self):
        self.run_here(["bash", "-c", re.search(r"```sh\n(python3 -m grpc_tools.*?)```", PAGE, re.DOTALL).group(1)])
        self.assertRegex(self.said_by("grpc"), r"^random-forest [01] \[0\.\d+, 0\.\d+\]\n$")


if __name__ == "__main__":
    unittest.main()
