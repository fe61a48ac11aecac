#!/usr/bin/env python3
"""Do Clang without and with optimising, and GCC, simulate the same, byte for byte?

    cmake --preset release && tests/foresight/same_bytes.py [--jobs 2]

Compiles the simulation alone with each, into build/same-bytes, plays a few scenarios ten times and compares all that can be
written. Takes some minutes. Exit code 1 where they differ.
"""

import argparse
import concurrent.futures
import hashlib
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/same-bytes"
PAGE = ROOT / "build/release/src/foresight/simulate_page.cc"  # made when CMake configures
COMPILERS = {"clang-O0": ["clang++-19", "-O0"], "clang-O2": ["clang++-19", "-O2"], "gcc-O2": ["g++", "-O2"]}
# What the simulation uses of other modules.
OTHERS = ["base/float_text.cc", "base/text.cc", "batching/scheduler_core.cc", "arrivals/arrivals.cc",
          "arrivals/arrival_trace.cc", "quantiles/duration_histogram.cc", "quantiles/histogram_json.cc", "quantiles/rank_interval.cc",
          "text/columns.cc", "text/csv.cc", "text/html.cc", "text/numbers.cc", "text/split.cc"]  # fmt: skip
SCENARIOS = ["examples/simulate/autoscaling.yaml", "tests/foresight/simulated.yaml", "fuzz/seeds/scenario/growing.yaml"]


def sources():
    text = (ROOT / "src/foresight/CMakeLists.txt").read_text("utf-8")
    listed = re.search(r"SOURCES(.*?)HEADERS", text, re.S).group(1)
    own = [ROOT / "src/foresight" / name for name in re.findall(r"(?<![/}])\b(\w+\.cc)", listed)]
    main = ROOT / "tests/foresight/simulate_bytes.cc"
    return [*own, PAGE, *(ROOT / "src" / name for name in OTHERS), main]


def compile_one(name, source):
    made = BUILD / name / f"{source.parent.name}_{source.stem}.o"
    command = [*COMPILERS[name], "-std=c++2b", "-DNDEBUG", "-ffp-contract=off", f"-I{ROOT / 'src'}", "-c", source, "-o", made]
    subprocess.run(command, check=True)
    return made


def built(name, jobs):
    (BUILD / name).mkdir(parents=True, exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        objects = list(pool.map(lambda source: compile_one(name, source), sources()))
    program = BUILD / name / "simulate_bytes"
    subprocess.run([COMPILERS[name][0], *objects, "-lyaml-cpp", "-pthread", "-o", program], check=True)
    return program


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    found = {scenario: set() for scenario in SCENARIOS}
    for name in COMPILERS:
        program = built(name, options.jobs)
        for scenario in SCENARIOS:
            out = subprocess.run([program, ROOT / scenario], capture_output=True, check=True).stdout
            found[scenario].add(hashlib.sha256(out).hexdigest())
            print(f"{name} {scenario}: {len(out)} bytes, {hashlib.sha256(out).hexdigest()[:16]}", flush=True)
    return 0 if all(len(hashes) == 1 for hashes in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
