"""Files of a benchmark: BASE-fit.jsonl and BASE-judge.jsonl with the runs, BASE-inputs.jsonl with what was measured before.

Each line is one JSON object with its `key`. What fits reads the first and the third only.
"""

import json
import os
import pathlib

from . import cells

HALVES = ("fit", "judge")


class WrongHalf(Exception):
    """A file, or a line of it, that those who fit must not read."""


def path_of(base, part):
    """`part`: fit, judge or inputs."""
    base = pathlib.Path(base)
    return base.with_name(f"{base.name}-{part}.jsonl")


def append(path, record):
    """At once and whole: what a run before left half written is taken away."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        file.seek(0)
        whole = file.read()
        if whole and not whole.endswith(b"\n"):
            file.truncate(whole.rfind(b"\n") + 1)
        file.write(json.dumps(record, separators=(",", ":")).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def lines(path):
    """Records; none where there is no file. A last line without its end is passed over."""
    if path.exists():
        with path.open() as file:
            yield from (json.loads(line) for line in file if line.endswith("\n"))


def append_run(base, record):
    append(path_of(base, cells.run_of(record["key"]).half), record)


def done(base, calm=False):
    """Keys of the runs that there are, of both halves; nothing else of them. `calm`: runs of a busy machine are none."""
    return {record["key"] for half in HALVES for record in lines(path_of(base, half)) if not (calm and record.get("is_busy"))}


def chosen(records, calm):
    """Of each run the last record; with `calm` of those on a machine that was not busy."""
    return list({record["key"]: record for record in records if not (calm and record.get("is_busy"))}.values())


def read_for_fitting(path, calm=False):
    """Runs of the half for fitting. @raises WrongHalf: a file, or a line, that is not of it"""
    path = pathlib.Path(path)
    if not path.name.endswith("-fit.jsonl"):
        raise WrongHalf(f"{path.name}: only a file …-fit.jsonl is for fitting")
    records = list(lines(path))
    for record in records:
        if cells.run_of(record["key"]).half != "fit":
            raise WrongHalf(f"{path.name}: {record['key']} is a run of the other half")
    return chosen(records, calm)


def read_half(base, half, calm=False):
    return chosen(lines(path_of(base, half)), calm)


def inputs(base):
    """What was measured last; None where nothing was."""
    found = list(lines(path_of(base, "inputs")))
    return found[-1] if found else None
