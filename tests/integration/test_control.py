"""The control plane from outside: one worker for all who ask, and no request that makes a thread. The
admin port: for probes and tools, not for web pages."""

import os
import shutil
import subprocess
import tempfile
import threading
import unittest
from pathlib import Path

from harness import (
    BINARY,
    LIMIT,
    RawClient,
    Server,
    ServerCase,
    clean_environment,
    copy_models,
    wait_until,
)

SHIM = os.environ.get("PODSENSE_FAILING_THREADS")
SANITIZED = b"__asan_init" in BINARY.read_bytes() or b"__tsan_init" in BINARY.read_bytes()


def threads_of(server):
    return len(os.listdir(f"/proc/{server.pid}/task"))


def admin_post(path, *headers, body=b""):
    lines = [f"POST {path} HTTP/1.1", *headers, f"Content-Length: {len(body)}", "Connection: close"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Flood(unittest.TestCase):
    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="podsense-models-"))
        self.addCleanup(shutil.rmtree, self.root)
        copy_models(self.root, "simulated")

    def test_hundreds_of_reloads_at_once_need_no_thread_more(self):
        with Server(models=self.root) as server:
            before = threads_of(server)
            clients = [RawClient(server.admin_port) for _ in range(800)]
            most = before
            for client in clients:
                client.send(admin_post("/v1/reload", "Host: x"))
                most = max(most, threads_of(server))
            statuses = {client.read().status for client in clients}
            for client in clients:
                client.socket.close()
            self.assertEqual(statuses, {200})
            # Loading in parallel takes helpers, as many as there are executors.
            self.assertLessEqual(most, before + (os.cpu_count() or 1))
            self.assertLessEqual(threads_of(server), before)

    def test_loads_and_unloads_at_once_need_no_thread_more(self):
        with Server("--repository-api", models=self.root) as server:
            before = threads_of(server)
            clients = [RawClient(server.admin_port) for _ in range(300)]
            for i, client in enumerate(clients):
                action = "unload" if i % 2 else "load"
                client.send(admin_post(f"/v2/repository/models/m{i % 150}/{action}", "Host: x"))
            self.assertLessEqual(threads_of(server), before + (os.cpu_count() or 1))
            answers = [client.read() for client in clients]
            for client in clients:
                client.socket.close()
            self.assertLessEqual({answer.status for answer in answers}, {404, 503})
            for answer in answers:
                if answer.status == 503:
                    self.assertGreaterEqual(int(answer.headers["retry-after"]), 1)
            # And it is as before.
            self.assertEqual(server.admin("POST", "/v2/repository/models/simulated/unload").status, 200)
            self.assertEqual(server.get("/infer?cpu_ms=0").status, 404)
            self.assertEqual(server.admin("POST", "/v2/repository/models/simulated/load").status, 200)
            self.assertEqual(server.get("/infer?cpu_ms=0").status, 200)

    def test_sighup_and_the_api_meet(self):
        with Server("--reload-interval", "50ms", models=self.root) as server:
            import signal
            stop = threading.Event()

            def hang_up():
                while not stop.wait(0.005):
                    server.signal(signal.SIGHUP)
            other = threading.Thread(target=hang_up)
            other.start()
            for _ in range(50):
                self.assertEqual(server.admin("POST", "/v1/reload").status, 200)
            stop.set()
            other.join()


@unittest.skipIf(SANITIZED or SHIM is None, "the sanitizers make threads of their own")
class WithoutThreads(unittest.TestCase):
    """Whatever thread the system refuses: an error and an end, never a crash."""

    def test_at_start_the_server_ends_with_an_error(self):
        ended_well = 0
        for number in range(1, 40):
            with tempfile.TemporaryDirectory() as folder:
                ports = Path(folder) / "ports"
                process = subprocess.Popen(
                    [BINARY, "serve", "--host", "127.0.0.1", "--admin-host", "127.0.0.1",
                     "--http-port", "0", "--no-grpc", "--admin-port", "0", "--models",
                     os.environ["PODSENSE_MODELS"], "--ports-file", ports, "--drain-delay", "0s"],
                    env=clean_environment() | {"LD_PRELOAD": SHIM, "FAIL_THREADS_FROM": str(number)},
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                wait_until(lambda p=process, f=ports: p.poll() is not None or f.exists(),
                           what="an end or a start")
                if process.poll() is None:
                    process.terminate()  # all that it needs was there before the nth
                    out, said = process.communicate(timeout=LIMIT)
                    # 1: the refused thread was one that loading models needs.
                    self.assertIn(process.returncode, (0, 1), (number, said, out[-2000:]))
                    ended_well += 1
                    if ended_well == 3:
                        break
                    continue
                out, said = process.communicate()
                self.assertEqual(process.returncode, 1, (number, said, out[-2000:]))
                self.assertRegex(said, "(?m)^podsense( serve)?: ")
        self.assertEqual(ended_well, 3)

    def test_while_serving_a_reload_goes_on(self):
        root = Path(tempfile.mkdtemp(prefix="podsense-models-"))
        self.addCleanup(shutil.rmtree, root)
        copy_models(root, "simulated", "random-forest")
        scarce = root / ".scarce"
        with Server("--executors", "4", "--no-grpc", models=root,
                    env={"LD_PRELOAD": SHIM, "FAIL_THREADS_WHILE": str(scarce)}) as server:
            scarce.touch()
            for name in ("simulated", "random-forest"):
                (root / name / "model.yaml").write_text((root / name / "model.yaml").read_text() + "\n#")
            answer = server.admin("POST", "/v1/reload")
            self.assertEqual(answer.status, 200, answer)
            self.assertEqual(len(answer.json["loaded"]), 2)
            self.assertTrue(server.log_lines("load_thread_refused"))
            self.assertEqual(server.get("/infer?cpu_ms=0").status, 200)
            scarce.unlink()


class AdminPort(ServerCase):
    FLAGS = ("--fault-api", "--repository-api", "--admin-names", "admin.example.com")
    CHANGES = ("/v1/reload", "/v1/log-level", "/v1/faults", "/v2/repository/models/x/load",
               "/v2/repository/models/x/unload")

    def ask(self, request):
        with RawClient(self.server.admin_port) as client:
            return client.exchange(request)

    def test_no_web_page_may_change_anything(self):
        for path in self.CHANGES:
            for headers in (["Host: evil.example"], ["Host: evil.example:8000"], ["Host:"],
                            ["Host: localhost", "Origin: http://evil.example"],
                            ["Host: localhost", "Origin: null"],
                            ["Host: evil.example", "Origin: http://evil.example"],
                            ["Host: localhost:8000", "Origin: http://localhost"],
                            ["Host: localhost", "Sec-Fetch-Site: cross-site"],
                            ["Host: localhost", "Sec-Fetch-Site: same-site"]):
                answer = self.ask(admin_post(path, *headers))
                self.assertEqual((answer.status, answer.json["code"] if "code" in answer.json else None),
                                 (403, None if path.startswith("/v2") else "PERMISSION_DENIED"),
                                 (path, headers))
            for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
                answer = self.ask(admin_post(path, "Host: localhost", f"Content-Type: {kind}",
                                             body=b"{}"))
                self.assertEqual(answer.status, 415, (path, kind))
        self.assertEqual(self.server.log_lines("log_level_changed"), [])

    def test_tools_may(self):
        for host in ("127.0.0.1:8000", "localhost", "[::1]:8000", "podsense", "podsense.ns.svc",
                     "podsense.ns.svc.cluster.local:8000", "admin.example.com"):
            answer = self.ask(admin_post("/v1/log-level", f"Host: {host}",
                                         "Content-Type: application/json", body=b'{"level":"info"}'))
            self.assertEqual(answer.status, 200, host)
            self.assertEqual(self.ask(admin_post("/v1/reload", f"Host: {host}")).status, 200, host)
        same = self.ask(admin_post("/v1/reload", "Host: localhost:8000", "Origin: http://localhost:8000",
                                   "Sec-Fetch-Site: same-origin"))
        self.assertEqual(same.status, 200)

    def test_reading_is_free_for_monitors_whatever_they_call_it(self):
        for path in ("/livez", "/readyz", "/startupz", "/metrics", "/health", "/v1/models"):
            answer = self.ask(f"GET {path} HTTP/1.1\r\nHost: evil.example\r\n"
                              "Connection: close\r\n\r\n".encode())
            self.assertEqual(answer.status, 200, path)

    def test_probes_are_answered_while_all_places_are_taken(self):
        crowd = []
        try:
            for i in range(1300):  # more than the 1024 and those that are kept
                client = RawClient(self.server.admin_port)
                if i % 2:
                    client.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: ")
                crowd.append(client)
            for _ in range(5):
                for path in ("/livez", "/readyz", "/startupz", "/metrics"):
                    self.assertEqual(self.server.admin("GET", path).status, 200, path)
            # All else is refused in good order.
            answer = self.ask(admin_post("/v1/reload", "Host: x"))
            self.assertEqual((answer.status, answer.json["code"]), (503, "OVERLOADED"))
            self.assertGreaterEqual(int(answer.headers["retry-after"]), 1)
        finally:
            for client in crowd:
                client.socket.close()
        wait_until(lambda: self.server.admin("POST", "/v1/reload").status == 200, what="places again")


if __name__ == "__main__":
    unittest.main(verbosity=2)
