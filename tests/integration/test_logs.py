"""Logs never hold a thread: a reader that stops reading costs lines, not answers."""

import fcntl
import json
import os
import signal
import subprocess
import tempfile
import unittest
from pathlib import Path

from harness import BINARY, LIMIT, MODELS, RawClient, Server, clean_environment, get, wait_until


class Blocked:
    """A server whose log goes into a pipe that is read only when a test says so."""

    def __init__(self, *flags):
        self.flags = flags

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        ports = Path(self.folder.name) / "ports"
        self.reader, writer = os.pipe()
        fcntl.fcntl(self.reader, 1031, 4096)  # F_SETPIPE_SZ: as small as it gets
        self.process = subprocess.Popen(
            [BINARY, "serve", "--models", MODELS, "--host", "127.0.0.1", "--admin-host", "127.0.0.1",
             "--http-port", "0", "--grpc-port", "0", "--admin-port", "0", "--ports-file", ports,
             "--access-log", "all", "--drain-delay", "0s", *self.flags],
            stdout=writer, stderr=subprocess.DEVNULL, env=clean_environment())
        os.close(writer)
        wait_until(ports.exists, what="the ports file")
        self.ports = json.loads(ports.read_text())
        wait_until(lambda: self.ask("/readyz") == 200, what="readyz")
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.reader >= 0:
            os.close(self.reader)
        self.folder.cleanup()

    def ask(self, path, port="admin"):
        with RawClient(self.ports[port]) as client:
            return client.exchange(get(path)).status

    def dropped(self):
        with RawClient(self.ports["admin"]) as client:
            for line in client.exchange(get("/metrics")).text.splitlines():
                if line.startswith("podsense_log_dropped_total "):
                    return float(line.split()[1])
        raise AssertionError("no podsense_log_dropped_total")


class Logs(unittest.TestCase):
    def flood(self, server):
        """Requests until lines are dropped: each is answered."""
        path = "/nope" + "x" * 900
        with RawClient(server.ports["http"]) as client:
            for _ in range(8000):
                self.assertEqual(client.exchange(get(path)).status, 404)
        self.assertGreater(server.dropped(), 0)

    def test_when_nobody_reads_serving_and_sigterm_are_as_ever(self):
        with Blocked() as server:
            self.flood(server)
            for path in ("/livez", "/readyz", "/metrics"):
                self.assertEqual(server.ask(path), 200)
            self.assertEqual(server.ask("/infer?cpu_ms=1", "http"), 200)
            server.process.send_signal(signal.SIGTERM)
            self.assertEqual(server.process.wait(LIMIT), 0)

    def test_when_it_is_read_again_one_line_says_what_was_lost(self):
        with Blocked() as server:
            self.flood(server)
            dropped = server.dropped()
            text = b""
            while b'"event":"log_lines_dropped"' not in text or not text.endswith(b"\n"):
                text += os.read(server.reader, 65536)
            lines = [json.loads(line) for line in text.splitlines() if b"log_lines_dropped" in line]
            self.assertEqual([(line["level"], line["count"]) for line in lines], [("warning", dropped)])
            server.process.send_signal(signal.SIGTERM)
            while os.read(server.reader, 65536):
                pass
            self.assertEqual(server.process.wait(LIMIT), 0)

    def test_when_the_reader_is_gone_it_goes_on(self):
        with Blocked() as server:
            os.close(server.reader)
            server.reader = -1
            for _ in range(100):
                self.assertEqual(server.ask("/nope", "http"), 404)
            self.assertEqual(server.ask("/readyz"), 200)
            server.process.send_signal(signal.SIGTERM)
            self.assertEqual(server.process.wait(LIMIT), 0)

    def test_what_clients_send_is_escaped_in_every_format(self):
        for form in ("json", "text"):
            with Server("--log-format", form) as server, server.raw() as client:
                path = "/a%1b[31m|level=error"
                self.assertEqual(client.exchange(get(path)).status, 404)
                wait_until(lambda s=server: "level=error" in s.log_text(), what="the line")
                line = next(x for x in server.log_text().splitlines() if "level=error" in x)
                self.assertNotIn("\x1b", line)
                self.assertIn('"' + path + '"', line)

    def test_failures_of_one_kind_are_summed_up(self):
        with Server("--access-log", "sampled") as server, server.raw() as client:
            for _ in range(300):
                self.assertEqual(client.exchange(get("/nope")).status, 404)
            self.assertEqual(client.exchange(get("/predict")).status, 405)

            def summed_up():
                lines = server.log_lines("requests_not_logged")
                told = sum(line["count"] for line in lines if line.get("status") == 404)
                written = [x for x in server.log_lines("request") if x["status"] == 404]
                return told + len(written) == 300 and told > 0 and len(written) < 300
            wait_until(summed_up, what="all of them, told or counted")
            self.assertEqual(len([x for x in server.log_lines("request") if x["status"] == 405]), 1)

    def lines_of(self, form, event_key, event):
        with Server("--log-format", form) as server:
            self.assertEqual(server.get("/nope").status, 404)

            def found():
                return [line for line in server.log_lines() if line[event_key] == event and "/nope" in line["message"]]
            return wait_until(found, what=event)

    def test_google_clouds_form(self):
        (line,) = self.lines_of("gcp", "event", "request")[-1:]
        self.assertEqual((line["severity"], line["message"]), ("INFO", "request GET /nope 404"))
        asked = line["httpRequest"]
        self.assertEqual((asked["requestMethod"], asked["requestUrl"], asked["status"], asked["remoteIp"]),
                         ("GET", "/nope", 404, "127.0.0.1"))
        self.assertRegex(asked["latency"], r"^\d+\.\d+s$")

    def test_the_elastic_common_schema(self):
        (line,) = self.lines_of("ecs", "event.action", "request")[-1:]
        self.assertEqual(list(line)[:4], ["@timestamp", "log.level", "message", "ecs.version"])
        self.assertEqual((line["http.request.method"], line["url.path"], line["http.response.status_code"]),
                         ("GET", "/nope", 404))
        self.assertIsInstance(line["event.duration"], int)

    def test_secrets_of_urls_are_never_shown(self):
        endpoint = "http://me:hunter2@127.0.0.1:1/?sig=hunter3"
        shown = subprocess.run([BINARY, "serve", "--print-config", "--otlp-endpoint", endpoint], check=True,
                               capture_output=True, text=True, env=clean_environment()).stdout
        self.assertIn("http://***@127.0.0.1:1/?sig=***", shown)
        refused = subprocess.run([BINARY, "serve", "--models", MODELS, "--http-port", "0", "--grpc-port", "0", "--admin-port", "0",
                                  "--otlp-endpoint", "me:hunter2@collector"],
                                 capture_output=True, text=True, env=clean_environment())
        self.assertNotEqual(refused.returncode, 0)
        for text in (shown, refused.stdout, refused.stderr):
            self.assertNotIn("hunter", text)


if __name__ == "__main__":
    unittest.main(verbosity=2)
