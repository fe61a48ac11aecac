"""Logs and /metrics as tools read them: fixed keys, sampling, a level that changes, OpenMetrics."""

import json
import re
import struct
import subprocess
import unittest

import panels
from prometheus import harness
from wire import all_of, fields

ALLOY = (panels.ROOT / "monitoring/alloy/config.alloy").read_text()
KEYS = {"ts", "level", "event", "message", "request_id", "server", "peer", "method", "path", "status", "code",
        "bytes_in", "bytes_out", "total_ms"}  # fmt: skip


def zigzag(value):
    return (value >> 1) ^ -(value & 1)


def varints(packed):
    while packed:
        size = next(at for at, byte in enumerate(packed) if byte < 0x80) + 1
        yield sum((byte & 0x7F) << (7 * at) for at, byte in enumerate(packed[:size]))
        packed = packed[size:]


def metric_families(body):
    """Delimited messages io.prometheus.client.MetricFamily, as metrics.proto numbers them: (fields,
    [(labels, histogram or None)])."""
    while body:
        size = next(varints(body))
        start = next(at for at, byte in enumerate(body) if byte < 0x80) + 1
        message, body = body[start : start + size], body[start + size :]
        metrics = []
        for metric in all_of(message, 4):
            labels = {pair[1].decode(): pair[2].decode() for pair in map(dict, map(fields, all_of(metric, 1)))}
            found = all_of(metric, 7)
            metrics.append((labels, histogram(found[0]) if found else None))
        yield dict(fields(message)), metrics


def histogram(message):
    def real(bits):
        return struct.unpack("<d", bits.to_bytes(8, "little"))[0]

    one = dict(fields(message))
    buckets = [dict(fields(bucket)) for bucket in all_of(message, 3)]
    found = {"count": one[1], "fixed": [(bucket[1], real(bucket[2])) for bucket in buckets]}
    if 5 in one:
        found |= {"schema": zigzag(one[5]), "zero_threshold": real(one[6]), "zero_count": one[7]}
        deltas, index, count, found["native"] = varints(one.get(13, b"")), 0, 0, {}
        for span in map(dict, map(fields, all_of(message, 12))):
            index += zigzag(span[1])
            for _ in range(span[2]):
                count += zigzag(next(deltas))
                found["native"][index] = count
                index += 1
    return found


class Logs(unittest.TestCase):
    def serve(self, *flags):
        return self.enterContext(harness.Server(*flags))

    def requests(self, server):
        return server.log_lines("request")

    def level(self, server, body):
        return server.request("POST", "/v1/log-level", body, {"Content-Type": "application/json"},
                              port=server.admin_port)

    def test_a_request_has_fixed_keys_and_no_query(self):
        server = self.serve("--access-log=all")
        server.request("POST", "/predict?token=secret", b"no image", {"Content-Type": "image/png"})
        harness.wait_until(lambda: any(one["path"] == "/predict" for one in self.requests(server)),
                           what="the line")
        (line,) = [one for one in self.requests(server) if one["path"] == "/predict"]
        self.assertEqual(set(line) - {"detail", "trace_id"}, KEYS)
        self.assertEqual(line["path"], "/predict")
        self.assertNotIn("secret", server.log_text())

    def test_alloy_reads_keys_that_there_are(self):
        block = re.search(r"stage.json \{(.*?)\n    \}", ALLOY, re.DOTALL).group(1)
        names = set(re.findall(r"^ +(\w+) += \"\"", block, re.MULTILINE))
        self.assertEqual(names - KEYS - {"trace_id", "model"}, set())
        self.assertLessEqual({"level", "event", "code"}, names)

    def test_successes_are_sampled_and_failures_never(self):
        server = self.serve("--access-log-rate=0", "--access-log=sampled")
        for _ in range(5):
            self.assertEqual(server.post_json("/infer", {"cpu_ms": 1}).status, 200)
            server.post_json("/infer", {"cpu_ms": "much"})
        harness.wait_until(lambda: len(self.requests(server)) >= 5, what="five failures")
        self.assertEqual({line["code"] for line in self.requests(server)}, {"INVALID_ARGUMENT"})
        harness.wait_until(lambda: server.log_lines("requests_not_logged"), what="the count")

    def test_the_level_changes_while_it_runs(self):
        server = self.serve("--access-log=all", "--log-level=error")
        with server.raw() as client:  # a second answer on a connection: the first one's line is past
            client.exchange(harness.post("/infer", b'{"cpu_ms":1}', [("Content-Type", "application/json")]))
            client.exchange(harness.get("/health"))
        answer = self.level(server, b'{"level":"info"}')
        self.assertEqual((answer.status, answer.json), (200, {"level": "info"}))
        server.post_json("/infer", {"cpu_ms": 2})
        def lines():  # the change of the level may have one, too
            return [line for line in self.requests(server) if line["path"] == "/infer"]

        harness.wait_until(lines, what="a line")
        self.assertEqual(len(lines()), 1)
        self.assertEqual(server.admin("GET", "/v1/log-level").json, {"level": "info"})
        (change,) = server.log_lines("log_level_changed")
        self.assertEqual((change["from"], change["to"]), ("error", "info"))

    def test_a_level_that_is_none_changes_nothing(self):
        server = self.serve()
        for body in (b'{"level":"loud"}', b"{}", b"info", b'{"level":1}', b'{"level":"info","x":1}'):
            with self.subTest(body=body):
                answer = self.level(server, body)
                self.assertEqual(answer.status, 400)
                self.assertIn("debug", answer.json["error"])
        self.assertEqual(server.admin("GET", "/v1/log-level").json, {"level": "info"})
        self.assertEqual(server.request("POST", "/v1/log-level", b"{}").status, 404)


class Metrics(unittest.TestCase):
    def test_who_asks_for_openmetrics_gets_it(self):
        with harness.Server() as server:
            def ask(accept):
                return server.request("GET", "/metrics", None, {"Accept": accept},
                                      port=server.admin_port)

            new = ask("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5")
            self.assertIn("application/openmetrics-text", new.headers["content-type"])
            self.assertTrue(new.text.endswith("# EOF\n"))
            old = ask("*/*")
            self.assertIn("version=0.0.4", old.headers["content-type"])
            self.assertNotIn("# EOF", old.text)

    def test_protobuf_has_what_the_text_has_and_native_histograms(self):
        with harness.Server("--request-timeout=10s") as server:
            for cpu_ms in (1, 1, 30):
                self.assertEqual(server.post_json("/infer", {"cpu_ms": cpu_ms}).status, 200)
            harness.wait_until(
                lambda: server.metric("podsense_request_seconds_count", model="simulated") == 3,
                what="three requests")
            accept = ("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "
                      "encoding=delimited")
            answer = server.request("GET", "/metrics", None, {"Accept": accept},
                                    port=server.admin_port)
            self.assertEqual(answer.headers["content-type"], accept)
            text = server.admin("GET", "/metrics").text
        families = {fields[1].decode(): (fields, metrics)
                    for fields, metrics in metric_families(answer.body)}
        named = set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE))
        self.assertEqual(set(families), named)
        fields, metrics = families["podsense_request_seconds"]
        self.assertEqual(fields[3], 4)  # HISTOGRAM
        (histogram,) = [histogram for labels, histogram in metrics if labels["model"] == "simulated"]
        self.assertEqual(histogram["count"], 3)
        self.assertEqual(histogram["schema"], 3)
        self.assertEqual(histogram["zero_threshold"], 2.0**-24)
        self.assertEqual(sum(histogram["native"].values()) + histogram["zero_count"], 3)
        self.assertEqual(histogram["fixed"][-1], (3, float("inf")))
        # The slowest took 30 ms of CPU at least: bucket i ends at 2^(i/8) seconds.
        self.assertGreater(2 ** (max(histogram["native"]) / 8), 0.03)
        self.assertNotIn("schema", families["podsense_batch_size"][1][0][1])

    def test_the_reference_is_what_the_binary_writes(self):
        made = subprocess.run([harness.BINARY, "metrics-reference"], capture_output=True, text=True)
        self.assertEqual(made.returncode, 0, made.stderr)
        self.assertEqual((panels.ROOT / "docs/reference/metrics.md").read_text(), made.stdout)

    def test_top_shows_a_server_and_says_which_does_not_answer(self):
        with harness.Server() as server:
            server.post_json("/infer", {"cpu_ms": 1})
            shown = subprocess.run(
                [harness.BINARY, "top", f"127.0.0.1:{server.admin_port}", "127.0.0.1:1",
                 "--frames=1", "--interval=0.1"], capture_output=True, text=True,
                timeout=harness.LIMIT)  # fmt: skip
            self.assertEqual(shown.returncode, 0, shown.stderr)
            self.assertRegex(shown.stdout, rf"127.0.0.1:{server.admin_port} +yes ")
            self.assertRegex(shown.stdout, r"127.0.0.1:1 +cannot connect")
            self.assertIn("simulated", shown.stdout)

    def test_dashboards_name_no_metric_that_is_not_described(self):
        page = (panels.ROOT / "docs/reference/metrics.md").read_text()
        known = set(re.findall(r"^\| `(\w+)`", page, re.MULTILINE))
        for file in panels.DASHBOARDS:
            for where, query in panels.queries(json.loads(file.read_text())):
                for name in re.findall(r"\b(?:podsense|process)_\w+", query):
                    with self.subTest(dashboard=file.stem, panel=where):
                        self.assertIn(re.sub(r"_(bucket|sum|count)$", "", name)
                                      if name not in known else name, known)


if __name__ == "__main__":
    unittest.main()
