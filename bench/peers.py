#!/usr/bin/env python3
"""PodSense beside the servers that people would otherwise use: same models, same cores, same client.

    bench/peers.py [--only fastapi,litserve] [--seconds 6] [--rounds 3] [--json FILE [--merge]]
    bench/peers.py --table bench/results/DATE-peers.json      renders the page beside it

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
import dataclasses
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
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
)

PEERS = Path(__file__).resolve().parent / "peers"
CONNECTIONS = (1, 8, 32, 128)
TICKS = os.sysconf("SC_CLK_TCK")
SCRATCH = tempfile.TemporaryDirectory(prefix="podsense-peers-")
TENSOR = json.dumps({"inputs": [{"name": "features", "shape": [1, 20], "datatype": "FP32",
                                 "data": json.loads(ROW)["features"]}]})


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


def mlserver(port: int):
    return ([venv("mlserver") / "mlserver", "start", PEERS / "mlserver"],
            {"MODELS": str(MODELS), "MLSERVER_HOST": "127.0.0.1", "MLSERVER_HTTP_PORT": str(port),
             "MLSERVER_GRPC_PORT": str(free_port()), "MLSERVER_METRICS_PORT": str(free_port()),
             "MLSERVER_PARALLEL_WORKERS": str(CORES), "MLSERVER_DEBUG": "false",
             "PYTHONPATH": str(PEERS / "mlserver")}, SCRATCH.name)


def rayserve(port: int):
    return ([venv("rayserve") / "python", "app.py"],
            {"MODELS": str(MODELS), "PORT": str(port), "RAY_USAGE_STATS_ENABLED": "0"}, PEERS / "rayserve")


def mosec(port: int):
    return ([venv("mosec") / "python", "app.py", "--address", "127.0.0.1", "--port", str(port), "--timeout",
             "30000"], {"MODELS": str(MODELS)}, PEERS / "mosec")


def podsense(port: int):
    """All default models, both versions of the image model."""
    models = Path(SCRATCH.name) / "models"
    if not models.exists():
        shutil.copytree(MODELS, models)
        manifest = models / "efficientnet-lite0/model.yaml"
        manifest.write_text(re.sub(r"(?m)^versions:.*\n", "", manifest.read_text()) +
                            "versions: {policy: all}\n")
    return ([PODSENSE, "serve", "--models", models, "--host", "127.0.0.1", "--admin-host", "127.0.0.1",
             "--http-port", str(port), "--admin-port", "0", "--grpc-port", "0", "--drain-delay", "0s",
             "--log-level", "error"], {}, ROOT)


@dataclasses.dataclass
class Peer:
    """`start` gives command, environment and folder."""

    start: Callable
    rows: str | None = "/predict-single"
    body: str = ROW
    pictures: dict = dataclasses.field(default_factory=dict)  # path by model
    packages: str | None = None  # folder of peers/ with its requirements


SERVERS = {
    "PodSense": Peer(podsense, pictures={"fp32": "/predict?version=1", "int8": "/predict?version=2"}),
    "PodSense, OIP": Peer(podsense, "/v2/models/random-forest/infer", TENSOR),
    "FastAPI, def": Peer(fastapi, packages="fastapi"),
    "FastAPI, async def": Peer(fastapi, "/predict-single-async", pictures={"fp32": "/predict"},
                               packages="fastapi"),
    "FastAPI, int8": Peer(lambda port: fastapi(port, "2"), None, pictures={"int8": "/predict"},
                          packages="fastapi"),
    "LitServe": Peer(litserve, packages="litserve"),
    "BentoML": Peer(bentoml, packages="bentoml"),
    "MLServer (OIP)": Peer(mlserver, "/v2/models/forest/infer", TENSOR, packages="mlserver"),
    "Ray Serve": Peer(rayserve, packages="rayserve"),
    "Mosec": Peer(mosec, "/inference", packages="mosec"),
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
    def __init__(self, peer: Peer):
        self.port = free_port()
        command, environment, folder = peer.start(self.port)
        path = peer.rows or next(iter(peer.pictures.values()))
        begin = time.monotonic()
        self.log = tempfile.TemporaryFile()
        own = {name: value for name, value in os.environ.items() if not name.startswith("PODSENSE_")}
        self.process = subprocess.Popen(command, env=own | {"TMPDIR": SCRATCH.name} | environment, cwd=folder,
                                        stdout=self.log, stderr=self.log, start_new_session=True)
        body = peer.body.encode() if peer.rows else PHOTO.read_bytes()
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
        below = tree(self.process.pid)  # some have sessions of their own
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(20)
        for pid in below:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.log.close()


def load(server: Server, path: str, seconds: float, connections: int, script: str) -> dict:
    """Closed loop by wrk; any answer but 2xx ends the run."""
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

    if "Non-2xx" in out or "Socket errors" in out:
        raise SystemExit(f"{path} at {connections} connections:\n{out}")
    return {"rate": float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]), "p50_ms": percentile("50"),
            "p99_ms": percentile("99"), "cpu_us": cpu / max(answered, 1) * 1e6}


def post_body(body: str) -> str:
    return f"wrk.method='POST'; wrk.headers['Content-Type']='application/json'; wrk.body=[[{body}]]"


def measure(name: str, seconds: float) -> dict:
    peer = SERVERS[name]
    result: dict = {"load_before": os.getloadavg()[0]}
    with Server(peer) as server:
        result["start_ms"] = server.start_seconds * 1e3
        if peer.rows:
            load(server, peer.rows, 1, 8, post_body(peer.body))  # warm-up
            for connections in CONNECTIONS:
                result[f"rows {connections}"] = load(server, peer.rows, seconds, connections,
                                                     post_body(peer.body))
            result["resident_mib"] = server.resident_mib()
        for model, path in peer.pictures.items():
            load(server, path, 1, 8, post_photo())
            result[f"image {model}"] = load(server, path, seconds, 8, post_photo())
    return result


def versions(peer: Peer) -> dict[str, str]:
    """Of what its requirements name, from the environment itself."""
    if peer.packages is None:
        return {}
    names = re.findall(r"(?m)^([A-Za-z0-9_-]+)", (PEERS / peer.packages / "requirements.txt").read_text())
    code = "import importlib.metadata as m, sys; print(*(m.version(n) for n in sys.argv[1:]))"
    out = subprocess.run([venv(peer.packages) / "python", "-c", code, *names], check=True,
                         capture_output=True, text=True).stdout
    return dict(zip(names, out.split(), strict=True))


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


def rows_table(results: dict[str, list[dict]]) -> list[str]:
    """Ratios are PodSense's CPU and rate at 32 connections against this server's."""
    ours = results.get("PodSense", [])
    lines = ["| one row, JSON | " + " | ".join(f"{c} conn. /s" for c in CONNECTIONS) +
             " | p50, p99 at 32 | CPU s per 1,000 | resident | first answer | rate, CPU of PodSense |",
             "|---" * (len(CONNECTIONS) + 6) + "|"]
    for name, runs in results.items():
        rate, cpu = middle(runs, "rows 32", "rate"), middle(runs, "rows 32", "cpu_us")
        if rate is None:
            continue
        rates = " | ".join(cell(middle(runs, f"rows {c}", "rate"), ",.0f") for c in CONNECTIONS)
        ratio = "" if not ours else (f"{middle(ours, 'rows 32', 'rate') / rate:.1f} ×, "
                                     f"1/{cpu / middle(ours, 'rows 32', 'cpu_us'):.1f}")
        lines.append(f"| {name} | {rates} | {cell(middle(runs, 'rows 32', 'p50_ms'), '.2f')}, "
                     f"{cell(middle(runs, 'rows 32', 'p99_ms'), '.2f')} ms | {cell(cpu / 1e3, '.3f')} | "
                     f"{cell(middle(runs, 'resident_mib'), '.0f')} MiB | "
                     f"{cell(middle(runs, 'start_ms'), ',.0f')} ms | {ratio} |")
    return lines


def pictures_table(results: dict[str, list[dict]]) -> list[str]:
    lines = ["| 640×480 JPEG, 8 connections | fp32 /s | CPU | int8 /s | CPU |", "|---|---|---|---|---|"]
    for name, runs in results.items():
        cells = [f"{cell(middle(runs, f'image {m}', 'rate'), '.0f')} | " +
                 ("–" if (cpu := middle(runs, f"image {m}", "cpu_us")) is None else f"{cpu / 1e3:.1f} ms")
                 for m in ("fp32", "int8")]
        if any(not one.startswith("–") for one in cells):
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def render(document: dict) -> str:
    machine = document["machine"]
    lines = [f"{machine['cpu']}, {machine['cores']} cores shared with the client, Linux {machine['kernel']}, "
             f"PodSense at {machine['commit']}. Medians of {document['rounds']} interleaved rounds, "
             f"{document['seconds']:g} s a figure, wrk as the client. `bench/peers.py --table FILE.json` "
             "made this page.", ""]
    if note := machine.get("note"):
        lines[0] += f" Note: {note}."
    if len({len(runs) for runs in document["results"].values()}) > 1:
        lines[0] += " Rounds: " + ", ".join(f"{name} {len(runs)}" for name, runs in document["results"].items()) + "."
    lines += [*rows_table(document["results"]), "", *pictures_table(document["results"]), "",
              "Versions: " + "; ".join(
                  f"{name}: " + ", ".join(f"{package} {version}" for package, version in have.items())
                  for name, have in document["versions"].items() if have) + ".", "",
              "How each is configured stands at the top of its script in [peers](../peers): one worker a core, "
              "one thread a run. PodSense serves all default models meanwhile; the others hold only what they "
              "answer, FastAPI also a picture model. CPU and memory are those of all processes of a server."]
    return "\n".join(lines) + "\n"


def run_rounds(names: list[str], arguments) -> dict:
    document = {"machine": describe_machine(), "seconds": arguments.seconds, "rounds": arguments.rounds,
                "results": {name: [] for name in names},
                "versions": {name: versions(SERVERS[name]) for name in names}}
    if arguments.json and arguments.json.exists() and arguments.merge:
        before = json.loads(arguments.json.read_text())
        document["results"] = before["results"] | {name: before["results"].get(name, []) for name in names}
        document["versions"] = before["versions"] | document["versions"]
    for _ in range(arguments.rounds):
        for name in names:
            document["results"][name].append(measure(name, arguments.seconds))
            document["rounds"] = max(len(runs) for runs in document["results"].values())
            if arguments.json:
                arguments.json.parent.mkdir(exist_ok=True)
                arguments.json.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    return document


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="names, comma-separated; any part of a name will do")
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write every figure here, after each server")
    parser.add_argument("--merge", action="store_true", help="add the rounds to those in --json")
    parser.add_argument("--table", type=Path, help="measure nothing: render FILE.json to FILE.md")
    arguments = parser.parse_args()
    if arguments.table:
        text = render(json.loads(arguments.table.read_text()))
        arguments.table.with_suffix(".md").write_text(text)
        print(text, end="")
        return
    wanted = [part.strip().lower() for part in (arguments.only or "").split(",")]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # so that servers are ended, too
    names = [name for name in SERVERS if any(part in name.lower() for part in wanted)]
    if not names:
        parser.error(f"--only: there are {', '.join(SERVERS)}")
    print(render(run_rounds(names, arguments)), end="")


if __name__ == "__main__":
    main()
