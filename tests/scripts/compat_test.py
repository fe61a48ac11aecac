#!/usr/bin/env python3
"""compat/: every path that a README types is there, links lead somewhere, wrappers reach the project's own programs."""

import os
import pathlib
import re
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMPAT = ROOT / "compat"
WORKFLOWS = ("podsense", "eks", "model-api", "platform", "simulator")


def commands(name):
    text = (COMPAT / name / "README.md").read_text("utf-8")
    for block in re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S):
        yield from re.sub(r" \\\n\s*", " ", block).splitlines()


class Compat(unittest.TestCase):
    def test_what_the_commands_name_is_there(self):
        for name in WORKFLOWS:
            folder, seen = COMPAT / name, 0
            for command in commands(name):
                if into := re.match(r"cd (\S+)$", command):
                    folder = (folder / into[1]).resolve() if into[1] != ".." else COMPAT / name
                files = re.findall(r"(?:-f |-var-file=|helm install \S+ |k6 run |python |sh |^)((?:\.{0,2}/)?[\w.-]+(?:/[\w.-]+)+/?|prod\.tfvars|values-\w+\.yaml)", command)
                for path in files:
                    if path.startswith(("ingress-nginx/", "prometheus-community/", "eks/aws-", "deployment/")):
                        continue
                    seen += 1
                    self.assertTrue((folder / path).exists(), f"compat/{name}: {command}: no {path}")
            self.assertGreater(seen, 0, name)

    def test_links_lead_somewhere_inside(self):
        links = [path for path in COMPAT.rglob("*") if path.is_symlink()]
        self.assertGreater(len(links), 10)
        for path in links:
            self.assertTrue(path.exists(), path)
            self.assertTrue(path.resolve().is_relative_to(ROOT), path)
            self.assertNotEqual(path.resolve(), ROOT, f"{path} would make a tree without end")

    def test_the_makefile_knows_the_projects_targets(self):
        for target in ("kind-up", "image", "kind-load", "deploy", "undeploy", "kind-down"):
            done = subprocess.run(["make", "-n", "-C", COMPAT / "simulator", target], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("scripts/", done.stdout)
        done = subprocess.run(["make", "-n", "-C", COMPAT / "simulator", "kind-upp"], capture_output=True, text=True, check=False)
        self.assertNotEqual(done.returncode, 0)

    def test_load_says_what_is_missing(self):
        script = COMPAT / "simulator/scripts/load.py"
        environment = {**os.environ, "PODSENSE_BINARY": "/absent/podsense"}
        done = subprocess.run([script, "--qps", "1"], capture_output=True, text=True, check=False, env=environment)
        self.assertEqual(done.returncode, 1)
        self.assertIn("no program /absent/podsense", done.stderr)
        done = subprocess.run([script, "--qps", "1"], capture_output=True, text=True, check=False,
                              env={**os.environ, "PODSENSE_BINARY": "/bin/echo"})  # fmt: skip
        self.assertEqual(done.stdout, "load --qps 1\n")

    def test_wrappers_reach_the_projects_scripts(self):
        done = subprocess.run(["sh", "scripts/restart.sh", "absent"], capture_output=True, text=True, check=False, cwd=COMPAT / "platform")
        self.assertIn("no overlay absent; there are:", done.stderr)
        done = subprocess.run([COMPAT / "eks/EKS_DEPLOYMENT_GUIDE.sh", "nonsense"], capture_output=True, text=True, check=False)
        self.assertIn("unknown argument nonsense", done.stderr)


if __name__ == "__main__":
    unittest.main()
