"""The committed cases of the autoscaler, and what the real controllers answered.

vectors/*.jsonl.xz are cases, answers/VERSION.jsonl.xz the answers of the controller of one version to all
of them that are for it. `make hpa-oracle` makes both.
"""

import json
import lzma
import pathlib
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
FIELDS = ("case", "tick", "current", "desired", "rescaled", "conditions")


def versions():
    return sorted(path.name.split(".jsonl")[0] for path in (HERE / "answers").glob("*.jsonl.xz"))


def cases(version):
    """Lines of all cases for a version."""
    for path in sorted((HERE / "vectors").glob("*.jsonl.xz")):
        with lzma.open(path, "rt", encoding="utf-8") as lines:
            yield from for_version(lines, version)


def for_version(lines, version):
    for line in lines:
        if json.loads(line).get("kubernetes", version) == version:
            yield line


def answers(version):
    with lzma.open(HERE / "answers" / f"{version}.jsonl.xz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def ask(command, version, lines):
    """What a program with the arguments of `podsense simulate hpa` answers."""
    done = subprocess.run([*command, "--kubernetes", version, "--vectors", "-"], input="".join(lines), text=True, capture_output=True)
    if done.returncode != 0:
        raise RuntimeError(f"exit code {done.returncode}: {done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def differences(expected, actual):
    """One line for each look that differs."""
    for left, right in zip(expected, actual):
        wanted, got = ({key: one.get(key) for key in FIELDS} for one in (left, right))
        if wanted != got:
            yield f"{wanted['case']} look {wanted['tick']}: the controller {wanted}, here {got}"
    if len(expected) != len(actual):
        yield f"the controller answered {len(expected)} looks, here {len(actual)}"
