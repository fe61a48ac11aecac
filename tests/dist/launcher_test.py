#!/usr/bin/env python3
"""The wheel's launcher: it becomes the program, which finds ONNX Runtime's library next to it or elsewhere."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ["PODSENSE_BINARY"]).resolve()


class Launcher(unittest.TestCase):
    def setUp(self):
        self.site = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory())) / "site"
        package = self.site / "podsense"
        (package / "bin").mkdir(parents=True)
        text = (ROOT / "packaging/wheel/podsense/__main__.py").read_text("utf-8")
        (package / "__main__.py").write_text(text.replace("@ONNXRUNTIME@", "1.2.3"), "utf-8")
        (package / "__init__.py").touch()
        self.program(f'exec {BINARY} "$@"')

    def program(self, command):
        path = self.site / "podsense/bin/podsense"
        path.write_text(f"#!/bin/sh\n{command}\n", "utf-8")
        path.chmod(0o755)

    def library(self, site):
        folder = site / "onnxruntime" / "capi"
        folder.mkdir(parents=True)
        (folder.parent / "__init__.py").touch()
        (folder / "libonnxruntime.so.1.2.3").touch()
        return folder

    def launch(self, *arguments, **environment):
        return subprocess.run([sys.executable, "-m", "podsense", *arguments], cwd=self.site, check=False,
                              capture_output=True, text=True, env=os.environ | environment)

    def test_arguments_and_the_exit_code_are_the_programs(self):
        self.library(self.site)
        done = self.launch("version")
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertIn("podsense", done.stdout)
        done = self.launch("serve", "--http-port", "a b")
        self.assertEqual(2, done.returncode)
        self.assertIn("a b", done.stderr)

    def test_it_is_the_same_process(self):
        self.library(self.site)
        self.program("echo $$")
        process = subprocess.Popen([sys.executable, "-m", "podsense"], cwd=self.site, stdout=subprocess.PIPE, text=True)
        self.assertEqual(process.pid, int(process.communicate()[0]))

    def test_a_library_elsewhere_is_named_to_the_loader(self):
        self.program('echo "$LD_LIBRARY_PATH"')
        elsewhere = self.site.parent / "elsewhere"
        folder = self.library(elsewhere)
        self.assertEqual(f"{folder}\n", self.launch(PYTHONPATH=str(elsewhere), LD_LIBRARY_PATH="").stdout)
        self.assertEqual(f"{folder}:/own\n", self.launch(PYTHONPATH=str(elsewhere), LD_LIBRARY_PATH="/own").stdout)
        self.library(self.site)
        self.assertEqual("/own\n", self.launch(PYTHONPATH=str(elsewhere), LD_LIBRARY_PATH="/own").stdout)

    def test_without_the_library_it_says_what_to_install(self):
        for before in ("nothing", "another version"):
            if before == "another version":
                folder = self.library(self.site)
                (folder / "libonnxruntime.so.1.2.3").rename(folder / "libonnxruntime.so.1.2.4")
            done = self.launch("version", PYTHONPATH="")
            self.assertEqual(1, done.returncode, before)
            self.assertIn("pip install onnxruntime==1.2.3", done.stderr)


if __name__ == "__main__":
    unittest.main()
