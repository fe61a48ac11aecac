#!/usr/bin/env python3
"""Answers that come before their request is sent: does the client get to see them?

    tests/endurance/run.sh early_answers.py [NAME…] [--size 20MB] [--rates 2,5,20] [--json FILE]

A body of 20 MB is sent at 2 to 20 MB/s to where it is refused at once (413: the route takes 1 MiB; 401: no key),
by clients that write all before they read (http.client), look for an answer meanwhile (curl, over HTTP/1.1 and 2), and
wait for 100 Continue (curl), to the server itself and through each proxy of proxies.py that is there. Prints a
table of what each client saw: the status, or how it failed; "-": the proxy has no HTTP/2 without TLS.

Exit code 1 where the server itself, without a proxy, is not understood by a client.
"""

import argparse
import concurrent.futures
import http.client
import json
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from harness import Server, copy_models
from proxies import HERE, PROXIES, wait_served

MEGABYTE = 1_000_000
LONGEST = 120  # seconds
KEY = "k" * 40
REFUSALS = {413: ("/predict-single", KEY), 401: ("/predict", "wrong")}  # status: path, key


def paced(size, rate):
    """Pieces of a body at `rate` bytes a second, whatever is done in between."""
    piece = bytes(max(1024, int(rate / 50)))
    began, sent = time.monotonic(), 0
    while sent < size:
        time.sleep(max(0.0, began + sent / rate - time.monotonic()))
        part = piece[:size - sent]
        sent += len(part)
        yield part


def by_python(port, path, key, size, rate, _):
    connection = http.client.HTTPConnection(HERE, port, timeout=LONGEST)
    try:
        connection.request("POST", path, paced(size, rate), {
            "Content-Type": "application/octet-stream", "Content-Length": str(size), "X-Api-Key": key})
        return str(connection.getresponse().status)
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__
    finally:
        connection.close()


def by_curl(*flags):
    def ask(port, path, key, _, rate, body):
        done = subprocess.run(
            ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code} %{exitcode}", "-m", str(LONGEST), "--limit-rate", str(rate),
             "-H", "Content-Type: application/octet-stream", "-H", f"X-Api-Key: {key}", "--data-binary", f"@{body}", *flags,
             f"http://{HERE}:{port}{path}"], check=False, capture_output=True, text=True)
        status, code = done.stdout.split()
        return status if code == "0" else f"{status if status != '000' else ''}(curl {code})"
    return ask


CLIENTS = {
    "http.client": by_python,
    "curl": by_curl("-H", "Expect:"),
    "curl, 100-continue": by_curl("-H", "Expect: 100-continue"),
    "curl, HTTP/2": by_curl("--http2-prior-knowledge"),
}


def outcomes(port, rates, size, body, http2=True):
    """(client, status, rate) → what was seen; all at the same time."""
    asked = [(name, status, rate) for name in CLIENTS for status in REFUSALS for rate in rates
             if http2 or not name.endswith("HTTP/2")]
    with concurrent.futures.ThreadPoolExecutor(len(asked)) as pool:
        futures = {one: pool.submit(CLIENTS[one[0]], port, *REFUSALS[one[1]], size, int(one[2] * MEGABYTE), body) for one in asked}
        return {one: future.result() for one, future in futures.items()}


def table(found, rates):
    """One line a client and place: what was seen for each status, at each rate."""
    print(f"{'through':9} {'client':19} " + " ".join(f"{f'{status} at {rate:g}':>12}" for status in REFUSALS for rate in rates))
    for place, seen in found.items():
        for name in CLIENTS:
            print(f"{place:9} {name:19} " + " ".join(f"{seen.get((name, status, rate), '-'):>12}" for status in REFUSALS for rate in rates))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("proxies", nargs="*", metavar="NAME", help=f"of {', '.join(PROXIES)}; default: all")
    parser.add_argument("--size", type=float, default=20, help="of the body, in MB (20)")
    parser.add_argument("--rates", default="2,5,20", help="MB a second (2,5,20)")
    parser.add_argument("--json", type=Path, help="write what was seen here")
    options = parser.parse_args()
    rates = [float(rate) for rate in options.rates.split(",")]
    size = int(options.size * MEGABYTE)
    found = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="podsense-early-")))
        keys, body = folder / "keys", folder / "body"
        keys.write_text(f"client:{KEY}\n")
        body.write_bytes(bytes(size))
        models = copy_models(folder / "models", "random-forest")
        server = stack.enter_context(Server("--access-log", "off", "--auth-api-keys", str(keys), "--max-json-bytes", "1MiB",
                                            models=models))
        found["(none)"] = outcomes(server.http_port, rates, size, body)
        for name in options.proxies or PROXIES:
            if not PROXIES[name].installed():
                print(f"{name}: left out, not installed")
                continue
            with PROXIES[name]([(server.http_port, server.grpc_port)]) as proxy:
                wait_served(proxy.http)
                found[name] = outcomes(proxy.http, rates, size, body, proxy.speaks_http2)
    table(found, rates)
    if options.json:
        options.json.write_text(json.dumps({f"{place}, {name}, {status}, {rate:g} MB/s": what for place, seen in found.items()
                                            for (name, status, rate), what in seen.items()}, indent=1) + "\n")
    missed = [one for one, what in found["(none)"].items() if what != str(one[1])]
    for name, status, rate in missed:
        print(f"without a proxy, {name} at {rate:g} MB/s did not see {status}")
    raise SystemExit(1 if missed else 0)


if __name__ == "__main__":
    main()
