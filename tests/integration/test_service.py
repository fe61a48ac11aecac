"""As a service manager starts it: states that it gets, sockets that it hands in, signals that come twice."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from harness import BINARY, LIMIT, MODELS, RawClient, Server, clean_environment, get, wait_until


class Manager:
    """The socket that a service's states come to."""

    def __init__(self, name):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + name[1:] if name.startswith("@") else name)
        self.socket.settimeout(LIMIT)

    def hear(self, wanted=""):
        """The next datagram that begins like this."""
        while True:
            text = self.socket.recv(4096).decode()
            if text.startswith(wanted):
                return text

    def close(self):
        self.socket.close()


class States(unittest.TestCase):
    def manager(self, name):
        manager = Manager(name)
        self.addCleanup(manager.close)
        return manager

    def test_ready_reloading_stopping(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in (f"{folder}/notify", f"@podsense-{os.getpid()}"):
                manager = self.manager(name)
                with Server(ready=False, env={"NOTIFY_SOCKET": name}) as server:
                    self.assertTrue(manager.hear().startswith("READY=1\n"), "and nothing before")
                    self.assertEqual(server.get("/readyz").status, 200)
                    server.signal(signal.SIGHUP)
                    self.assertRegex(manager.hear(), r"^RELOADING=1\nMONOTONIC_USEC=\d+\n")
                    self.assertTrue(manager.hear().startswith("READY=1\n"))
                    server.signal(signal.SIGTERM)
                    self.assertTrue(manager.hear().startswith("STOPPING=1\n"))

    def test_it_says_that_it_lives_until_a_run_is_stuck(self):
        name = f"@podsense-watchdog-{os.getpid()}"
        manager = self.manager(name)
        flags = ("--fault-api", "--stuck-timeout", "100ms", "--request-timeout", "100ms", "--executors", "2")
        with Server(*flags, env={"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "10000000"}) as server:
            manager.hear("READY=1")
            for _ in range(2):
                manager.hear("WATCHDOG=1")
            answer = server.request("POST", "/v1/faults", json.dumps({"models": {"": {"stuck": True}}}).encode(),
                                    {"Content-Type": "application/json"}, server.admin_port)
            self.assertEqual(answer.status, 200, answer)
            server.post_json("/infer", {"cpu_ms": 1})
            wait_until(lambda: server.admin("GET", "/livez").status == 503, what="the end of liveness")
            manager.socket.setblocking(False)
            try:
                while True:
                    manager.socket.recv(4096)  # those said before
            except BlockingIOError:
                pass
            ticks = server.admin("GET", "/stats").json["uptime_s"]
            wait_until(lambda: server.admin("GET", "/stats").json["uptime_s"] > ticks + 2.5, what="three ticks")
            self.assertRaises(BlockingIOError, manager.socket.recv, 4096)
            server.request("POST", "/v1/faults", b"{}", {"Content-Type": "application/json"}, server.admin_port)
            manager.socket.settimeout(LIMIT)
            manager.hear("WATCHDOG=1")


class Sockets(unittest.TestCase):
    """Listening sockets at descriptors 3 and up, as systemd's socket units give them."""

    def serve(self, listeners, names, *flags):
        """Starts it by a shell, which knows the process's number before the binary runs."""
        folder = Path(tempfile.mkdtemp(prefix="podsense-test-"))
        self.addCleanup(shutil.rmtree, folder)
        moved = [os.dup(one.fileno()) for one in listeners]
        moves = "import os, sys\n" \
            "fds = [int(n) for n in sys.argv[1].split(',')]\n" \
            "high = [os.dup2(fd, 60 + i) for i, fd in enumerate(fds)]\n" \
            "[os.dup2(fd, 3 + i) for i, fd in enumerate(high)]\n" \
            "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(fds)))\n" \
            "os.execv(sys.argv[2], sys.argv[2:])\n"
        environment = clean_environment() | ({"LISTEN_FDNAMES": names} if names else {})
        process = subprocess.Popen(
            [sys.executable, "-c", moves, ",".join(map(str, moved)), BINARY, "serve", "--models", MODELS,
             "--host", "127.0.0.1", "--admin-host", "127.0.0.1", "--http-port", "0", "--grpc-port", "0",
             "--admin-port", "0", "--ports-file", folder / "ports", "--drain-delay", "0s", *flags],
            pass_fds=moved, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        for one in moved:
            os.close(one)
        return process, folder / "ports"

    def listener(self, family=socket.AF_INET, address="127.0.0.1"):
        one = socket.socket(family)
        self.addCleanup(one.close)
        one.bind((address, 0))
        one.listen()
        return one

    def test_named_sockets_are_served_and_outlive_the_process(self):
        listeners = [self.listener() for _ in range(3)]
        ports = [one.getsockname()[1] for one in listeners]
        for _ in range(2):  # the second comes to the same sockets
            process, file = self.serve(listeners, "admin:http:grpc")
            wait_until(file.exists, what="the ports file")
            self.assertEqual(json.loads(file.read_text()),
                             {"admin": ports[0], "http": ports[1], "grpc": ports[2]})
            with RawClient(ports[0]) as admin, RawClient(ports[1]) as client:
                wait_until(lambda a=admin: a.exchange(get("/readyz")).status == 200, what="readyz")
                self.assertEqual(client.exchange(get("/v2/health/live")).status, 200)
            process.terminate()
            out, said = process.communicate(timeout=LIMIT)
            self.assertEqual(process.returncode, 0, (out, said))
            with RawClient(ports[1]) as waiting:  # nobody accepts it yet, and nothing resets it
                waiting.send(get("/readyz"))

    def test_one_socket_without_a_ports_name_is_the_main_port(self):
        for names in ("podsense.socket", ""):
            listener = self.listener()
            process, file = self.serve([listener], names, "--no-grpc")
            wait_until(file.exists, what="the ports file")
            self.assertEqual(json.loads(file.read_text())["http"], listener.getsockname()[1])
            process.terminate()
            process.communicate(timeout=LIMIT)

    def test_what_cannot_be_served_is_an_error_that_says_so(self):
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(datagrams.close)
        two = [self.listener(), self.listener()]
        for listeners, names, error in (
                (two, "http:metrics", r"descriptor 4 \('metrics'\) has the name of no port.*http, grpc or admin"),
                (two, "http:http", r"descriptor 4 \('http'\) is the second of that name"),
                ([datagrams], "http", r"descriptor 3 \('http'\) is no listening TCP socket")):
            process, _ = self.serve(listeners, names)
            _, said = process.communicate(timeout=LIMIT)
            self.assertEqual(process.returncode, 2, said)
            self.assertRegex(said, error)


@unittest.skipUnless(shutil.which("systemd-analyze"), "there is no systemd-analyze")
class Units(unittest.TestCase):
    def test_systemd_finds_nothing_in_them(self):
        with tempfile.TemporaryDirectory() as folder:
            units = []
            for unit in (Path(__file__).parents[2] / "packaging/systemd").glob("podsense.s*"):
                if unit.suffix in (".service", ".socket"):
                    units.append(Path(folder) / unit.name)
                    units[-1].write_text(unit.read_text().replace("/usr/bin/podsense", str(BINARY.resolve())))
            self.assertEqual(len(units), 2)
            done = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True,
                                  timeout=LIMIT, check=False)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))


class Started(unittest.TestCase):
    def test_closed_descriptors_are_no_clients(self):
        with tempfile.TemporaryDirectory() as folder:
            ports = Path(folder) / "ports"
            process = subprocess.Popen(
                ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", BINARY, "serve", "--models", MODELS, "--host", "127.0.0.1",
                 "--admin-host", "127.0.0.1", "--http-port", "0", "--no-grpc", "--admin-port", "0",
                 "--ports-file", ports, "--access-log", "all", "--drain-delay", "0s"], env=clean_environment())
            try:
                wait_until(ports.exists, what="the ports file")
                for number in range(3):
                    self.assertEqual(os.readlink(f"/proc/{process.pid}/fd/{number}"), "/dev/null")
                with RawClient(json.loads(ports.read_text())["http"]) as client:
                    for _ in range(3):
                        self.assertEqual(client.exchange(get("/nope")).status, 404)
                process.terminate()
                self.assertEqual(process.wait(LIMIT), 0)
            finally:
                process.kill()
                process.wait()

    def test_a_signal_that_wrappers_send_twice_is_one(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with Server("--drain-timeout", "120s") as server, server.raw() as client:
                client.send(b"POST /infer?cpu_ms=1500 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
                wait_until(lambda s=server: s.metric("podsense_requests_in_flight") == 1, what="request")
                begun = time.monotonic()
                server.signal(number)
                wait_until(lambda s=server: s.log_lines("shutdown_began"), what="the first")
                server.signal(number)
                twice = time.monotonic() - begun
                self.assertEqual(client.read().status, 200)
                code = server.wait_exit()
                if twice < 0.9:  # a machine may be too busy for it
                    self.assertEqual(code, 0)
                    self.assertEqual(server.log_lines("shutdown_forced"), [])

    def test_under_timeout_it_drains(self):
        """timeout(1) sends its signal to the child, and to its own group, in which the child is."""
        if shutil.which("timeout") is None:
            self.skipTest("there is no timeout")
        with Server("--drain-timeout", "120s", wrapper=("timeout", "300")) as server, server.raw() as client:
            client.send(b"POST /infer?cpu_ms=600 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
            wait_until(lambda: server.metric("podsense_requests_in_flight") == 1, what="request")
            server.told_to_stop = True
            server.process.terminate()
            self.assertEqual(client.read().status, 200)
            server.wait_exit()
            self.assertEqual(server.log_lines("shutdown_forced"), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
