"""More than it can do, and more clients than it wants: what is asked for is answered or refused, others are
served meanwhile, and it is as before when they have gone. bench/overload.py and bench/connections.py are
the long forms, with figures."""

import contextlib
import http.client
import json
import os
import resource
import shutil
import subprocess
import threading
import unittest
from pathlib import Path

from harness import BINARY, LIMIT, RawClient, Server, get, post, wait_until, without_descriptors

ROW = json.dumps({"features": [0.5] * 20}).encode()
JSON = ("Content-Type", "application/json")
SINGLE = post("/predict-single", ROW, [JSON])
ANSWERS = 100


def resident_mib(server):
    for line in Path(f"/proc/{server.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmRSS")


class Overload(unittest.TestCase):
    def test_three_times_the_capacity_is_answered_or_refused(self):
        # By length, not by time: on a busy machine what was admitted could be late otherwise.
        with Server("--executors", "1", "--max-queue-length", "8", "--access-log", "off") as server:
            self.assertEqual(server.post("/infer?cpu_ms=20").status, 200)
            before = resident_mib(server)
            load = subprocess.Popen(
                [BINARY, "load", f"http://127.0.0.1:{server.http_port}/infer?cpu_ms=20", "-m", "POST",
                 "--qps", "150", "--seconds", "3", "--timeout", f"{LIMIT:.0f}s", "--json", "-",
                 "--quiet"], stdout=subprocess.PIPE)
            refusal = wait_until(lambda: self.refused(server) if load.poll() is None else True,
                                 what="a refusal")
            report = json.loads(load.communicate()[0])
            if refusal is not True:
                self.assertGreaterEqual(int(refusal.headers["retry-after"]), 1)
                self.assertEqual(refusal.json["code"], "OVERLOADED")
            self.assertGreater(report["requests"]["ok"], 0)
            self.assertGreater(report["status"]["503"]["count"], 0)
            self.assertLessEqual(set(report["status"]), {"200", "503"})
            self.assertEqual(report["errors"], {})
            sanitized = b"__asan_init" in BINARY.read_bytes()  # which keeps what is freed
            if not sanitized:
                self.assertLess(resident_mib(server) - before, 100)
            self.assertEqual(server.post("/infer?cpu_ms=1").status, 200)

    @staticmethod
    def refused(server):
        answer = server.post("/infer?cpu_ms=20")
        return answer if answer.status == 503 else None


class Crowd(unittest.TestCase):
    def slow_header(self, server):
        client = server.raw()
        client.send(b"POST /predict-single HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        return client, b"a"

    def slow_body(self, server):
        client = server.raw()
        client.send(SINGLE[:-30])
        return client, b""

    def slow_reader(self, server):
        client = server.raw()
        client.send(get("/openapi.json") * ANSWERS)  # more than the sockets' buffers hold
        return client, b""

    def test_idle_and_slow_clients_keep_nobody_from_being_served(self):
        flags = ("--header-timeout", "300s", "--body-timeout", "300s", "--write-timeout", "300s",
                 "--idle-timeout", "600s", "--access-log", "off")
        with Server(*flags) as server:
            idle = [server.raw() for _ in range(300)]
            slow = [make(server) for make in (self.slow_header, self.slow_body, self.slow_reader)
                    for _ in range(30)]
            # The one that asks is among them.
            wait_until(lambda: server.metric("podsense_connections") == 391, what="390 connections")
            stop = threading.Event()
            dripping = threading.Thread(target=self.drip, args=(slow, stop))
            dripping.start()
            with server.raw() as client:
                for _ in range(200):
                    self.assertEqual(client.exchange(SINGLE).status, 200)
            stop.set()
            dripping.join()
            for client in idle:  # none was forgotten
                self.assertEqual(client.exchange(SINGLE).status, 200)
            for client, _ in slow[30:60]:  # bodies that come in the end are answered
                client.send(SINGLE[-30:])
                self.assertEqual(client.read().status, 200)
            for client, _ in slow[60:]:
                for _ in range(ANSWERS):
                    self.assertEqual(client.read().status, 200)
            for client in [*idle, *(client for client, _ in slow)]:
                client.socket.close()
            wait_until(lambda: server.metric("podsense_connections") == 1,
                       what="the end of the connections")

    @staticmethod
    def drip(slow, stop):
        while not stop.wait(0.05):
            for client, piece in slow:
                if piece:
                    client.send(piece)


@without_descriptors
class Descriptors(unittest.TestCase):
    def test_running_out_of_descriptors_is_survived_and_counted(self):
        if shutil.which("prlimit") is None:
            self.fail("prlimit is needed: apt install util-linux")
        with Server("--access-log", "off", executable=("prlimit", "--nofile=160")) as server:
            before = len(os.listdir(f"/proc/{server.pid}/fd"))
            crowd = []
            refused = 0
            while refused < 5 and len(crowd) < 1000:
                client = RawClient(server.http_port)
                crowd.append(client)
                client.send(SINGLE)
                answer = client.read()  # none is reset
                if answer.status == 503:
                    self.assertEqual(answer.json["code"], "OVERLOADED")
                    self.assertGreaterEqual(int(answer.headers["retry-after"]), 1)
                    refused += 1
                else:
                    self.assertEqual(answer.status, 200)
            self.assertEqual(refused, 5)
            self.assertGreater(len(crowd), 40)
            # Who was there before goes on being served, and so do probes, on both ports.
            self.assertEqual(crowd[0].exchange(SINGLE).status, 200)
            for path in ("/livez", "/readyz", "/startupz"):
                self.assertEqual(server.get(path).status, 200, path)
                self.assertEqual(server.admin("GET", path).status, 200, path)
            self.assertEqual(server.admin("POST", "/v1/reload").status, 200)
            refusals = server.metric("podsense_connections_refused_total", reason="descriptors")
            self.assertGreaterEqual(refusals, 5)
            for client in crowd:
                client.socket.close()
            wait_until(lambda: len(os.listdir(f"/proc/{server.pid}/fd")) <= before + 2,
                       what="free descriptors")
            self.assertEqual(server.post("/predict-single", ROW, "application/json").status, 200)

    def test_without_any_descriptor_left_it_goes_on_once_there_are_some(self):
        with Server("--access-log", "off") as server:
            ports = (server.http_port, server.grpc_port)
            _, hard = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
            used = len(os.listdir(f"/proc/{server.pid}/fd"))
            resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (used, hard))
            crowd = [RawClient(port) for port in ports for _ in range(20)]
            for name in ("http", "grpc"):
                wait_until(lambda name=name: [line for line in server.log_lines("accept_failed")
                                              if line["server"] == name], what=f"a refusal by {name}")
            for client in crowd:
                client.socket.close()
            resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (hard, hard))
            wait_until(lambda: self.is_alive(server), what="an answer")
            self.assertEqual(server.post("/predict-single", ROW, "application/json").status, 200)
            with contextlib.closing(RawClient(server.grpc_port).socket) as client:
                client.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
                self.assertEqual(client.recv(12), b"HTTP/1.1 200")
            self.assertLess(len(server.log_lines("accept_failed")), 100)

    @staticmethod
    def is_alive(server):
        try:
            return server.get("/livez").status == 200
        except (OSError, http.client.HTTPException):
            return False

    def test_the_limit_is_raised_to_what_the_system_allows(self):
        with Server(executable=("prlimit", "--nofile=100:5000")) as server:
            self.assertEqual(server.metric("process_max_fds"), 5000)


if __name__ == "__main__":
    unittest.main(verbosity=2)
