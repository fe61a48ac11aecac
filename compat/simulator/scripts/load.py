#!/usr/bin/env python3
"""Sustained load, by `podsense load`: load.py --host http://localhost:8080 --qps 30 --seconds 180

Takes all flags of `podsense load`. The binary: PODSENSE_BINARY, else what `make build` made, else podsense on the PATH.
"""

import os
import pathlib
import shutil
import sys

BUILT = pathlib.Path(__file__).resolve().parents[3] / "build/release/podsense"


def binary():
    wanted = os.environ.get("PODSENSE_BINARY") or (str(BUILT) if BUILT.exists() else "podsense")
    found = shutil.which(wanted)
    if not found:
        sys.exit(f"load.py: there is no program {wanted}: run `make build`, or set PODSENSE_BINARY")
    return found


if __name__ == "__main__":
    program = binary()
    os.execv(program, [program, "load", *sys.argv[1:]])
