#!/usr/bin/env python3
"""Do idle and slow clients cost the others anything?

    bench/connections.py [--idle 10000] [--slow 1000] [--rate 500] [--seconds 8] [--rounds 3] [--json FILE]

In turn, round by round: p99 of rows sent in open loop to a server of which nobody else wants anything, and
to one that holds --idle connections and --slow slow ones: a third send their headers byte by byte, a third
their body, a third do not read what they asked for. Connections come from several loopback addresses.
Should hold: p99 moves by at most a tenth. Printed with the memory that a connection takes.

Needs build/release/podsense and build/models; descriptors (`ulimit -n`): idle + slow + 100.
"""

import argparse
import json
import resource
import socket
import statistics
import threading
from pathlib import Path

from compare import MODELS, ROW, Podsense, describe_machine
from overload import load

HEAD = b"POST /predict-single HTTP/1.1\r\nHost: x\r\n"
BODY = HEAD + b"Content-Length: 4000\r\n\r\n"
READ = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 100
FLAGS = ("--header-timeout", "10m", "--body-timeout", "10m", "--write-timeout", "10m", "--idle-timeout", "10m",
         "--max-connections", "65536", "--access-log", "off")


class Crowd:
    """Connections that want little, and slow ones that drip a byte every two seconds."""

    def __init__(self, port: int, idle: int, slow: int):
        self.idle = [self.connect(port, n) for n in range(idle)]
        self.slow = []
        for n in range(slow):
            client = self.connect(port, n)
            client.sendall((HEAD + b"X-Slow: ", BODY, READ)[n % 3])
            self.slow.append((client, n % 3 < 2))
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.drip, daemon=True)
        self.thread.start()

    @staticmethod
    def connect(port: int, number: int) -> socket.socket:
        return socket.create_connection(("127.0.0.1", port), timeout=30,
                                        source_address=(f"127.0.0.{2 + number % 20}", 0))

    def drip(self) -> None:
        while True:
            for client, drips in self.slow:
                if self.over.wait(2 / len(self.slow)):
                    return
                if drips:
                    client.send(b"1")

    def close(self) -> None:
        self.over.set()
        self.thread.join()
        for client in (*self.idle, *(client for client, _ in self.slow)):
            client.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--idle", type=int, default=10_000)
    parser.add_argument("--slow", type=int, default=1_000)
    parser.add_argument("--rate", type=float, default=500)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write every figure here")
    options = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if most < options.idle + options.slow + 100:
        parser.error(f"{most} descriptors are allowed (ulimit -Hn); raise it or ask for fewer connections")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    target = ["/predict-single", "-m", "POST", "-T", "application/json", "-d", ROW]
    rounds: list[dict] = []
    with Podsense(MODELS, *FLAGS) as alone, Podsense(MODELS, *FLAGS) as crowded:
        empty = crowded.resident_mib()
        crowd = Crowd(crowded.port, options.idle, options.slow)
        held = crowded.resident_mib()
        for _ in range(options.rounds):
            row = {}
            for name, server in (("alone", alone), ("crowded", crowded)):
                report = load(server, target, "--qps", options.rate, "--seconds", options.seconds, "--warmup", 1)
                row[name] = {key: report["latency"]["percentiles"][key] * 1e3 for key in ("p50", "p99")}
                row[name]["failed"] = report["requests"]["failed"]
            rounds.append(row)
        crowd.close()
    figures = {name: {key: statistics.median(row[name][key] for row in rounds) for key in ("p50", "p99", "failed")}
               for name in ("alone", "crowded")}
    each = (held - empty) * 1024 / (options.idle + options.slow)
    machine = describe_machine()
    print(f"{machine['cpu']}, {machine['cores']} cores, commit {machine['commit']}; {options.rate:g} rows a second, "
          f"medians of {options.rounds} rounds of {options.seconds:g} s\n")
    print("| | p50 | p99 | failed |\n|---|---|---|---|")
    for name, title in (("alone", "nobody else"), ("crowded", f"{options.idle} idle, {options.slow} slow")):
        print(f"| {title} | {figures[name]['p50']:.3f} ms | {figures[name]['p99']:.3f} ms | "
              f"{figures[name]['failed']:.0f} |")
    ratios = [row["crowded"]["p99"] / row["alone"]["p99"] for row in rounds]
    print(f"\np99 with the crowd over p99 without: {statistics.median(ratios):.2f} "
          f"({', '.join(f'{ratio:.2f}' for ratio in ratios)}); {each:.1f} KiB resident a connection")
    if options.json:
        options.json.write_text(json.dumps({"machine": machine, "rounds": rounds, "ratios": ratios,
                                            "kib_a_connection": each}, indent=1) + "\n")


if __name__ == "__main__":
    main()
