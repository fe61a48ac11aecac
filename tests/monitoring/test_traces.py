"""Traces of a real server at a receiver written from the specification: OTLP over HTTP, protobuf."""

import http.server
import threading
import unittest

import prometheus

harness = prometheus.harness
PARENT_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{PARENT_TRACE}-00f067aa0ba902b7-01"


def fields(message):
    """(number, value) of a protobuf message: varints and fixed64 as int, the rest as bytes.
    Wire format: protobuf.dev/programming-guides/encoding."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        key = varint()
        kind = key & 7
        if kind == 0:
            yield key >> 3, varint()
        elif kind == 1:
            yield key >> 3, int.from_bytes(message[at : at + 8], "little")
            at += 8
        elif kind == 2:
            size = varint()
            assert at + size <= len(message), "a field that is longer than its message"
            yield key >> 3, message[at : at + size]
            at += size
        else:
            raise AssertionError(f"wire type {kind}")


def attributes(pairs):
    found = {}
    for pair in pairs:
        entry = dict(fields(pair))
        ((number, value),) = fields(entry[2])
        found[entry[1].decode()] = value.decode() if number == 1 else value
    return found


def all_of(message, number):
    return [value for field, value in fields(message) if field == number]


class Span:
    """opentelemetry/proto/trace/v1/trace.proto, message Span."""

    def __init__(self, message, resource):
        one = dict(fields(message))
        self.resource = resource
        self.trace, self.id, self.parent = one[1].hex(), one[2].hex(), one.get(4, b"").hex()
        self.name, self.kind = one[5].decode(), one[6]
        self.begin, self.end = one[7], one[8]
        self.attributes = attributes(all_of(message, 9))
        self.failed = dict(fields(one.get(15, b""))).get(3) == 2


def spans_of(request):
    """ExportTraceServiceRequest → spans."""
    for resource_spans in all_of(request, 1):
        (resource,) = all_of(resource_spans, 1)
        for scope_spans in all_of(resource_spans, 2):
            for span in all_of(scope_spans, 2):
                yield Span(span, attributes(all_of(resource, 1)))


class Receiver:
    def __enter__(self):
        self.spans, self.problems = [], []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if (self.path, self.headers["Content-Type"]) != (
                    "/v1/traces",
                    "application/x-protobuf",
                ):
                    receiver.problems.append((self.path, dict(self.headers)))
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


class Traces(unittest.TestCase):
    def setUp(self):
        self.receiver = self.enterContext(Receiver())

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
        self.assertEqual(root.resource["service.name"], "podsense")
        self.assertFalse(root.failed)
        for part in parts:
            self.assertEqual(part.parent, root.id)
            self.assertLessEqual(root.begin, part.begin)
            self.assertLessEqual(part.begin, part.end)
            self.assertLessEqual(part.end, root.end)
        self.assertEqual(self.receiver.problems, [])

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


if __name__ == "__main__":
    unittest.main()
