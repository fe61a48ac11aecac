#!/usr/bin/env python3
"""Compares builds or settings of the server on one small request, in interleaved rounds.

    bench/ab.py [--connections 1,8,32,128] [--seconds 3] [--rounds 5] NAME=BINARY[,models=DIR][,--FLAG…]...

Each round starts every arm's server anew and asks it with wrk (one thread) for rows of a random forest at
each number of connections; every second round goes through the arms in the opposite order. Prints a table
of medians, with the least and the most in brackets: requests a second, CPU of the server a request (user
and kernel, from the scheduler's own account), p50 and p99, and the rows of a run (from podsense_batch_size). Client and
server share the machine.
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROW = json.dumps({"features": [0.5] * 20})
SCRIPT = f"""wrk.method = "POST"
wrk.body = '{ROW}'
wrk.headers["Content-Type"] = "application/json"
"""


def parse_arm(text):
    name, separator, rest = text.partition("=")
    if not separator or not name or not rest:
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=BINARY[,models=DIR][,--FLAG…]")
    binary, *options = rest.split(",")
    models = ROOT / "build/models"
    flags = []
    for option in options:
        if option.startswith("models="):
            models = option.removeprefix("models=")
        else:
            flags.append(option)
    return name, [binary, "serve", "--models", str(models), *flags]


def cpu_seconds(pid):
    """What the scheduler has given to all threads; finer than the clock ticks of /proc/PID/stat."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def batches(admin):
    with urllib.request.urlopen(f"http://127.0.0.1:{admin}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found = [
        sum(
            map(
                float,
                re.findall(rf"^podsense_batch_size_{part}{{.*random-forest.*}} (\S+)$", text, re.M),
            )
        )
        for part in ("sum", "count")
    ]
    return found


def is_ready(port):
    try:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{port}/v2/models/random-forest/ready", timeout=10
        ):
            return True
    except urllib.error.HTTPError:
        return False


def start(command, folder):
    ports = folder / "ports.json"
    ports.unlink(missing_ok=True)
    network = [f"--{name}-port=0" for name in ("http", "grpc", "admin")]
    server = subprocess.Popen(
        [*command, *network, f"--ports-file={ports}", "--access-log=off", "--drain-delay=0s"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={name: value for name, value in os.environ.items() if not name.startswith("PODSENSE_")},
    )
    while not ports.exists() or not ports.read_text():
        if server.poll() is not None:
            sys.exit(f"the server ended with {server.returncode}: {' '.join(command)}")
        time.sleep(0.02)
    found = json.loads(ports.read_text())
    while not is_ready(found["http"]):
        time.sleep(0.02)
    return server, found


def ask(server, ports, connections, seconds, script):
    url = f"http://127.0.0.1:{ports['http']}/predict-single"
    rows, runs = batches(ports["admin"])
    before = cpu_seconds(server.pid)
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{seconds}s",
        "--latency",
        "-s",
        str(script),
        url,
    ]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    used = cpu_seconds(server.pid) - before
    rows_after, runs_after = batches(ports["admin"])
    if "Non-2xx" in text or "Socket errors" in text:
        sys.exit(f"requests failed:\n{text}")
    count = int(re.search(r"(\d+) requests in", text)[1])
    unit = {"us": 1.0, "ms": 1e3, "s": 1e6}

    def latency(percentile):
        number, name = re.search(rf"{percentile}%\s+([\d.]+)(us|ms|s)\b", text).groups()
        return float(number) * unit[name]

    return {
        "rate": float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]),
        "cpu": used / count * 1e6,
        "p50": latency(50),
        "p99": latency(99),
        "rows": (rows_after - rows) / max(1.0, runs_after - runs),
    }


def report(results, arms, connections):
    print("| connections | server | requests/s | CPU µs a request | p50 µs | p99 µs | rows a run |")
    print("|---|---|---|---|---|---|---|")
    for number in connections:
        for name, _ in arms:
            seen = results[number, name]

            def cell(key, form, seen=seen):
                values = [one[key] for one in seen]
                middle = statistics.median(values)
                return f"{middle:{form}} ({min(values):{form}}–{max(values):{form}})"

            cells = [
                cell("rate", ",.0f"),
                cell("cpu", ".1f"),
                cell("p50", ".0f"),
                cell("p99", ".0f"),
            ]
            print(f"| {number} | {name} | {' | '.join(cells)} | {cell('rows', '.1f')} |")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--connections", default="1,8,32,128")
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("arms", nargs="+", type=parse_arm, metavar="NAME=BINARY")
    options = parser.parse_args()
    connections = [int(number) for number in options.connections.split(",")]
    results = {}
    with tempfile.TemporaryDirectory() as made:
        folder = pathlib.Path(made)
        script = folder / "row.lua"
        script.write_text(SCRIPT)
        for round_number in range(options.rounds):
            for name, command in options.arms if round_number % 2 == 0 else options.arms[::-1]:
                server, ports = start(command, folder)
                try:
                    ask(server, ports, 8, 1, script)  # warm
                    for number in connections:
                        seen = ask(server, ports, number, options.seconds, script)
                        results.setdefault((number, name), []).append(seen)
                finally:
                    server.terminate()
                    server.wait()
    print(f"load of the machine at the end: {os.getloadavg()[0]:.1f}\n")
    report(results, options.arms, connections)


if __name__ == "__main__":
    main()
