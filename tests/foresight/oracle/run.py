#!/usr/bin/env python3
"""Builds the real autoscaler controllers and asks them. `make hpa-oracle` calls it; README.md says how it works.

    run.py --go GO --replay PROGRAM [--simulate PODSENSE] [--versions 1.34 …] [--looks 100000] [--keep]

Writes vectors/ and answers/ anew (--keep: leaves them), then compares PROGRAM with the controllers over at
least that many further looks in each mode, and over the looks of a simulated cluster (../simulated.yaml). Exit code 1
where one differs.
"""

import argparse
import itertools
import lzma
import os
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import hpa_vectors  # noqa: E402 - its folder is not on the path before

BUILD = HERE.parents[2] / "build/hpa-oracle"
CASES = 250  # committed, in each mode
MODES = ("loop", "direct")
CHUNK = 400  # cases of one comparison


def build(go, version):
    """The oracle of one version: its module's go.mod, our tests, and a copy of the controller with two more methods."""
    folder = BUILD / version
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in [*HERE.glob("*_test.go"), *(HERE / "versions" / version).glob("go.*")]:
        shutil.copy(path, folder)
    environment = {**os.environ, "GOFLAGS": "-mod=mod", "GOWORK": "off"}
    release = re.search(r"k8s\.io/kubernetes (v\S+)", (folder / "go.mod").read_text("utf-8")).group(1)
    run = {"cwd": folder, "env": environment, "check": True}
    source = subprocess.run([go, "mod", "download", "-json", f"k8s.io/kubernetes@{release}"], capture_output=True, text=True, **run)
    module = pathlib.Path(re.search(r'"Dir": "([^"]+)"', source.stdout).group(1))
    controller = folder / "podautoscaler"
    controller.mkdir()
    for path in (module / "pkg/controller/podautoscaler").glob("*.go"):
        if not path.name.endswith("_test.go"):
            (controller / path.name).write_bytes(path.read_bytes())
    shutil.copy(HERE / "controller.go.add", controller / "oracle.go")
    print(f"building the controller of {release}", flush=True)
    subprocess.run([go, "test", "-vet=off", "-c", "-o", "hpa-oracle", "."], **run)
    return folder / "hpa-oracle"


def ask(oracle, version, lines):
    cases, answers = oracle.parent / "cases.jsonl", oracle.parent / "answers.jsonl"
    cases.write_text("".join(lines), "utf-8")
    environment = {**os.environ, "KUBERNETES": version, "VECTORS": str(cases), "RESULTS": str(answers)}
    subprocess.run([oracle, "-test.run", "^TestOracle$"], env=environment, check=True, stdout=subprocess.DEVNULL)
    return answers.read_text("utf-8").splitlines()


def generate(*arguments):
    command = [sys.executable, str(HERE / "generate.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines(keepends=True)


def compress(path, lines):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(lzma.compress("".join(lines).encode(), preset=9 | lzma.PRESET_EXTREME))


def write_vectors():
    folder = hpa_vectors.HERE / "vectors"
    compress(folder / "targeted.jsonl.xz", generate("targeted"))
    for mode in MODES:
        compress(folder / f"{mode}.jsonl.xz", generate("random", 1, CASES, mode))


def write_answers(oracle, version):
    lines = []
    for line in ask(oracle, version, hpa_vectors.cases(version)):
        look = hpa_vectors.json.loads(line)
        kept = {key: look[key] for key in hpa_vectors.FIELDS}
        lines.append(hpa_vectors.json.dumps(kept, separators=(",", ":")) + "\n")
    compress(hpa_vectors.HERE / "answers" / f"{version}.jsonl.xz", lines)


def random_cases(version, mode):
    """Lists of lines without end."""
    for seed in itertools.count(2):
        yield list(hpa_vectors.for_version(generate("random", seed, CHUNK, mode), version))


def simulated_cases(podsense, version):
    command = [podsense, "simulate", hpa_vectors.HERE / "simulated.yaml", "--set", f"kubernetes={version}", "--runs", "50", "--dump-hpa", "-"]
    yield subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines(keepends=True)


def compare(oracle, program, version, what, chunks, looks):
    """Over chunks of cases, until there were that many looks; answers how many differed."""
    asked = rescaled = wrong = 0
    for lines in chunks:
        expected = [hpa_vectors.json.loads(line) for line in ask(oracle, version, lines)]
        for fault in hpa_vectors.differences(expected, hpa_vectors.ask([program], version, lines)):
            wrong += 1
            print(fault, file=sys.stderr)
        asked += len(expected)
        rescaled += sum(look["rescaled"] for look in expected)
        if asked >= looks:
            break
    print(f"{version} {what}: {asked} looks, {rescaled} rescales, {wrong} differences", flush=True)
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--go", default="go")
    parser.add_argument("--replay", required=True, type=pathlib.Path, help="build/release/hpa_replay")
    parser.add_argument("--simulate", type=pathlib.Path, metavar="PODSENSE", help="build/release/podsense: ask about simulated looks, too")
    known = sorted(path.name for path in (HERE / "versions").iterdir())
    parser.add_argument("--versions", nargs="+", default=known, choices=known)
    parser.add_argument("--looks", type=int, default=100000)
    parser.add_argument("--keep", action="store_true", help="leave vectors and answers as they are")
    options = parser.parse_args()
    oracles = {version: build(options.go, version) for version in options.versions}
    if not options.keep:
        write_vectors()
        for version, oracle in oracles.items():
            write_answers(oracle, version)
    wrong = 0
    for version, oracle in oracles.items():
        for mode in MODES:
            wrong += compare(oracle, options.replay.resolve(), version, mode, random_cases(version, mode), options.looks)
        if options.simulate:
            cases = simulated_cases(options.simulate.resolve(), version)
            wrong += compare(oracle, options.replay.resolve(), version, "simulated", cases, options.looks)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
