#!/usr/bin/env python3
"""Measures the Open Inference Protocol against something bare, in one run, as ratios.

    bench/protocol.py [--seconds 6] [--rounds 3] [--json FILE]

What is compared, each pair in turn, round by round, so that a drift of the machine meets both:
  image   1x3x224x224 floats by gRPC (raw contents) and by REST (binary data) over a bare ONNX Runtime
          loop on the same model; the clients are podsense load and wrk, and share the cores
  grpc    20 floats by gRPC, 4 connections x 32 streams, over a bare grpc++ callback server (bench/grpc_echo)
          that answers with messages of the same sizes; the same client, the same flags
  http2   20 floats as JSON over HTTP/2, 4 connections x 32 streams, over HTTP/1.1 with 128 connections
  rest    20 floats as JSON and as binary data over nginx's static `return 200`; the same wrk
CPU a request is what the server itself used, from the kernel: on a small machine the client takes most of
the time, and hides what a server costs.

Needs wrk and nginx, build/release/podsense, build/bench/{bare_loop,grpc_echo} and
build/models: `make bench-protocol` brings all of it. Load goes to loopback only.
"""

import argparse
import contextlib
import json
import os
import struct
import subprocess
import tempfile
from pathlib import Path

from compare import (
    CORES,
    MODELS,
    PODSENSE,
    ROOT,
    Nginx,
    Podsense,
    describe_machine,
    middle,
    only,
    wrk,
)

ECHO = ROOT / "build/bench/grpc_echo"
BARE_LOOP = ROOT / "build/bench/bare_loop"
IMAGE_FLOATS = 3 * 224 * 224


class Echo(contextlib.AbstractContextManager):
    def __init__(self):
        self.process = subprocess.Popen([ECHO], stdout=subprocess.PIPE, text=True)
        self.grpc = int(self.process.stdout.readline())

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(10)
        self.process.stdout.close()


def cpu_seconds(process: subprocess.Popen) -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def floats(count: int) -> bytes:
    return struct.pack(f"<{count}f", *(0.37 * (i % 20) - 3 for i in range(count)))


def rest_body(name: str, shape: list[int], data: bytes) -> tuple[bytes, int]:
    """JSON with binary data behind it, and where the JSON ends."""
    head = json.dumps({"inputs": [{"name": name, "shape": shape, "datatype": "FP32",
                                   "parameters": {"binary_data_size": len(data)}}],
                       "parameters": {"binary_data_output": True}}).encode()
    return head + data, len(head)


class Clients:
    """podsense load and wrk, with what wrk sends in files."""

    def __init__(self, folder: str, seconds: float):
        self.folder = Path(folder)
        self.seconds = seconds

    def load(self, url: str, workers: int, *arguments: object) -> float:
        """Requests a second that were answered well; an error ends the run."""
        out = subprocess.run(
            [PODSENSE, "load", url, "-c", str(workers), "-z", f"{self.seconds:g}s", *map(str, arguments),
             "--json", "-", "--quiet"], check=True, capture_output=True, text=True).stdout
        report = json.loads(out)
        if report["requests"]["failed"]:
            raise SystemExit(f"{url}: {report['requests']}")
        return report["rates"]["achieved"]

    def grpc(self, port: int, model: str, workers: int, streams: int) -> float:
        """By messages with raw contents of the model's shapes, `streams` calls at a time on a connection."""
        return self.load(f"grpc://127.0.0.1:{port}", workers, "--oip", "binary", "--model", model, "--streams",
                         streams)

    def wrk(self, port: int, path: str, body: bytes, connections: int, head: int | None = None) -> float:
        data = self.folder / "body"
        data.write_bytes(body)
        kind = "application/json" if head is None else "application/octet-stream"
        length = "" if head is None else f"wrk.headers['Inference-Header-Content-Length']='{head}'; "
        return wrk(port, path, self.seconds, connections,
                   f"wrk.method='POST'; wrk.headers['Content-Type']='{kind}'; {length}"
                   f"local f=io.open([[{data}]],'rb'); wrk.body=f:read('*a'); f:close()")


def measured(process: subprocess.Popen, run, *arguments) -> dict:
    before = cpu_seconds(process)
    rate = run(*arguments)
    return {"rate": rate, "cpu": cpu_seconds(process) - before}


def with_ratio(ours: dict, theirs: float, seconds: float, their_cpu: float | None = None) -> dict:
    row = {"ours": ours["rate"], "theirs": theirs, "ratio": ours["rate"] / theirs,
           "cpu_us": ours["cpu"] / (ours["rate"] * seconds) * 1e6}
    if their_cpu is not None:
        row["their_cpu_us"] = their_cpu / (theirs * seconds) * 1e6
    return row


def compare_images(folder: str, clients: Clients, rounds: int) -> dict[str, list[dict]]:
    """Closed loop with twice as many requests in flight as cores, so that none is ever idle."""
    rows: dict[str, list[dict]] = {}
    shape, data = [1, 3, 224, 224], floats(IMAGE_FLOATS)
    body, head = rest_body("image", shape, data)
    with Podsense(only(folder, "efficientnet-lite0")) as server:
        version = newest("efficientnet-lite0")
        for _ in range(rounds):
            ours = {"gRPC, raw contents": measured(server.process, clients.grpc, server.grpc,
                                                   "efficientnet-lite0", 2 * CORES, CORES),
                    "REST, binary data": measured(server.process, clients.wrk, server.port,
                                                  "/v2/models/efficientnet-lite0/infer", body, 2 * CORES, head)}
            out = subprocess.run([BARE_LOOP, version, "-", str(CORES), str(clients.seconds)], check=True,
                                 capture_output=True, text=True).stdout
            bare = json.loads(out)
            for form, run in ours.items():
                row = with_ratio(run, bare["images_per_second"], clients.seconds)
                row["their_cpu_us"] = bare["cpu_ms_per_image"] * 1e3
                rows.setdefault(form, []).append(row)
    return rows


def newest(model: str) -> Path:
    versions = [int(path.name) for path in (MODELS / model).iterdir() if path.name.isdigit()]
    return MODELS / model / str(max(versions)) / "model.onnx"


def compare_grpc(clients: Clients, rounds: int) -> list[dict]:
    rows = []
    with Podsense(MODELS) as server, Echo() as echo:
        for _ in range(rounds):
            ours = measured(server.process, clients.grpc, server.grpc, "random-forest", 128, 32)
            theirs = measured(echo.process, clients.grpc, echo.grpc, "random-forest", 128, 32)
            rows.append(with_ratio(ours, theirs["rate"], clients.seconds, theirs["cpu"]))
    return rows


def compare_http2(clients: Clients, rounds: int) -> list[dict]:
    body = json.dumps({"features": [round(0.37 * i - 3, 2) for i in range(20)]})
    rows = []
    with Podsense(MODELS) as server:
        url = f"http://127.0.0.1:{server.port}/predict-single"
        post = ("-m", "POST", "-T", "application/json", "-d", body)
        for _ in range(rounds):
            ours = measured(server.process, clients.load, url, 128, *post, "--http2", "--streams", 32)
            theirs = measured(server.process, clients.load, url, 128, *post)
            rows.append(with_ratio(ours, theirs["rate"], clients.seconds, theirs["cpu"]))
    return rows


def compare_rest(clients: Clients, rounds: int) -> dict[str, list[dict]]:
    values = [round(0.37 * i - 3, 2) for i in range(20)]
    text = json.dumps({"inputs": [{"name": "features", "shape": [1, 20], "datatype": "FP32",
                                   "data": values}]}).encode()
    body, head = rest_body("features", [1, 20], floats(20))
    path = "/v2/models/random-forest/infer"
    rows: dict[str, list[dict]] = {}
    with Podsense(MODELS) as server, Nginx() as nginx:
        for _ in range(rounds):
            for form, sent, size in (("JSON", text, None), ("binary data", body, head)):
                ours = measured(server.process, clients.wrk, server.port, path, sent, 32, size)
                theirs = clients.wrk(nginx.port, "/", sent, 32, size)
                rows.setdefault(form, []).append(with_ratio(ours, theirs, clients.seconds))
    return rows


def print_row(what: str, floor: str, rows: list[dict]) -> None:
    def cell(rate: str, cpu: str) -> str:
        used = f", {middle([r[cpu] for r in rows]):,.1f} µs CPU" if cpu in rows[0] else ""
        return f"{middle([r[rate] for r in rows]):,.1f}/s{used}"

    print(f"| {what} | {cell('ours', 'cpu_us')} | {floor}: {cell('theirs', 'their_cpu_us')} | "
          f"{middle([r['ratio'] for r in rows]):.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=("image", "grpc", "http2", "rest"), help="one part of it")
    parser.add_argument("--json", type=Path, help="write every figure here")
    arguments = parser.parse_args()
    for needed in (ECHO, BARE_LOOP, MODELS):
        if not needed.exists():
            parser.error(f"{needed} is missing: run `make bench-protocol`")

    machine = describe_machine()
    figures: dict = {"machine": machine}
    with tempfile.TemporaryDirectory() as folder:
        clients = Clients(folder, arguments.seconds)
        parts = {"image": lambda: compare_images(folder, clients, arguments.rounds),
                 "grpc": lambda: compare_grpc(clients, arguments.rounds),
                 "http2": lambda: compare_http2(clients, arguments.rounds),
                 "rest": lambda: compare_rest(clients, arguments.rounds)}
        for name, part in parts.items():
            if arguments.only in (None, name):
                figures[name] = part()

    print(f"{machine['cpu']}, {CORES} cores shared with the client, commit {machine['commit']}; "
          f"medians of {arguments.rounds} rounds of {arguments.seconds:g} s\n")
    print("| what | PodSense | held against | ratio |")
    print("|---|---|---|---|")
    for form, rows in figures.get("image", {}).items():
        print_row(f"1×3×224×224 floats, int8 EfficientNet-Lite0, {form}", "bare ONNX Runtime loop", rows)
    if "grpc" in figures:
        print_row("20 floats, random forest, gRPC, 4 connections x 32 streams", "bare grpc++ echo", figures["grpc"])
    if "http2" in figures:
        print_row("20 floats, random forest, JSON over HTTP/2, 4 connections x 32 streams",
                  "HTTP/1.1, 128 connections", figures["http2"])
    for form, rows in figures.get("rest", {}).items():
        print_row(f"20 floats, random forest, REST, {form}, 32 connections", "nginx `return 200`", rows)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
