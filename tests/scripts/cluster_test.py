#!/usr/bin/env python3
"""The scripts about clusters, where the programs that they need are missing, off, or stand-ins.

What they do on a real cluster is tests/e2e's business; here is what kind and Docker are asked, and what
people are told when something is not there.
"""

import os
import pathlib
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]

# A stand-in notes how it was called and answers from a file named after the call's first words.
STAND_IN = """#!/bin/sh
echo "$(basename "$0") $*" >>"$CALLS"
for answer in "$ANSWERS/$(basename "$0")-$1-$2" "$ANSWERS/$(basename "$0")-$1" "$ANSWERS/$(basename "$0")"; do
  if [ -e "$answer" ]; then . "$answer"; exit $?; fi
done
"""


class Desk:
    """A folder of stand-ins that comes first on PATH."""

    def __init__(self, folder, programs):
        self.folder = pathlib.Path(folder)
        (self.folder / "bin").mkdir()
        for name in programs:
            path = self.folder / "bin" / name
            path.write_text(STAND_IN, "utf-8")
            path.chmod(0o755)

    def answer(self, call, script):
        (self.folder / call).write_text(script, "utf-8")

    def run(self, *command, **settings):
        environment = {name: value for name, value in os.environ.items() if name not in ("KUBEKIT", "PLATFORM")}
        environment.update(
            PATH=f"{self.folder}/bin:/usr/bin:/bin", HOME=str(self.folder), CALLS=str(self.folder / "calls"),
            ANSWERS=str(self.folder), KUBECONFIG=str(self.folder / "config"), **settings
        )
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL)

    def calls(self):
        path = self.folder / "calls"
        return path.read_text("utf-8").splitlines() if path.exists() else []


class Clusters(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.desk = Desk(folder.name, ("docker", "kind", "kubectl", "helm"))

    def fails_with(self, line, *command, **settings):
        done = self.desk.run(*command, **settings)
        self.assertNotEqual(done.returncode, 0, command)
        self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
        self.assertIn(line, done.stderr, command)

    def test_says_that_docker_is_not_running(self):
        self.desk.answer("docker-info", "exit 1\n")
        self.fails_with("Docker is not running", "scripts/cluster.sh", "up", PLATFORM="kind")
        # Without a kit beside the tree nothing else can be brought up.
        ask = ". scripts/lib.sh; . scripts/kube-lib.sh; kit=; platform"
        self.fails_with("Docker is not running", "bash", "-c", ask)

    def test_says_that_there_is_no_cluster(self):
        for command in (("scripts/deploy.sh", "apply"), ("scripts/deploy.sh", "delete"), ("scripts/cleanup.sh", "--yes"),
                        ("scripts/checklist.sh",), ("scripts/cluster.sh", "load", "podsense:0.1.0")):
            self.fails_with("there is no kind cluster k8s-inference-sim: make kind-up", *command, PLATFORM="kind")

    def test_says_that_the_cluster_does_not_answer(self):
        self.desk.answer("kind-get-clusters", "echo k8s-inference-sim\n")
        self.desk.answer("kubectl-get", "echo 'connection refused' >&2; exit 1\n")
        self.fails_with("does not answer: connection refused", "scripts/deploy.sh", "apply", PLATFORM="kind")

    def test_says_that_the_image_was_not_built(self):
        self.desk.answer("kind-get-clusters", "echo k8s-inference-sim\n")
        self.desk.answer("docker-image-inspect", "exit 1\n")
        self.fails_with("no image podsense:9: make image", "scripts/cluster.sh", "load", "podsense:9", PLATFORM="kind")

    def test_names_what_is_accepted(self):
        self.fails_with("accepted are kind, kit and current", "scripts/cluster.sh", "up", PLATFORM="minikube")
        self.fails_with("no overlay absent; there are:", "scripts/deploy.sh", "apply", "absent")
        self.fails_with("no overlay absent; there are:", "scripts/restart.sh", "absent")
        self.fails_with("accepted: --dry-run", "scripts/cleanup.sh", "--everything")
        self.fails_with("accepted: --from-build, --size", "scripts/image.sh", "--small")

    def test_creates_the_kind_cluster_once(self):
        self.desk.answer("kubectl--n-kube-system", "exit 0\n")
        self.desk.answer("kind-create-cluster", 'echo "echo k8s-inference-sim" >"$ANSWERS/kind-get-clusters"\n')
        for _ in range(2):
            done = self.desk.run("scripts/cluster.sh", "up", PLATFORM="kind", METRICS_SERVER="none")
            self.assertEqual(done.returncode, 0, done.stderr)
        created = [call for call in self.desk.calls() if call.startswith("kind create cluster")]
        self.assertEqual(created, ["kind create cluster --name k8s-inference-sim --config k8s/kind.yaml --wait 180s"])

    def test_loads_images_into_kind(self):
        self.desk.answer("kind-get-clusters", "echo k8s-inference-sim\n")
        done = self.desk.run("scripts/cluster.sh", "load", "podsense:1", "podsense:2", PLATFORM="kind")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("kind load docker-image --name k8s-inference-sim podsense:1 podsense:2", self.desk.calls())

    def test_takes_the_kind_clusters_own_context(self):
        """Whatever context is current, what is applied lands in the local cluster."""
        self.desk.answer("kind-get-clusters", "echo k8s-inference-sim\n")
        self.desk.answer("kind-get-kubeconfig", "echo from-kind\n")
        self.desk.answer("kubectl-delete", 'cp "$KUBECONFIG" "$ANSWERS/used"\n')
        done = self.desk.run("scripts/deploy.sh", "delete", PLATFORM="kind")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual((self.desk.folder / "used").read_text("utf-8").strip(), "from-kind")

    def test_deletes_the_kind_cluster_only_where_it_is(self):
        self.assertEqual(self.desk.run("scripts/cluster.sh", "down", PLATFORM="kind").returncode, 0)
        self.assertFalse([call for call in self.desk.calls() if call.startswith("kind delete")])
        self.desk.answer("kind-get-clusters", "echo k8s-inference-sim\n")
        self.assertEqual(self.desk.run("scripts/cluster.sh", "down", PLATFORM="kind").returncode, 0)
        self.assertIn("kind delete cluster --name k8s-inference-sim", self.desk.calls())

    def test_builds_with_docker_where_it_answers(self):
        done = self.desk.run("scripts/image.sh", "podsense:1", "other:2")
        self.assertEqual(done.returncode, 0, done.stderr)
        build = next(call for call in self.desk.calls() if call.startswith("docker build"))
        for part in ("--tag podsense:1", "--tag other:2", "--build-arg VERSION=", "--build-arg REVISION="):
            self.assertIn(part, build)


if __name__ == "__main__":
    unittest.main()
