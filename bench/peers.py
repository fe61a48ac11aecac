#!/usr/bin/env python3
"""PodSense beside the servers that people would otherwise use: same models, same cores, same client.

    bench/peers.py [--only fastapi,litserve] [--seconds 6] [--rounds 3] [--json FILE]

Each server runs as its documentation recommends, with one worker a core and one thread a run, in a
virtual environment with pinned versions (peers/NAME/requirements.txt). Servers take turns, round by
round, so that a drift of the machine meets all of them.

  rows    POST /predict-single, one row of 20 numbers as JSON, at 1, 8, 32 and 128 connections
  image   POST /predict, a 640x480 JPEG (servers that have it), at 8 connections
  memory  resident, all processes of the server, after the load
  start   exec to the first answer

CPU is that of the whole process tree, from the kernel. Needs wrk: `make bench-peers` brings it.
"""

import argparse
import contextlib
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from compare import (
    CORES,
    MODELS,
    PHOTO,
    PODSENSE,
    ROOT,
    ROW,
    describe_machine,
    free_port,
    post_photo,
    post_row,
)

PEERS = Path(__file__).resolve().parent / "peers"
CONNECTIONS = (1, 8, 32, 128)
TICKS = os.sysconf("SC_CLK_TCK")


def venv(name: str) -> Path:
    out = subprocess.run([ROOT / "scripts/venv.sh", f"peer-{name}", PEERS / name / "requirements.txt"],
                         check=True, capture_output=True, text=True).stdout
    return Path(out.strip().splitlines()[-1]) / "bin"


def fastapi(port: int, image_version: str = "1"):
    return ([venv("fastapi") / "uvicorn", "app:app", "--host", "127.0.0.1", "--port", str(port),
             "--workers", str(CORES), "--log-level", "error", "--no-access-log"],
            {"MODELS": str(MODELS), "IMAGE_VERSION": image_version}, PEERS / "fastapi")


def litserve(port: int):
    return ([venv("litserve") / "python", "app.py"], {"MODELS": str(MODELS), "PORT": str(port)},
            PEERS / "litserve")


def bentoml(port: int):
    return ([venv("bentoml") / "bentoml", "serve", "service:Forest", "--host", "127.0.0.1", "--port",
             str(port)], {"MODELS": str(MODELS), "BENTOML_DO_NOT_TRACK": "True"}, PEERS / "bentoml")


def podsense(port: int):
    return ([PODSENSE, "serve", "--models", MODELS, "--host", "127.0.0.1", "--admin-host", "127.0.0.1",
             "--http-port", str(port), "--admin-port", "0", "--grpc-port", "0", "--drain-delay", "0s",
             "--log-level", "error"], {}, ROOT)


# name → (command, path of rows, picture path with its model, or None)
SERVERS = {
    "PodSense": (podsense, "/predict-single", {"fp32": "/predict?version=1", "int8": "/predict"}),
    "FastAPI, def": (fastapi, "/predict-single", None),
    "FastAPI, async def": (fastapi, "/predict-single-async", {"fp32": "/predict"}),
    "FastAPI, int8": (lambda port: fastapi(port, "2"), None, {"int8": "/predict"}),
    "LitServe": (litserve, "/predict-single", None),
    "BentoML": (bentoml, "/predict-single", None),
}


def tree(pid: int) -> list[int]:
    """The process and all below it."""
    found = [pid]
    for at in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{at}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()
                          if int(child) not in found]
    return found


class Server(contextlib.AbstractContextManager):
    def __init__(self, start, path: str):
        self.port = free_port()
        command, environment, folder = start(self.port)
        begin = time.monotonic()
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(command, env=os.environ | environment, cwd=folder,
                                        stdout=self.log, stderr=self.log, start_new_session=True)
        body = PHOTO.read_bytes() if path.split("?")[0] == "/predict" else ROW.encode()
        while not self._answers(path, body):
            if self.process.poll() is not None or time.monotonic() > begin + 120:
                self.log.seek(0)
                raise SystemExit(f"{command[0]} does not answer:\n{self.log.read().decode()[-2000:]}")
            time.sleep(0.002)
        self.start_seconds = time.monotonic() - begin

    def _answers(self, path: str, body: bytes) -> bool:
        head = (f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: "
                f"{'image/jpeg' if path.startswith('/predict?') or path == '/predict' else 'application/json'}"
                f"\r\nContent-Length: {len(body)}\r\n\r\n")
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=30) as peer:
                peer.sendall(head.encode() + body)
                return peer.recv(64).startswith(b"HTTP/1.1 200")
        except OSError:
            return False

    def cpu_seconds(self) -> float:
        total = 0
        for pid in tree(self.process.pid):
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
                total += int(fields[11]) + int(fields[12])
        return total / TICKS

    def resident_mib(self) -> float:
        """Proportional: pages that workers share count once."""
        total = 0
        for pid in tree(self.process.pid):
            with contextlib.suppress(OSError):
                total += int(re.search(r"(?m)^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text())[1])
        return total / 1024

    def __exit__(self, *_):
        os.killpg(self.process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.log.close()


def load(server: Server, path: str, seconds: float, connections: int, script: str) -> dict:
    """Closed loop by wrk; answers other than 2xx are counted, not hidden."""
    before = server.cpu_seconds()
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as lua:
        lua.write(script)
        lua.flush()
        out = subprocess.run(
            ["wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds:.0f}s", "--latency", "-s", lua.name,
             f"http://127.0.0.1:{server.port}{path}"], check=True, capture_output=True, text=True).stdout
    cpu = server.cpu_seconds() - before
    answered = int(re.search(r"(\d+) requests in", out)[1])

    def percentile(which: str) -> float:
        value, unit = re.search(rf"\s{which}%\s+([\d.]+)(us|ms|s)", out).groups()
        return float(value) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit]

    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    return {"rate": float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]), "p50_ms": percentile("50"),
            "p99_ms": percentile("99"), "cpu_us": cpu / max(answered, 1) * 1e6,
            "failed": int(failed[1]) if failed else 0}


def measure(name: str, seconds: float) -> dict:
    start, rows, pictures = SERVERS[name]
    result: dict = {}
    with Server(start, rows or next(iter(pictures.values()))) as server:
        result["start_ms"] = server.start_seconds * 1e3
        if rows:
            load(server, rows, 1, 8, post_row())  # warm-up
            for connections in CONNECTIONS:
                result[f"rows {connections}"] = load(server, rows, seconds, connections, post_row())
            result["resident_mib"] = server.resident_mib()
        for model, path in (pictures or {}).items():
            result[f"image {model}"] = load(server, path, seconds, 8, post_photo())
    return result


def middle(runs: list[dict], *keys: str):
    values = []
    for run in runs:
        for key in keys:
            run = run.get(key, {}) if isinstance(run, dict) else {}
        if isinstance(run, float | int):
            values.append(run)
    return statistics.median(values) if values else None


def cell(value, form: str) -> str:
    return "–" if value is None else format(value, form)


def print_tables(results: dict[str, list[dict]]) -> None:
    print("| one row, JSON | " + " | ".join(f"{c} conn. /s" for c in CONNECTIONS) +
          " | p50, p99 at 32 | CPU a request | resident | first answer |")
    print("|---" * (len(CONNECTIONS) + 5) + "|")
    for name, runs in results.items():
        if middle(runs, "rows 32", "rate") is None:
            continue
        rates = " | ".join(cell(middle(runs, f"rows {c}", "rate"), ",.0f") for c in CONNECTIONS)
        print(f"| {name} | {rates} | {cell(middle(runs, 'rows 32', 'p50_ms'), '.2f')}, "
              f"{cell(middle(runs, 'rows 32', 'p99_ms'), '.2f')} ms | "
              f"{cell(middle(runs, 'rows 32', 'cpu_us'), ',.0f')} µs | "
              f"{cell(middle(runs, 'resident_mib'), '.0f')} MiB | {cell(middle(runs, 'start_ms'), ',.0f')} ms |")
    print("\n| 640×480 JPEG, 8 connections | fp32 /s | CPU | int8 /s | CPU |")
    print("|---|---|---|---|---|")
    for name, runs in results.items():
        if middle(runs, "image fp32", "rate") or middle(runs, "image int8", "rate"):
            print(f"| {name} | " + " | ".join(
                f"{cell(middle(runs, f'image {m}', 'rate'), '.0f')} | "
                f"{cell((middle(runs, f'image {m}', 'cpu_us') or 0) / 1e3, '.1f')} ms" for m in ("fp32", "int8")) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="names, comma-separated; any part of a name will do")
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write every figure here")
    arguments = parser.parse_args()
    wanted = [part.strip().lower() for part in (arguments.only or "").split(",")]
    names = [name for name in SERVERS if name == "PodSense" or any(part in name.lower() for part in wanted)]
    machine = describe_machine()
    results: dict[str, list[dict]] = {name: [] for name in names}
    for _ in range(arguments.rounds):
        for name in names:
            results[name].append(measure(name, arguments.seconds))
    print(f"{machine['cpu']}, {CORES} cores shared with the client, commit {machine['commit']}; medians of "
          f"{arguments.rounds} rounds of {arguments.seconds:g} s\n")
    print_tables(results)
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
