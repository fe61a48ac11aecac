#!/usr/bin/env python3
"""`cmake --install`: the program runs from wherever it was put, with what came along."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest
import urllib.request

BINARY = pathlib.Path(os.environ["PODSENSE_BINARY"]).resolve()
MODELS = pathlib.Path(os.environ["PODSENSE_MODELS"])


class Install(unittest.TestCase):
    def test_it_serves_the_models_beside_it(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        subprocess.run(["cmake", "--install", BINARY.parent, "--prefix", folder / "first", "--strip"], check=True,
                       capture_output=True)
        place = folder / "second"
        (folder / "first").rename(place)
        for path in ("lib/podsense/libonnxruntime.so.1", "share/man/man1/podsense-serve.1",
                     "share/bash-completion/completions/podsense", "share/doc/podsense/onnxruntime.copyright"):
            self.assertTrue((place / path).is_file(), path)
        shutil.copytree(MODELS / "random-forest", place / "share/podsense/models/random-forest")
        own = {name: value for name, value in os.environ.items() if not name.startswith(("PODSENSE_", "LD_"))}
        server = subprocess.Popen([place / "bin/podsense", "serve", "--host", "127.0.0.1", "--admin-host", "127.0.0.1",
                                   "--http-port", "0", "--grpc-port", "0", "--admin-port", "0"],
                                  cwd=folder, env=own, stdout=subprocess.PIPE, text=True)
        self.addCleanup(server.stdout.close)
        self.addCleanup(server.wait)
        self.addCleanup(server.terminate)
        serving = next((line for line in server.stdout if '"event":"serving"' in line), None)
        self.assertIsNotNone(serving, "it ended instead")
        url = f"http://{json.loads(serving)['http']}/startupz?wait"
        with urllib.request.urlopen(url, timeout=30) as answer:
            self.assertEqual(200, answer.status)
        mapped = pathlib.Path(f"/proc/{server.pid}/maps").read_text("utf-8")
        self.assertIn(str(place / "lib/podsense/libonnxruntime.so.1"), mapped)


if __name__ == "__main__":
    unittest.main()
