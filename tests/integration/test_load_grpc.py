"""`podsense load --grpc` against the real server, and against a double with known latencies."""

import json
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

from harness import LIMIT, TESTDATA, ServerCase, wait_until
from load_double import Double
from load_venv import schema_faults, venv
from test_load import FEATURES, Run, Running

INFER = "/podsense.v1.InferenceService/Infer"


class GrpcDouble:
    """See grpc_double.py; `log` is there after the block."""

    def __init__(self, **options):
        self.options = options
        self.log = None

    def __enter__(self):
        self.process = subprocess.Popen(
            [venv() / "bin/python", Path(__file__).with_name("grpc_double.py"),
             json.dumps(self.options)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())
        self.host = f"127.0.0.1:{self.port}"
        return self

    def __exit__(self, *_):
        out, _ = self.process.communicate(timeout=LIMIT)
        self.log = json.loads(out)


class RealServer(ServerCase):
    def setUp(self):
        self.host = f"grpc://127.0.0.1:{self.server.grpc_port}"

    def ok(self, run, count, method):
        self.assertEqual(run.code, 0, run)
        self.assertEqual((run.counts["ok"], run.counts["failed"]), (count, 0), run)
        self.assertEqual(run.report["status"]["OK"]["count"], count)
        self.assertEqual(run.report["target"], {"url": self.host, "method": method,
                                                "protocol": "grpc"})
        for phase in ("latency", "service_latency", "first_byte", "send_lag"):
            self.assertEqual(run.report[phase]["count"], count, phase)
        self.assertGreater(run.report["bytes_received"], 0)
        self.assertEqual(schema_faults(run.report), "")
        return run

    def served(self, model):
        return self.server.metric("podsense_requests_total", model=model, protocol="grpc", code="OK")

    def test_rows_and_pictures_go_to_infer(self):
        before = self.served("random-forest")
        for rate in (["--qps", 50, "--seconds", "400ms"], ["-n", 20, "-c", 4]):
            self.ok(Run("--host", self.host, "--features", FEATURES, *rate), 20, INFER[1:])
        self.assertEqual(self.served("random-forest") - before, 40)
        run = Run("--host", self.host, "--image", TESTDATA / "jpeg_420.jpg", "--model",
                  "efficientnet-lite0", "-n", 4, "-c", 2)
        self.ok(run, 4, INFER[1:])

    def test_messages_as_json_follow_the_template(self):
        with tempfile.TemporaryDirectory() as folder:
            body = Path(folder) / "body.json"
            body.write_text('{"features": [{{random 0 1}}, {{counter}}' + ", 1" * 18 + "]}")
            self.ok(Run("--host", self.host, "--body-file", body, "-n", 6, "-c", 2), 6, INFER[1:])

    def test_open_inference_tensors_follow_the_metadata(self):
        run = Run("--host", self.host, "--oip", "binary", "--model", "random-forest", "--batch", 3,
                  "-n", 6, "-c", 2)
        self.ok(run, 6, "inference.GRPCInferenceService/ModelInfer")

    def test_what_the_server_refuses_is_counted_by_name(self):
        run = Run("--host", self.host, "--features", "1,2", "-n", 5, "-c", 1,
                  "--fail-if", "status_INVALID_ARGUMENT>4")
        self.assertEqual((run.code, run.report["status"]["INVALID_ARGUMENT"]["count"]), (3, 5), run)
        self.assertRegex(run.out, r"5 +INVALID_ARGUMENT +\w+")
        self.assertEqual(schema_faults(run.report), "")
        self.assertTrue(run.report["samples"]["INVALID_ARGUMENT"])

    def test_no_such_model(self):
        run = Run("--host", self.host, "--oip", "binary", "--model", "nothing", "-n", 1, "-c", 1)
        self.assertEqual((run.code, run.err.count("\n")), (1, 1), run)
        self.assertRegex(run.err, "metadata of 'nothing': NOT_FOUND")

    def test_merged_reports_are_the_sum(self):
        with tempfile.TemporaryDirectory() as folder:
            files = [Path(folder) / name for name in ("a.json", "b.json")]
            for file in files:
                file.write_text(Run("--host", self.host, "--features", FEATURES, "-n", 10,
                                    "-c", 2).text)
            merged = Run("merge", *files)
        self.assertEqual(merged.report["status"]["OK"]["count"], 20, merged)


class Known(unittest.TestCase):
    def run_against(self, double, *flags):
        return Run("--grpc", "--host", double.host, "--features", "1,2,3", *flags)

    def test_latency_is_what_the_server_took(self):
        with GrpcDouble(latency=0.05) as double:
            run = self.run_against(double, "--qps", 100, "--seconds", 1)
        self.assertEqual((run.code, run.counts["ok"]), (0, 100), run)
        self.assertGreaterEqual(run.report["latency"]["min"], 0.0499)
        truth = sorted(seen["took"] for seen in double.log)
        for percent, seen in run.report["service_latency"]["percentiles"].items():
            rank = max(0, round(float(percent[1:])) - 1)
            self.assertGreater(seen, truth[rank] * 0.998, percent)

    def test_a_stall_shows_in_an_open_loop(self):
        with GrpcDouble(latency=0.005, stall=[0.5, 1]) as double:
            run = self.run_against(double, "--qps", 100, "--seconds", 2)
        self.assertEqual(run.counts["ok"], 200, run)
        self.assertGreaterEqual(run.report["latency"]["percentiles"]["p90"], 0.5, run)
        self.assertGreaterEqual(run.report["latency"]["max"], 0.9, run)

    def test_each_connection_is_one(self):
        with GrpcDouble(latency=0.02) as double:
            run = self.run_against(double, "-n", 60, "-c", 6)
        self.assertEqual(run.counts["ok"], 60, run)
        self.assertEqual(len({seen["peer"] for seen in double.log}), 6)
        self.assertEqual(run.report["connections_opened"], 6)
        with GrpcDouble(latency=0.02) as double:
            run = self.run_against(double, "-n", 60, "-c", 6, "--streams", 3)
        self.assertEqual(len({seen["peer"] for seen in double.log}), 2)
        self.assertEqual(run.counts["ok"], 60, run)

    def test_what_cannot_be_sent_is_dropped_and_said_first(self):
        with GrpcDouble(latency=0.5) as double:
            run = self.run_against(double, "--qps", 50, "--seconds", 1, "--max-connections", 2,
                                   "--streams", 2)
        counts = run.counts
        self.assertGreater(counts["dropped"], 0)
        self.assertEqual(counts["sent"] + counts["dropped"], 50)
        self.assertEqual(len(double.log), counts["sent"])
        self.assertRegex(run.out, r"^RATE NOT APPLIED")

    def test_the_deadline_is_the_calls(self):
        with GrpcDouble(latency=30) as double:
            run = self.run_against(double, "-n", 3, "-c", 3, "-t", "300ms")
        self.assertEqual((run.code, run.report["errors"]), (1, {"timeout": 3}), run)
        for seen in double.log:
            self.assertLess(seen["deadline"], 0.31)  # the wire rounds up
            self.assertGreater(seen["deadline"], 0)

    def test_headers_become_metadata(self):
        with GrpcDouble() as double:
            self.run_against(double, "-n", 1, "-c", 1, "-H", "X-Team: blue", "-a", "me:secret",
                             "-H", "Host: models.example")
        metadata = double.log[0]["metadata"]
        self.assertEqual((metadata["x-team"], metadata["authorization"]),
                         ("blue", "Basic bWU6c2VjcmV0"))
        self.assertIn("podsense-load", metadata["user-agent"])

    def test_a_status_is_no_broken_connection(self):
        with GrpcDouble(status="UNAVAILABLE") as double:
            run = self.run_against(double, "-n", 4, "-c", 1)
        self.assertEqual(run.report["status"]["UNAVAILABLE"]["count"], 4, run)
        self.assertEqual(run.report["errors"], {})
        self.assertEqual(len(double.log), 4, "nothing is sent twice")

    def test_an_interrupt_reports_what_was_measured(self):
        with GrpcDouble(latency=0.2) as double, tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "r.json"
            with Running("--grpc", "--host", double.host, "--features", "1", "--qps", 50, "--json",
                         path) as running:
                wait_until(lambda: (running.ok() or 0) > 20)
                out = running.interrupt()
            report = json.loads(path.read_text())
        counts = report["requests"]
        self.assertEqual(out.split(":")[0], "INTERRUPTED")
        self.assertEqual((counts["failed"], counts["planned"]), (0, counts["ok"] + counts["canceled"]))
        self.assertGreater(counts["canceled"], 0)

    def test_tls(self):
        with tempfile.TemporaryDirectory() as folder:
            key, certificate = Path(folder) / "key.pem", Path(folder) / "cert.pem"
            subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                            "-keyout", key, "-out", certificate, "-subj", "/CN=127.0.0.1",
                            "-addext", "subjectAltName=IP:127.0.0.1"], check=True,
                           capture_output=True)
            with GrpcDouble(key=str(key), certificate=str(certificate)) as double:
                refused = self.run_against(double, "--tls", "-n", 1, "-c", 1)
                self.assertEqual((refused.code, refused.err.count("\n")), (1, 1), refused)
                self.assertIn("certificate is refused", refused.err)
                for flags in (["--cacert", certificate], ["--insecure"]):
                    run = self.run_against(double, "--tls", "-n", 20, "-c", 2, *flags)
                    self.assertEqual((run.code, run.counts["ok"]), (0, 20), run)
                    self.assertEqual(run.report["target"]["url"], f"grpcs://{double.host}")
                plain = self.run_against(double, "-n", 1, "-c", 1, "-t", "2s")
                self.assertEqual((plain.code, plain.err.count("\n")), (1, 1), plain)

    def one_line(self, run, code, pattern):
        self.assertEqual((run.code, run.out, run.err.count("\n")), (code, "", 1), run)
        self.assertRegex(run.err, pattern)

    def test_what_is_no_grpc_server(self):
        self.one_line(Run("grpc://127.0.0.1:1", "--features", "1", "-n", 1, "-c", 1), 1,
                      "cannot connect to grpc://127.0.0.1:1: Connection refused")
        with Double() as double:
            run = Run("--grpc", double.url, "--features", "1", "-n", 1, "-c", 1, "-t", "2s")
        self.one_line(run, 1, "speaks no gRPC|speaks HTTP/1, no gRPC|time limit")

    def test_bad_flags(self):
        for flags, pattern in (
                (("grpc://127.0.0.1/path", "--features", "1"), "gRPC has no path"),
                (("grpc://127.0.0.1",), "--grpc needs a message"),
                (("grpc://127.0.0.1", "--features", "1", "-m", "PUT"), "-m: these are for HTTP"),
                (("grpc://127.0.0.1", "--oip", "json", "--model", "m"), "say --oip binary"),
                (("grpc://127.0.0.1", "--oip", "binary"), "--oip needs --model"),
                (("grpc://127.0.0.1", "-d", "{"), "no podsense.v1.InferRequest as JSON"),
                (("grpc://127.0.0.1", "-d", '{"row": [1]}'), "row"),
                (("grpc://127.0.0.1", "--features", "1", "-H", "grpc-x: 1"), "cannot be sent"),
                (("http://127.0.0.1/", "--streams", 2), "--streams belongs to --http2 or --grpc"),
                (("grpc://192.0.2.1", "--features", "1"), "--i-may-load-this-host")):
            self.one_line(Run(*flags, "-n", 1), 2, re.escape(pattern))


if __name__ == "__main__":
    unittest.main()
