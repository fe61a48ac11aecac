"""Traces to a collector: over TLS with credentials, to one that refuses for a while, and to one that hangs."""

import http.server
import socket
import ssl
import tempfile
import threading
import time
import unittest

from certificates import Authority
from harness import Server, wait_until


class Collector:
    """Answers POSTs with the given answers, then with 200, and keeps their paths and headers."""

    def __init__(self, answers=(), context=None):
        self.answers = list(answers)
        self.seen = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                outer.seen.append((self.path, dict(self.headers)))
                status, headers = outer.answers.pop(0) if outer.answers else (200, {})
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Tracing(unittest.TestCase):
    def collector(self, *arguments, **options):
        collector = Collector(*arguments, **options)
        self.addCleanup(collector.close)
        return collector

    def test_tls_headers_and_certificate_by_opentelemetrys_variables(self):
        with tempfile.TemporaryDirectory() as folder:
            authority = Authority(folder, "ca")
            certificate, key = authority.issue("collector")
            own, own_key = authority.issue("podsense")
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            context.load_verify_locations(authority.certificate)
            context.verify_mode = ssl.CERT_REQUIRED
            collector = self.collector(context=context)
            variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"https://localhost:{collector.port}",
                         "OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Bearer%20hunter2",
                         "OTEL_EXPORTER_OTLP_CERTIFICATE": str(authority.certificate),
                         "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": str(own),
                         "OTEL_EXPORTER_OTLP_CLIENT_KEY": str(own_key),
                         "OTEL_TRACES_SAMPLER": "always_on"}
            with Server(env=variables) as server:
                self.assertEqual(server.post_json("/infer", {"cpu_ms": 1}).status, 200)
                wait_until(lambda: server.metric("podsense_spans_total", result="exported") > 0, what="an export")
                self.assertNotIn("hunter2", server.log_text())
            path, headers = collector.seen[0]
            self.assertEqual((path, headers["Authorization"]), ("/v1/traces", "Bearer hunter2"))
            self.assertTrue(headers["User-Agent"].startswith("podsense/"))

    def test_a_collector_that_refuses_for_a_while_loses_nothing(self):
        collector = self.collector([(503, {"Retry-After": "1"}), (429, {})])
        flags = (f"--otlp-endpoint=http://127.0.0.1:{collector.port}", "--trace-ratio=1")
        with Server(*flags) as server:
            self.assertEqual(server.post_json("/infer", {"cpu_ms": 1}).status, 200)
            wait_until(lambda: server.metric("podsense_spans_total", result="exported") > 0, what="an export")
            self.assertEqual(server.metric("podsense_spans_total", result="failed"), 0)
            self.assertEqual(server.metric("podsense_trace_export_retries_total"), 2)
            (failed,) = server.log_lines("trace_export_failed")
            self.assertEqual((failed["status"], failed["again"]), (503, "yes"))

    def test_a_collector_that_hangs_does_not_hold_the_end(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            flags = (f"--otlp-endpoint=http://127.0.0.1:{silent.getsockname()[1]}", "--trace-ratio=1",
                     "--otlp-timeout=1m")
            with Server(*flags) as server:
                self.assertEqual(server.post_json("/infer", {"cpu_ms": 1}).status, 200)
                taken, _ = silent.accept()
                with taken:
                    server.signal(15)
                    wait_until(lambda: server.log_lines("shutdown_ended"), what="the end of the drain")
                    begun = time.monotonic()
                    self.assertEqual(server.wait_exit(), 0)
                    self.assertLess(time.monotonic() - begun, 5)  # 0.5 s, and what a busy machine adds


if __name__ == "__main__":
    unittest.main(verbosity=2)
