#!/usr/bin/env python3
"""End-to-end tests on a real cluster: run by `make e2e`.

    tests/e2e/run.py [quick] [NAME…]     names of scenarios, or parts of them; --list prints them

`quick` leaves out what takes minutes. Leaves build/e2e/tests.xml (JUnit) and, in build/e2e/latest,
the figures, time lines and plots of this run. The cluster (scripts/cluster.sh) is brought up if there
is none, and ended again if this run brought it up. E2E_KEEP=1 keeps it, and what the scenario (one, then)
has installed.
"""

import os
import pathlib
import shutil
import sys
import time
import traceback
import xml.etree.ElementTree as ElementTree

import autoscaling
import cluster
import commands
import dashboards
import disruption
import failure
import figures
import ingress
import install
import network
import observability
import transcoding
import upgrades

import compat
import scripts

MODULES = (install, upgrades, scripts, commands, compat, disruption, failure, transcoding, ingress, network, autoscaling, dashboards,
           observability)
FOLDER = cluster.ROOT / "build/e2e"


def scenarios():
    """(name, function, quick) in the order in which they run."""
    for module in MODULES:
        for function, quick in module.SCENARIOS:
            yield f"{module.__name__}.{function.__name__}", function, quick


def chosen(arguments):
    quick_only = "quick" in arguments
    names = [name for name in arguments if name != "quick"]
    every = list(scenarios())
    for name in names:
        if not any(name in other for other, _, _ in every):
            sys.exit(f"e2e: no scenario {name}; there are: {' '.join(other for other, _, _ in every)}")
    for name, function, quick in every:
        if names and not any(part in name for part in names):
            continue
        if quick_only and not quick:
            continue
        yield name, function


def write_junit(results):
    suite = ElementTree.Element("testsuite", name="e2e", tests=str(len(results)))
    suite.set("failures", str(sum(1 for _, _, fault in results if fault)))
    for name, seconds, fault in results:
        case = ElementTree.SubElement(suite, "testcase", name=name, time=f"{seconds:.1f}")
        if fault:
            ElementTree.SubElement(case, "failure").text = fault
    ElementTree.ElementTree(suite).write(FOLDER / "tests.xml", encoding="utf-8")


def run_all(selected, context):
    results = []
    for name, function in selected:
        print(f"--- {name}: {function.__doc__.splitlines()[0]}", flush=True)
        began, fault = time.monotonic(), ""
        try:
            function(context)
        except Exception as error:  # whatever went wrong is this scenario's failure
            fault = "".join(traceback.format_exception(error))
            print(fault if not isinstance(error, cluster.Failure) else f"    {error}", flush=True)
        results.append((name, time.monotonic() - began, fault))
        print(f"    {'FAILED' if fault else 'ok'} in {results[-1][1]:.0f} s", flush=True)
        write_junit(results)
    return results


class Context:
    """What a scenario is given: where figures go, where it may write."""

    def __init__(self, folder):
        self.folder = folder
        self.figures = figures.Figures(folder)
        self.photo = self.find_photo()

    @staticmethod
    def find_photo():
        for path in sorted(pathlib.Path(cluster.ROOT / "build/golden/photos").glob("imagenet_*.jpg")):
            return path
        sys.exit("e2e: no photographs: make golden")


def bring_up():
    """Whether the cluster was brought up by this run."""
    was_up = cluster.run("scripts/cluster.sh status", check=False).returncode == 0
    if not was_up:
        print(cluster.output("scripts/cluster.sh up", timeout=1200), flush=True)
    return not was_up


def main():
    arguments = sys.argv[1:]
    if "--list" in arguments:
        for name, function, quick in scenarios():
            print(f"{name}{' (quick)' if quick else ''}: {function.__doc__.splitlines()[0]}")
        return 0
    selected = list(chosen(arguments))
    if os.environ.get("E2E_KEEP") and len(selected) > 1:
        sys.exit("e2e: E2E_KEEP keeps what a scenario installs, which would be in the next one's way: name one scenario")
    folder = FOLDER / "latest"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (FOLDER / "tests.xml").unlink(missing_ok=True)
    context = Context(folder)
    ours = bring_up()
    try:
        cluster.adopt_environment()
        images = [f"podsense:{cluster.version()}", "k8s-inference-sim:local", f"podsense-envoy:{cluster.version()}"]
        cluster.run(["scripts/cluster.sh", "load", *images])
        began = time.monotonic()
        results = run_all(selected, context)
    finally:
        if ours and not os.environ.get("E2E_KEEP"):
            cluster.run("scripts/cluster.sh down", check=False)
    failed = [name for name, _, fault in results if fault]
    print(f"e2e: {len(results) - len(failed)} of {len(results)} scenarios passed in {time.monotonic() - began:.0f} s; "
          f"figures: {folder.relative_to(cluster.ROOT)}/figures.md")
    for name in failed:
        print(f"e2e: FAILED {name}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
