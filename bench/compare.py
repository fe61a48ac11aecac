#!/usr/bin/env python3
"""Measures a built podsense against something real, in one run, as ratios.

    bench/compare.py [--seconds 8] [--rounds 3] [--json FILE]

What is compared, each pair in turn, round by round, so that a drift of the machine meets both:
  rows     POST /predict-single, 32 connections, over nginx's static `return 200`, same wrk, same cores
  image    POST /predict with a 640x480 JPEG over a bare loop of decode + resize + ONNX Runtime
  int8     the same with the int8 model over the fp32 model, and each over its own bare loop
  start    exec to ready: the random forest alone, and all default models
  memory   resident when idle and after the image load, the first over the bare loop's
  size     what a container has to carry

Needs wrk and nginx (Debian packages), build/release/podsense, build/bench/bare_loop, build/models
and build/golden: `make bench-compare` brings all of it. Load goes to loopback only.
"""

import argparse
import contextlib
import http.client
import json
import os
import platform
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PODSENSE = ROOT / "build/release/podsense"
BARE_LOOP = ROOT / "build/bench/bare_loop"
MODELS = ROOT / "build/models"
PHOTO = ROOT / "build/golden/bench/640x480.jpg"
CORES = len(os.sched_getaffinity(0))
ROW = json.dumps({"features": [round(0.37 * i - 3, 2) for i in range(20)]})


class Podsense(contextlib.AbstractContextManager):
    """A serving process on free ports; `ready_seconds` is exec to the first 200 of /readyz."""

    def __init__(self, models: Path, *flags: str):
        self.folder = tempfile.TemporaryDirectory()
        ports_file = Path(self.folder.name) / "ports.json"
        port = free_port()
        command = [PODSENSE, "serve", "--models", models, "--host", "127.0.0.1", "--admin-host", "127.0.0.1",
                   "--http-port", str(port), "--grpc-port", "0", "--admin-port", "0", "--ports-file", ports_file,
                   "--drain-delay", "0s", "--log-level", "error", *flags]
        begin = time.monotonic()
        # The server refuses variables that it does not know.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PODSENSE_")}
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
        self.port = port
        while not self._ready():
            if self.process.poll() is not None:
                raise SystemExit(f"podsense ended with {self.process.returncode}")
        self.ready_seconds = time.monotonic() - begin
        ports = json.loads(ports_file.read_text())
        self.admin, self.grpc = ports["admin"], ports["grpc"]

    def _ready(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as peer:
                peer.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                return peer.recv(64).startswith(b"HTTP/1.1 200")
        except OSError:
            return False

    def resident_mib(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def post(self, path: str, body: bytes) -> dict:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("POST", path, body)
        return json.loads(connection.getresponse().read())

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        self.folder.cleanup()


class Nginx(contextlib.AbstractContextManager):
    """nginx with one worker a core, answering every request with a static body; over HTTP/2 alone where
    that is asked for."""

    def __init__(self, http2=False):
        self.folder = tempfile.TemporaryDirectory()
        self.port = free_port()
        config = Path(self.folder.name) / "nginx.conf"
        config.write_text(f"""
worker_processes {CORES}; daemon off; pid {self.folder.name}/pid; error_log stderr crit;
events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 100000000; client_body_temp_path {self.folder.name}/body;
  server {{ listen 127.0.0.1:{self.port}{" http2" if http2 else ""};
    location / {{ default_type application/json; return 200 '{{"prediction":1,"probabilities":[0.1,0.9]}}'; }} }} }}
""")
        self.process = subprocess.Popen([shutil.which("nginx") or "/usr/sbin/nginx", "-c", config])
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                break

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)
        self.folder.cleanup()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wrk(port: int, path: str, seconds: float, connections: int, script: str) -> float:
    """Requests a second in closed loop; any answer but 2xx ends the run."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as lua:
        lua.write(script)
        lua.flush()
        out = subprocess.run(
            ["wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds:.0f}s", "-s", lua.name,
             f"http://127.0.0.1:{port}{path}"], check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in out or "Socket errors" in out:
        raise SystemExit(out)
    return float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))


def post_row() -> str:
    return f"wrk.method='POST'; wrk.headers['Content-Type']='application/json'; wrk.body=[[{ROW}]]"


def post_photo() -> str:
    return (f"wrk.method='POST'; wrk.headers['Content-Type']='image/jpeg'; "
            f"local f=io.open([[{PHOTO}]],'rb'); wrk.body=f:read('*a'); f:close()")


def bare_loop(version: int, seconds: float) -> dict:
    model = MODELS / f"efficientnet-lite0/{version}/model.onnx"
    out = subprocess.run([BARE_LOOP, model, PHOTO, str(CORES), str(seconds)], check=True,
                         capture_output=True, text=True).stdout
    return json.loads(out)


def only(folder: str, model: str, policy: str = "latest") -> Path:
    """A repository of this model alone."""
    root = Path(folder) / f"{model}-{policy}"
    shutil.copytree(MODELS / model, root / model)
    manifest = root / model / "model.yaml"
    text = re.sub(r"(?m)^versions:.*\n", "", manifest.read_text())
    manifest.write_text(text + f"versions: {{policy: {policy}}}\n")
    return root


def compare_rows(seconds: float, rounds: int) -> list[dict]:
    rows = []
    with Podsense(MODELS) as server, Nginx() as nginx:
        for _ in range(rounds):
            before = server.cpu_seconds()
            ours = wrk(server.port, "/predict-single", seconds, 32, post_row())
            cpu = (server.cpu_seconds() - before) / (ours * seconds)
            theirs = wrk(nginx.port, "/", seconds, 32, post_row())
            rows.append({"ours": ours, "theirs": theirs, "ratio": ours / theirs, "cpu_us": cpu * 1e6})
    return rows


def compare_images(folder: str, seconds: float, rounds: int) -> dict[int, list[dict]]:
    """Closed loop with twice as many connections as executors, so that none is ever idle."""
    result: dict[int, list[dict]] = {1: [], 2: []}
    with Podsense(only(folder, "efficientnet-lite0", "all")) as server:
        for _ in range(rounds):
            for version in (1, 2):
                path = f"/predict?version={version}"
                before = server.cpu_seconds()
                ours = wrk(server.port, path, seconds, 2 * CORES, post_photo())
                cpu = (server.cpu_seconds() - before) * 1e3 / (ours * seconds)
                bare = bare_loop(version, seconds)
                result[version].append({
                    "ours": ours, "theirs": bare["images_per_second"], "ratio": ours / bare["images_per_second"],
                    "cpu_ms": cpu, "bare_cpu_ms": bare["cpu_ms_per_image"], "cpu_ratio": cpu / bare["cpu_ms_per_image"]})
    return result


def start_times(models: Path, runs: int, *flags: str) -> list[float]:
    times = []
    for _ in range(runs):
        with Podsense(models, *flags) as server:
            times.append(server.ready_seconds * 1e3)
    return times


def memory_use(models: Path, seconds: float) -> tuple[float, float]:
    """Idle: after a few requests, as the bare loop after its own warm-up. Loaded: after a load."""
    photo = PHOTO.read_bytes()
    with Podsense(models) as server:
        for _ in range(10):
            server.post("/predict", photo)
        idle = server.resident_mib()
        wrk(server.port, "/predict", seconds, 32, post_photo())
        return idle, server.resident_mib()


def sizes_mib(folder: str) -> dict[str, float]:
    stripped = Path(folder) / "podsense"
    subprocess.run(["llvm-strip-19", "-o", stripped, PODSENSE], check=True)
    library = (ROOT / "build/deps/onnxruntime/lib/libonnxruntime.so").resolve()
    models = sum(file.stat().st_size for file in MODELS.rglob("*") if file.is_file())
    return {"binary": stripped.stat().st_size / 2**20, "ONNX Runtime": library.stat().st_size / 2**20,
            "default models": models / 2**20}


def middle(values: list[float]) -> float:
    return statistics.median(values)


class Others:
    """How much of this machine others use meanwhile: a p99 taken beside them is theirs, too."""

    def __init__(self):
        self.begun, self.before = time.monotonic(), self._seconds()

    @staticmethod
    def _seconds() -> float:
        """All CPU time but ours; that of a child counts as ours once it has ended."""
        user, nice, system, _idle, _wait, interrupts, soft = map(
            int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:8])
        ours = sum(usage.ru_utime + usage.ru_stime for usage in map(
            resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))
        return (user + nice + system + interrupts + soft) / os.sysconf("SC_CLK_TCK") - ours

    def cores(self) -> float:
        return max(0.0, (self._seconds() - self.before) / (time.monotonic() - self.begun))


def describe_machine() -> dict:
    info = Path("/proc/cpuinfo").read_text()
    name = re.search(r"model name\s*:\s*(.+)", info)
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return {"cpu": name.group(1) if name else platform.machine(), "cores": CORES,
            "kernel": platform.release(), "commit": commit.stdout.strip(),
            "load_before": os.getloadavg()[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write every figure here")
    arguments = parser.parse_args()
    for needed in (PODSENSE, BARE_LOOP, MODELS, PHOTO):
        if not needed.exists():
            parser.error(f"{needed} is missing: run `make bench-compare`")

    with tempfile.TemporaryDirectory() as folder:
        machine = describe_machine()
        rows = compare_rows(arguments.seconds, arguments.rounds)
        images = compare_images(folder, arguments.seconds, arguments.rounds)
        forest = only(folder, "random-forest")
        cache = f"{folder}/cache"
        starts = {"random forest alone": start_times(forest, 7),
                  "all default models": start_times(MODELS, 5),
                  "all, with --model-cache": start_times(MODELS, 5, "--model-cache", cache)}
        memory = *memory_use(only(folder, "efficientnet-lite0"), arguments.seconds), bare_loop(2, 1)["idle_mib"]
        sizes = sizes_mib(folder)

    print(f"{machine['cpu']}, {CORES} cores shared with the client, commit {machine['commit']}; "
          f"medians of {arguments.rounds} rounds of {arguments.seconds:g} s\n")
    print("| what | PodSense | held against | ratio |")
    print("|---|---|---|---|")
    print(f"| random forest, 1 row, JSON, 32 connections | {middle([r['ours'] for r in rows]):,.0f}/s, "
          f"{middle([r['cpu_us'] for r in rows]):.1f} µs CPU | nginx `return 200`: "
          f"{middle([r['theirs'] for r in rows]):,.0f}/s | {middle([r['ratio'] for r in rows]):.2f} |")
    for version, label in ((1, "fp32"), (2, "int8")):
        runs = images[version]
        print(f"| 640×480 JPEG, EfficientNet-Lite0 {label} | {middle([r['ours'] for r in runs]):.0f}/s, "
              f"{middle([r['cpu_ms'] for r in runs]):.2f} ms CPU | bare loop: {middle([r['theirs'] for r in runs]):.0f}/s, "
              f"{middle([r['bare_cpu_ms'] for r in runs]):.2f} ms CPU | {middle([r['ratio'] for r in runs]):.2f} |")
    faster = [b["ours"] / a["ours"] for a, b in zip(images[1], images[2], strict=True)]
    print(f"| int8 over fp32 | | | {middle(faster):.2f} |")
    for name, times in starts.items():
        print(f"| exec to ready, {name} | {min(times):.0f} ms (median {middle(times):.0f}) | | |")
    print(f"| resident when idle, int8 image model | {memory[0]:.0f} MiB | bare loop: {memory[2]:.0f} MiB | "
          f"{memory[0] - memory[2]:+.0f} MiB |")
    print(f"| resident after 32 connections of photographs | {memory[1]:.0f} MiB | | |")
    print(f"| size: {', '.join(sizes)} | {' + '.join(f'{size:.1f}' for size in sizes.values())} MiB | | |")
    if arguments.json:
        arguments.json.write_text(json.dumps(
            {"machine": machine, "rows": rows, "images": images, "start_ms": starts,
             "resident_mib": {"idle": memory[0], "loaded": memory[1], "bare_loop": memory[2]},
             "size_mib": sizes}, indent=1) + "\n")


if __name__ == "__main__":
    main()
