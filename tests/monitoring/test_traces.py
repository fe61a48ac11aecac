"""Traces of a real server, at a receiver written from the specification (OTLP over HTTP, protobuf) and
at a real OpenTelemetry Collector, where scripts/otel-collector.sh has built one."""

import http.client
import http.server
import json
import socket
import subprocess
import tempfile
import threading
import unittest
import urllib.request
from pathlib import Path

import built
import prometheus
from wire import all_of, fields

harness = prometheus.harness
ROOT = Path(__file__).resolve().parents[2]
PARENT_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{PARENT_TRACE}-00f067aa0ba902b7-01"


def attributes(pairs):
    found = {}
    for pair in pairs:
        entry = dict(fields(pair))
        ((number, value),) = fields(entry[2])
        found[entry[1].decode()] = value.decode() if number == 1 else value
    return found


class Span:
    """opentelemetry/proto/trace/v1/trace.proto, message Span."""

    @classmethod
    def from_protobuf(cls, message, resource):
        span, one = cls(), dict(fields(message))
        span.resource = resource
        span.trace, span.id, span.parent = one[1].hex(), one[2].hex(), one.get(4, b"").hex()
        span.name, span.kind = one[5].decode(), one[6]
        span.begin, span.end = one[7], one[8]
        span.attributes = attributes(all_of(message, 9))
        span.failed = dict(fields(one.get(15, b""))).get(3) == 2
        return span

    @classmethod
    def from_json(cls, one, resource):
        span = cls()
        span.resource = resource
        span.trace, span.id, span.parent = one["traceId"], one["spanId"], one.get("parentSpanId", "")
        span.name, span.kind = one["name"], one["kind"]
        span.begin, span.end = int(one["startTimeUnixNano"]), int(one["endTimeUnixNano"])
        span.attributes = json_attributes(one.get("attributes", []))
        span.failed = one["status"].get("code") == 2
        return span


def json_attributes(pairs):
    found = {}
    for pair in pairs:
        ((kind, value),) = pair["value"].items()
        found[pair["key"]] = int(value) if kind == "intValue" else value
    return found


def spans_of(request):
    """ExportTraceServiceRequest → spans."""
    for resource_spans in all_of(request, 1):
        (resource,) = all_of(resource_spans, 1)
        for scope_spans in all_of(resource_spans, 2):
            for span in all_of(scope_spans, 2):
                yield Span.from_protobuf(span, attributes(all_of(resource, 1)))


def spans_of_json(request):
    for resource_spans in request["resourceSpans"]:
        resource = json_attributes(resource_spans["resource"]["attributes"])
        for scope_spans in resource_spans["scopeSpans"]:
            for span in scope_spans["spans"]:
                yield Span.from_json(span, resource)


class Receiver:
    """Takes OTLP, as protobuf or as JSON."""

    def __init__(self, content_type="application/x-protobuf"):
        self.content_type = content_type
        self.spans, self.problems = [], []

    def __enter__(self):
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if (self.path, self.headers["Content-Type"]) != (
                    "/v1/traces",
                    receiver.content_type,
                ):
                    receiver.problems.append((self.path, dict(self.headers)))
                if receiver.content_type == "application/json":
                    receiver.spans.extend(spans_of_json(json.loads(body)))
                else:
                    receiver.spans.extend(spans_of(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def trace(self, wanted):
        """The spans for which `wanted` is true of their root, once there are any."""

        def found():
            roots = [span for span in self.spans if span.kind == 2 and wanted(span)]
            return roots and [span for span in self.spans if span.trace == roots[0].trace]

        return harness.wait_until(found, what="a trace")


class Collector(Receiver):
    """A real one in front: what it has understood is what arrives here."""

    def __init__(self, binary):
        super().__init__("application/json")
        self.binary = binary

    def __enter__(self):
        super().__enter__()
        self.folder = tempfile.TemporaryDirectory(prefix="podsense-collector-")
        port = prometheus.free_port()
        config = {
            "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{port}"}}}},
            "exporters": {
                "otlp_http": {
                    "endpoint": self.url,
                    "encoding": "json",
                    "compression": "none",
                    "sending_queue": {"enabled": False},
                }
            },
            "service": {
                "telemetry": {"metrics": {"level": "none"}},
                "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["otlp_http"]}},
            },
        }
        file = Path(self.folder.name) / "config.yaml"
        file.write_text(json.dumps(config))
        self.log = open(Path(self.folder.name) / "log", "w+")
        self.process = subprocess.Popen(
            [self.binary, "--config", file], stdout=self.log, stderr=subprocess.STDOUT
        )
        self.url = f"http://127.0.0.1:{port}"
        harness.wait_until(self.is_ready, what="the collector listens")
        return self

    def __exit__(self, *exception):
        self.process.terminate()
        self.process.wait(timeout=harness.LIMIT)
        self.log.close()
        self.folder.cleanup()
        super().__exit__(*exception)

    def is_ready(self):
        if self.process.poll() is not None:
            self.log.seek(0)
            raise AssertionError("the collector ended: " + self.log.read()[-2000:])
        empty = urllib.request.Request(
            self.url + "/v1/traces", b"", {"Content-Type": "application/x-protobuf"}
        )
        try:
            with urllib.request.urlopen(empty, timeout=5):
                return True
        except OSError:
            return False


class Traces(unittest.TestCase):
    def make_receiver(self):
        return Receiver()

    def setUp(self):
        self.receiver = self.enterContext(self.make_receiver())

    def serve(self, ratio, *flags):
        endpoint = f"--otlp-endpoint={self.receiver.url}"
        server = harness.Server(endpoint, f"--trace-ratio={ratio}", *flags)
        return self.enterContext(server)

    def test_a_sampled_request_arrives_with_its_parts_in_order(self):
        server = self.serve(0)
        image = harness.photo()
        headers = {"Content-Type": "image/jpeg", "traceparent": PARENT, "X-Request-Id": "r-1"}
        answer = server.request("POST", "/predict", image, headers)
        self.assertEqual(answer.status, 200)
        spans = self.receiver.trace(lambda span: span.trace == PARENT_TRACE)
        root = next(span for span in spans if span.kind == 2)
        parts = sorted((span for span in spans if span is not root), key=lambda span: span.begin)
        self.assertEqual([part.name for part in parts],
                         ["receive", "queue", "decode", "compute", "reply"])
        self.assertEqual(root.name, "POST /predict")
        self.assertEqual(root.parent, "00f067aa0ba902b7")
        self.assertEqual(answer.headers["traceparent"], f"00-{PARENT_TRACE}-{root.id}-01")
        self.assertEqual(root.attributes["podsense.request_id"], "r-1")
        self.assertEqual(root.attributes["http.response.status_code"], 200)
        self.assertEqual(root.attributes["podsense.model.name"], answer.json["model"])
        self.assertEqual(root.attributes["podsense.model.version"], answer.json["version"])
        self.assertEqual(root.resource["service.name"], "podsense")
        self.assertFalse(root.failed)
        for part in parts:
            self.assertEqual(part.parent, root.id)
            self.assertLessEqual(root.begin, part.begin)
            self.assertLessEqual(part.begin, part.end)
            self.assertLessEqual(part.end, root.end)
        self.assertEqual(self.receiver.problems, [])

    def test_a_fetched_picture_has_a_part_of_its_own(self):
        with harness.Origin({"/x.jpg": (200, {}, harness.photo())}) as origin:
            server = self.serve(1, *origin.flags)
            answer = server.post_json("/predict/url", {"url": origin.url("/x.jpg")})
            self.assertEqual(answer.status, 200)
            spans = self.receiver.trace(lambda span: span.name == "POST /predict/url")
        parts = sorted((span for span in spans if span.kind != 2), key=lambda span: span.begin)
        self.assertEqual([part.name for part in parts],
                         ["receive", "fetch", "queue", "decode", "compute", "reply"])
        self.assertEqual(len({span.id for span in spans}), len(spans))
        (fetch,) = [part for part in parts if part.name == "fetch"]
        self.assertEqual(fetch.kind, 3)  # CLIENT

    def test_a_failure_is_traced_whatever_the_ratio_and_a_success_is_not(self):
        server = self.serve(0, "--request-timeout=50ms")
        for _ in range(5):
            server.post_json("/infer", {"cpu_ms": 1})
        answer = server.post_json("/infer", {"cpu_ms": 5000})
        self.assertGreaterEqual(answer.status, 500)
        spans = self.receiver.trace(lambda span: span.failed)
        root = next(span for span in spans if span.kind == 2)
        self.assertEqual(root.attributes["error.type"], answer.json["code"])
        self.assertEqual({span.trace for span in self.receiver.spans}, {root.trace})

    def test_a_trace_names_the_model_that_was_reached_whatever_became_of_it(self):
        server = self.serve(1, "--request-timeout=50ms")
        for request, body, model in (("refused", {"features": [0.5]}, "random-forest"),
                                     ("unknown", {"features": [0.5] * 20, "model": "none"}, None),
                                     ("late", {"cpu_ms": 5000}, "simulated")):
            with self.subTest(request=request):
                path = "/infer" if request == "late" else "/predict-single"
                answer = server.post_json(path, body, {"X-Request-Id": request})
                self.assertGreaterEqual(answer.status, 400)
                spans = self.receiver.trace(
                    lambda span, wanted=request: span.attributes["podsense.request_id"] == wanted)
                root = next(span for span in spans if span.kind == 2)
                self.assertEqual(root.attributes.get("podsense.model.name"), model)

    def test_who_calls_decides_before_the_ratio_does(self):
        server = self.serve(1)
        unsampled = {"traceparent": PARENT[:-2] + "00"}
        self.assertEqual(server.post_json("/infer", {"cpu_ms": 1}, unsampled).status, 200)
        server.post_json("/infer", {"cpu_ms": 1}, {"X-Request-Id": "last"})
        self.receiver.trace(lambda span: span.attributes["podsense.request_id"] == "last")
        self.assertNotIn(PARENT_TRACE, {span.trace for span in self.receiver.spans})

    def test_probes_make_no_traces_and_spans_are_counted(self):
        server = self.serve(1)
        server.get("/livez")
        server.post_json("/infer", {"cpu_ms": 1})
        self.receiver.trace(lambda span: span.name == "POST /infer")
        self.assertNotIn("GET /livez", {span.name for span in self.receiver.spans})
        harness.wait_until(lambda: server.metric("podsense_spans_total", result="exported"),
                           what="the count of exported spans")

    def test_without_an_endpoint_a_callers_trace_is_still_continued(self):
        with harness.Server() as server:
            answer = server.request("GET", "/infer", None, {"traceparent": PARENT})
            self.assertTrue(answer.headers["traceparent"].startswith(f"00-{PARENT_TRACE}-"))
            self.assertEqual(self.receiver.spans, [])


class TracesAtTheCollector(Traces):
    @classmethod
    def setUpClass(cls):
        cls.binary = built.find("otel-collector.sh", "PODSENSE_TEST_COLLECTOR", "test-collector")

    def make_receiver(self):
        return Collector(self.binary)


class Exporting(unittest.TestCase):
    """Collectors that fail: serving goes on."""

    def test_a_collector_that_is_not_there_costs_spans_and_no_request(self):
        nobody = f"--otlp-endpoint=http://127.0.0.1:{prometheus.free_port()}"
        with harness.Server(nobody, "--trace-ratio=1") as server:
            for _ in range(20):
                self.assertEqual(server.post_json("/infer", {"cpu_ms": 1}).status, 200)
            harness.wait_until(lambda: server.metric("podsense_trace_export_retries_total") >= 2,
                               what="a second and a third try")
            self.assertEqual(server.metric("podsense_spans_total", result="exported"), 0)
            # The change is logged, not each failure.
            self.assertEqual(len(server.log_lines("trace_export_failed")), 1)

    def test_a_collector_that_never_answers_fills_a_bounded_queue(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            endpoint = f"--otlp-endpoint=http://127.0.0.1:{silent.getsockname()[1]}"
            with harness.Server(endpoint, "--trace-ratio=1", "--access-log=off") as server:
                row = json.dumps({"features": [0.5] * 20})
                client = http.client.HTTPConnection("127.0.0.1", server.http_port)
                sent = 0
                while not server.metric("podsense_spans_total", result="dropped"):
                    for _ in range(500):
                        client.request("POST", "/predict-single", row,
                                       {"Content-Type": "application/json"})
                        answer = client.getresponse()
                        answer.read()
                        self.assertEqual(answer.status, 200)
                    sent += 500
                    self.assertLess(sent, 50_000, "nothing is dropped")
                client.close()
                # What is given up with the connection ends the wait for the collector at the exit.


if __name__ == "__main__":
    unittest.main()
