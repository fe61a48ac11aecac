"""Which addresses the server listens on: both families, one of them, several, where the system has less."""

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from harness import (
    BINARY,
    LIMIT,
    MODELS,
    ROOT,
    SANITIZER,
    Server,
    clean_environment,
    copy_models,
    get,
    wait_until,
)

PORTS = ("http", "grpc", "admin")


def has_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def status(address, port):
    """Of a request to that address; None where nobody answers."""
    try:
        with socket.create_connection((address, port), timeout=LIMIT) as client:
            client.sendall(get("/readyz", [("Connection", "close")]))
            return int(client.recv(65536).split()[1])
    except OSError:
        return None


class Listening(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="podsense-models-")
        cls.addClassCleanup(folder.cleanup)
        cls.models = copy_models(Path(folder.name), "random-forest")

    def serve(self, *hosts, **options):
        flags = [word for flag in ("--host", "--admin-host") for word in (flag, ",".join(hosts))]
        return Server(*flags, models=self.models, **options)

    def answers(self, server, address):
        """Of all ports alike."""
        ports = (server.http_port, server.grpc_port, server.admin_port)
        said = {status(address, port) for port in ports}
        self.assertEqual(len(said), 1, f"{address}: not alike on all ports")
        return said.pop() == 200

    def test_the_default_is_every_address_of_both_families(self):
        printed = subprocess.run([BINARY, "serve", "--models", MODELS, "--print-config"], check=True, capture_output=True,
                                 text=True, env=clean_environment()).stdout
        self.assertEqual(re.findall(r"^  (?:admin_)?host: (\S+)", printed, re.MULTILINE), ['"::"'] * 2)
        with self.serve("::") as server:
            self.assertTrue(self.answers(server, "127.0.0.1"))
            self.assertEqual(self.answers(server, "::1"), has_ipv6())
            (line,) = server.log_lines("serving")
            ports = (server.http_port, server.grpc_port, server.admin_port)
            self.assertEqual([line[name] for name in PORTS], [f"[::]:{port}" for port in ports])
            self.assertEqual(len(server.log_lines("open_to_all")), 2)

    def test_peers_have_their_own_address(self):
        with self.serve("::") as server:
            status("127.0.0.1", server.http_port)
            if has_ipv6():
                status("::1", server.http_port)
            wait_until(lambda: len(server.log_lines("request")) >= 1 + has_ipv6(), what="the lines")
            peers = {line["peer"] for line in server.log_lines("request")}
            self.assertEqual(peers, {"127.0.0.1", "::1"} if has_ipv6() else {"127.0.0.1"})

    def test_one_family_or_several_addresses(self):
        with self.serve("0.0.0.0") as server:
            self.assertFalse(self.answers(server, "::1"))
        with self.serve("127.0.0.1", "127.0.0.2") as server:
            self.assertTrue(self.answers(server, "127.0.0.2"))
            self.assertFalse(self.answers(server, "127.0.0.3"))
            (line,) = server.log_lines("serving")
            self.assertEqual(line["http"], f"127.0.0.1:{server.http_port}, 127.0.0.2:{server.http_port}")
            self.assertEqual(server.log_lines("open_to_all"), [])
        with self.serve("0.0.0.0", "::") as server:
            self.assertEqual(self.answers(server, "::1"), has_ipv6())

    def test_check_asks_an_ipv6_address(self):
        if not has_ipv6():
            self.skipTest("the machine has no IPv6")
        with self.serve("::1", "127.0.0.1") as server:
            subprocess.run([BINARY, "check", f"http://[::1]:{server.http_port}/readyz"], check=True)

    def test_what_cannot_be_bound_is_named(self):
        with self.serve("::") as server:
            flags = ["--models", str(self.models), "--http-port", str(server.http_port), "--admin-port", "0"]
            ended = subprocess.run([BINARY, "serve", *flags], check=False, capture_output=True, text=True,
                                   env=clean_environment(), timeout=LIMIT)
            self.assertEqual(ended.returncode, 1)
            self.assertIn(f"cannot listen on [::]:{server.http_port}: Address already in use",
                          ended.stdout + ended.stderr)

    @unittest.skipIf(SANITIZER, "sanitizers are preloaded themselves")
    def test_a_system_without_ipv6(self):
        library = os.environ.get("PODSENSE_NO_IPV6", ROOT / "build/release/tests/integration/libno_ipv6.so")
        for hosts in (("::",), ("::", "0.0.0.0")):
            with self.serve(*hosts, env={"LD_PRELOAD": str(library)}) as server:
                self.assertTrue(self.answers(server, "127.0.0.1"))
                self.assertEqual(len(server.log_lines("no_ipv6")), 3)


class Namespaces(unittest.TestCase):
    """The default in network namespaces that lack a family."""

    def inside(self, *commands):
        """What answers in a namespace of its own that `commands` have changed: {address: status}."""
        script = " && ".join(["ip link set lo up", *commands, 'exec "$0" "$@"'])
        ended = subprocess.run(["unshare", "-rn", "sh", "-c", script, sys.executable, __file__, "--inside"], check=False,
                               capture_output=True, text=True, timeout=2 * LIMIT)
        if "Operation not permitted" in ended.stderr and not ended.stdout:
            self.skipTest(f"no namespaces here: {ended.stderr.strip()}")
        self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)
        return json.loads(ended.stdout.splitlines()[-1])

    def test_without_ipv6(self):
        found = self.inside("echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6")
        self.assertEqual(found, {"127.0.0.1": 200, "::1": None, "code": 0})

    def test_without_ipv4(self):
        if not has_ipv6():
            self.skipTest("the machine has no IPv6")
        found = self.inside("ip address del 127.0.0.1/8 dev lo")
        self.assertEqual(found, {"127.0.0.1": None, "::1": 200, "code": 0})


def inside():
    """Starts the server with its default addresses, and asks."""
    with tempfile.TemporaryDirectory(prefix="podsense-test-") as folder:
        models = copy_models(Path(folder) / "models", "random-forest")
        ports = Path(folder) / "ports.json"
        server = subprocess.Popen([BINARY, "serve", "--models", models, "--http-port", "0", "--grpc-port", "0", "--admin-port",
                                   "0", "--ports-file", ports, "--drain-delay", "0s"], env=clean_environment(),
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until(ports.exists, what="the ports file")
            port = json.loads(ports.read_text())["http"]
            addresses = ("127.0.0.1", "::1")
            wait_until(lambda: 200 in [status(address, port) for address in addresses], what="an answer")
            found = {address: status(address, port) for address in addresses}
            server.terminate()
            print(json.dumps(found | {"code": server.wait(LIMIT)}))
        finally:
            server.kill()


if __name__ == "__main__":
    if sys.argv[1:] == ["--inside"]:
        inside()
    else:
        unittest.main(verbosity=2)
