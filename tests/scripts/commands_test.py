#!/usr/bin/env python3
"""docs/reference/commands.md keeps its word: what the right column names is there."""

import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/reference/commands.md"
KINDS = {"svc": "Service", "deployment": "Deployment", "hpa": "HorizontalPodAutoscaler", "ingress": "Ingress"}
# The overlay that makes what is in a namespace.
OVERLAYS = {"ml-inference": "ml-inference", "ml-serving": "model-api", "k8s-inference-sim": "dev"}
COMMANDS = ("serve", "load", "check", "version")


def rows():
    """(known, here) of each row, both as lists of commands."""
    for line in PAGE.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) == 5 and "`" in cells[2]:
            yield re.findall(r"`([^`]+)`", cells[1]), re.findall(r"`([^`]+)`", cells[2])


def make_targets():
    return set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))


def objects(overlay):
    """(kind, name) of everything that an overlay makes."""
    folder = ROOT / "k8s/overlays" / overlay
    settings = (folder / "kustomization.yaml").read_text("utf-8")
    prefix = re.search(r"^namePrefix: *(\S+)", settings, re.M)
    folders = [folder] + ([ROOT / "k8s/base"] if "../../base" in settings else [])
    found = set()
    for path in (path for place in folders for path in place.glob("*.yaml")):
        for document in path.read_text("utf-8").split("\n---"):
            kind = re.search(r"^kind: *(\S+)", document, re.M)
            name = re.search(r"^  name: *(\S+)", document, re.M)
            if kind and name:
                found.add((kind.group(1), (prefix.group(1) if prefix else "") + name.group(1)))
    return found


def faults_of(command):
    """What a command names that is not there."""
    for target in re.findall(r"\bmake ((?:[a-z0-9-]+ ?)+)", command):
        for name in target.split():
            if name not in make_targets():
                yield f"no Make target {name}"
    for name in re.findall(r"(?:^|[ =/])((?:\./|helm/podsense|k8s/|scripts/|tests/|infra\b)[\w./-]*)", command):
        if not (ROOT / name).exists():
            yield f"no {name}"
    for name in re.findall(r"-var-file=(\S+)", command):
        if not (ROOT / "infra" / name).exists():
            yield f"no infra/{name}"
    for name in re.findall(r"^podsense (\S+)", command):
        if name not in COMMANDS or f'"{name}"' not in (ROOT / "src/cli/main.cc").read_text("utf-8"):
            yield f"podsense has no command {name}"
    namespace = re.search(r"-n ([a-z0-9-]+)", command)
    overlay = OVERLAYS.get(namespace.group(1)) if namespace else None
    for kind, name in re.findall(r"\b(svc|deployment|hpa|ingress)/([a-z0-9-]+)", command):
        if overlay and (KINDS[kind], name) not in objects(overlay):
            yield f"no {kind}/{name} in overlay {overlay}"
    container = re.search(r"set image deployment/\S+ ([a-z0-9-]+)=", command)
    if container and overlay:
        text = (ROOT / f"k8s/overlays/{overlay}/deployment.yaml").read_text("utf-8")
        if f"- name: {container.group(1)}\n" not in text:
            yield f"no container {container.group(1)} in overlay {overlay}"


class Commands(unittest.TestCase):
    def test_table_is_there(self):
        self.assertGreater(len(list(rows())), 50)

    def test_what_is_named_exists(self):
        for known, here in rows():
            with self.subTest(known=known):
                for command in here:
                    self.assertEqual(list(faults_of(command)), [], command)

    def test_notices_what_is_not_there(self):
        for command in (
            "make kind-upp",
            "scripts/absent.sh",
            "kubectl rollout status deployment/model-apo -n ml-serving",
            "kubectl port-forward -n ml-serving svc/dev-inference-sim 8080:80",
            "helm install a helm/podsense -f helm/podsense/values-absent.yaml",
            "cd infra && terraform apply -var-file=absent.tfvars",
            "podsense lood http://localhost",
            "kubectl set image deployment/model-api podsense=podsense:0.1.0 -n ml-serving",
        ):
            with self.subTest(command=command):
                self.assertNotEqual(list(faults_of(command)), [])


if __name__ == "__main__":
    unittest.main()
