#!/usr/bin/env python3
"""Do idle and slow clients cost the others anything?

    bench/connections.py [--idle 10000] [--slow 1000] [--load 0.2] [--seconds 6] [--rounds 12] [--json FILE]
    bench/connections.py --http2 [--idle 10000]       memory alone, of idle connections that speak HTTP/2

Two servers of the same kind: of one nobody else wants anything, the other holds --idle connections and
--slow slow ones: a third send their headers byte by byte, a third their body, a third do not read what
they asked for. Connections come from several loopback addresses. Rows are sent in open loop at --load of
the capacity, first to the one and then to the other, in the next round the other way about, so that a
drift of the machine and the order meet both. Far below the limit p99 is the server's and not the queue's
before it; each figure comes from thousands of answers, and what counts is the median of the rounds' ratios.
Should hold: p99 moves by at most a tenth. Printed with the memory that a connection takes.

Needs build/release/podsense and build/models; descriptors (`ulimit -n`): idle + slow + 100.
"""

import argparse
import json
import resource
import shlex
import socket
import statistics
import sys
import threading
from pathlib import Path

from compare import MODELS, ROW, Others, Podsense, describe_machine
from overload import load

HEAD = b"POST /predict-single HTTP/1.1\r\nHost: x\r\n"
BODY = HEAD + b"Content-Length: 4000\r\n\r\n"
READ = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 100
KEYS = ("p50", "p90", "p99")
FLAGS = ("--header-timeout", "10m", "--body-timeout", "10m", "--write-timeout", "10m", "--idle-timeout", "10m",
         "--max-connections", "65536", "--access-log", "off")


# HTTP/2: the preface with empty SETTINGS, and GET /livez (HPACK: :method, :scheme, :path, :authority).
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04\x00" + bytes(4)
SETTINGS_ACK = bytes(3) + b"\x04\x01" + bytes(4)
HEADERS = b"\x82\x86\x44\x06/livez\x41\x01x"
AGAIN = b"\x82\x86\xbf\xbe"  # the same by the entries that the first one made
REQUESTS = 20


def http2_memory(idle: int) -> None:
    """KiB resident a connection, when new and after some requests."""
    with Podsense(MODELS, *FLAGS) as server:
        empty = server.resident_mib()
        clients = [Crowd.connect(server.port, n) for n in range(idle)]
        for client in clients:
            client.sendall(PREFACE)
        for client in clients:
            client.recv(4096)
            client.sendall(SETTINGS_ACK)
        new = server.resident_mib()
        for client in clients:
            for number in range(REQUESTS):
                head = AGAIN if number else HEADERS
                client.sendall(len(head).to_bytes(3) + b"\x01\x05" + (2 * number + 1).to_bytes(4) + head)
                client.recv(4096)
        used = server.resident_mib()
        for client in clients:
            client.close()
    print(f"{idle} connections of HTTP/2: {(new - empty) * 1024 / idle:.1f} KiB resident each, "
          f"{(used - empty) * 1024 / idle:.1f} after {REQUESTS} requests")


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
    parser.add_argument("--load", type=float, default=0.2, help="of what 16 connections reach in closed loop")
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--json", type=Path, help="write every figure here")
    parser.add_argument("--http2", action="store_true", help="the memory of idle HTTP/2 connections alone")
    options = parser.parse_args()
    others = Others()
    if options.rounds < 2:
        parser.error("--rounds must be at least 2: a ratio of one round proves nothing")
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if most < options.idle + options.slow + 100:
        parser.error(f"{most} descriptors are allowed (ulimit -Hn); raise it or ask for fewer connections")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if options.http2:
        return http2_memory(options.idle)
    target = ["/predict-single", "-m", "POST", "-T", "application/json", "-d", ROW]
    rounds: list[dict] = []
    with Podsense(MODELS, *FLAGS) as alone, Podsense(MODELS, *FLAGS) as crowded:
        servers = [("alone", alone), ("crowded", crowded)]
        empty = crowded.resident_mib()
        for _, server in reversed(servers):
            capacity = load(server, target, "-c", 16, "-z", "3s")["rates"]["achieved"]
        crowd = Crowd(crowded.port, options.idle, options.slow)
        held = crowded.resident_mib()
        for number in range(options.rounds):
            row = {}
            for name, server in reversed(servers) if number % 2 else servers:
                report = load(server, target, "--qps", options.load * capacity, "--arrivals", "poisson",
                              "--seed", number + 1, "--seconds", options.seconds, "--warmup", 1)
                row[name] = {key: report["latency"]["percentiles"][key] * 1e3 for key in KEYS}
                row[name] |= {key: report["requests"][key] for key in ("ok", "failed")}
            rounds.append(row)
        crowd.close()
    figures = {name: {key: statistics.median(row[name][key] for row in rounds) for key in (*KEYS, "failed")}
               for name, _ in servers}
    each = (held - empty) * 1024 / (options.idle + options.slow)
    machine = describe_machine() | {"others_cores": others.cores()}
    print(f"{machine['cpu']}, {machine['cores']} cores ({machine['others_cores']:.2f} of them used by others), "
          f"commit {machine['commit']}; {options.load:.0%} of "
          f"{capacity:,.0f} rows a second, medians of {options.rounds} rounds of {options.seconds:g} s, "
          f"{rounds[0]['alone']['ok']:,} answers each\n")
    print("| | p50 | p90 | p99 | failed |\n|---|---|---|---|---|")
    for name, title in (("alone", "nobody else"), ("crowded", f"{options.idle} idle, {options.slow} slow")):
        print(f"| {title} | " + " | ".join(f"{figures[name][key]:.3f} ms" for key in KEYS) +
              f" | {figures[name]['failed']:.0f} |")
    ratios = {key: [row["crowded"][key] / row["alone"][key] for row in rounds] for key in KEYS}
    print("\nwith the crowd over without, median and quartiles of the rounds:")
    for key in KEYS:
        low, middle, high = statistics.quantiles(ratios[key], n=4)
        print(f"  {key}: {middle:.2f} ({low:.2f} to {high:.2f})")
    print(f"{each:.1f} KiB resident a connection")
    if options.json:
        options.json.write_text(json.dumps({"command": shlex.join(map(str, sys.argv)), "machine": machine,
                                            "capacity": capacity, "load": options.load, "rounds": rounds,
                                            "ratios": ratios, "median_ratio": {
                                                key: statistics.median(ratios[key]) for key in KEYS},
                                            "kib_a_connection": each}, indent=1) + "\n")


if __name__ == "__main__":
    main()
