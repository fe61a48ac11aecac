"""Renders the chart with Helm (HELM, or the one that scripts/go-tool.sh builds)."""

import functools
import json
import os
import pathlib
import subprocess
import tempfile

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "podsense"
PRESETS = sorted(CHART.glob("values-*.yaml"))
CI_VALUES = sorted(CHART.glob("ci/*.yaml"))


@functools.cache
def helm():
    if program := os.environ.get("HELM"):
        return program
    command = [ROOT / "scripts" / "go-tool.sh", "helm"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@functools.cache
def run(values_json, files, arguments):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as values:
        values.write(values_json)
        values.flush()
        command = [helm(), "template", "podsense", str(CHART), "--kube-version", "1.34.0"]
        for file in (*files, values.name):
            command += ["-f", str(file)]
        return subprocess.run([*command, *arguments], capture_output=True, text=True)


def render(values=None, *files, arguments=()):
    """All objects as (kind, name) → object."""
    result = run(json.dumps(values or {}), files, tuple(arguments))
    if result.returncode:
        raise AssertionError(result.stderr)
    objects = [document for document in yaml.safe_load_all(result.stdout) if document]
    return {(o["kind"], o["metadata"]["name"]): o for o in objects}


def refusal(values):
    """What Helm says about values that it must not take."""
    result = run(json.dumps(values), (), ())
    if not result.returncode:
        raise AssertionError(f"rendered, though it must not be: {values}")
    return result.stderr


def preset(name, values=None, arguments=()):
    return render(values, CHART / f"values-{name}.yaml", arguments=arguments)


def kinds(objects, kind):
    return [o for (k, _), o in objects.items() if k == kind]


def pods(objects):
    """Pod specifications of everything that makes pods."""
    for (kind, name), o in objects.items():
        if kind == "Pod":
            yield name, o["spec"]
        elif kind == "Deployment":
            yield name, o["spec"]["template"]["spec"]


def server(objects):
    deployments = kinds(objects, "Deployment")
    component = "app.kubernetes.io/component"
    return next(d for d in deployments if d["metadata"]["labels"][component] == "server")
