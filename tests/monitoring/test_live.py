"""Every query of every panel and rule, against a real Prometheus that scrapes a real PodSense under
load. Series of Kubernetes, cAdvisor, Envoy and ingress are recorded ones (recorded/)."""

import json
import re
import threading
import unittest

import panels
from prometheus import Exporter, Prometheus, harness

RULES = panels.ROOT / "monitoring/rules/podsense.rules.yaml"
POD = {"namespace": "podsense", "pod": "podsense-6c9f7d5b8-7k2xv", "service": "podsense"}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
# Things that stand still in this test, so that nothing but their absence of change is seen.
STANDS_STILL = {
    "annotation Scaled": "kube_deployment_spec_replicas",
    "annotation Reloaded": "podsense_model_reloads_total",
}


# Only where the container has a limit, and the pod a certificate.
MEMORY_LIMIT = "podsense_memory_limit_bytes"
NOT_EVERYWHERE = (MEMORY_LIMIT, "podsense_tls_certificate_expiry_timestamp_seconds")


class Load:
    """Requests of every kind until told to stop, some of them bad, more at once than the queue holds."""

    def __init__(self, server):
        self.server, self.stopping = server, threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(one,)) for one in self.kinds()]

    def kinds(self):
        def post(path, value):
            return lambda: self.server.post_json(path, value)

        image = harness.photo()
        infer = post("/infer", {"cpu_ms": 20})
        trace = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
        row = json.dumps({"features": [0.5] * 20}).encode()
        headers = {"Content-Type": "application/json", **trace}
        return [
            lambda: self.server.request("POST", "/predict-single", row, headers),
            lambda: self.server.post("/predict", image, "image/jpeg"),
            lambda: self.server.post("/predict", b"no image", "image/jpeg"),
            post("/predict/url", {"url": "http://127.0.0.1:9/x.jpg"}),
            *[infer] * 8,
        ]

    def run(self, send):
        while not self.stopping.is_set():
            send()

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()


class Live(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        flags = ["--max-queue-length=2", "--latency-objective=5ms", "--executors=1"]
        cls.server = cls.enterClassContext(harness.Server(*flags))
        exporter = cls.enterClassContext(Exporter())
        jobs = {name.stem: (exporter.port, f"/{name.stem}", {})
                for name in (panels.ROOT / "tests/monitoring/recorded").glob("*.prom")}
        jobs["edge"] = (*jobs["edge"][:2], {"namespace": "podsense"})
        jobs["podsense"] = (cls.server.admin_port, "/metrics", POD)
        cls.prometheus = cls.enterClassContext(Prometheus(jobs, [RULES]))
        cls.enterClassContext(Load(cls.server))

    def wait_for_value(self, query, what):
        return harness.wait_until(lambda: self.prometheus.values(query), what=what)

    def test_no_panel_is_empty(self):
        seen = 0
        for file in panels.DASHBOARDS:
            board = json.loads(file.read_text())
            for where, query in panels.queries(board, kind="prometheus"):
                with self.subTest(dashboard=file.stem, panel=where, query=query):
                    filled = panels.filled_in(board, query)
                    if any(name in filled and not self.prometheus.values(name) for name in NOT_EVERYWHERE):
                        self.prometheus.api("query", query=filled)
                        continue
                    if where in STANDS_STILL:
                        filled = STANDS_STILL[where]
                    self.wait_for_value(filled, f"a value of {filled}")
                    seen += 1
        self.assertGreater(seen, 80)

    def test_no_query_of_the_documentation_is_empty(self):
        seen = 0
        for page, query in panels.documented():
            if "_seconds[" in query:  # exponential buckets have a test of their own
                continue
            with self.subTest(page=page, query=query):
                self.wait_for_value(query, f"a value of {query}")
                seen += 1
        self.assertGreater(seen, 20)

    def test_every_recording_rule_has_a_value_and_every_alert_can_be_evaluated(self):
        self.wait_for_value("podsense_model:request_seconds:p99_5m", "a rule's value")
        rules = [rule for group in self.prometheus.api("rules")["groups"] for rule in group["rules"]]
        self.assertGreater(len(rules), 50)
        for rule in rules:
            with self.subTest(rule=rule["name"]):
                self.assertEqual(rule.get("lastError", ""), "")
                if rule["type"] == "recording" and rule["name"] != "podsense_instance:memory_used:ratio":
                    self.wait_for_value(rule["name"], rule["name"])

    def test_variables_of_dashboards_find_what_is_scraped(self):
        board = json.loads((panels.ROOT / "monitoring/dashboards/podsense-scaling.json").read_text())
        variables = {variable["name"]: variable for variable in board["templating"]["list"]}
        for name in ("namespace", "job", "workload"):
            definition = panels.filled_in(board, variables[name]["definition"])
            series, label = re.fullmatch(r"label_values\((.+), (\w+)\)", definition).groups()
            found = self.prometheus.api(f"label/{label}/values", **{"match[]": series})
            part = re.compile(variables[name]["regex"].strip("/") or "(.+)")
            self.assertEqual([part.fullmatch(value).group(1) for value in found], [panels.ALL], name)
        found = self.prometheus.api("label/model/values", **{"match[]": "podsense_model_info"})
        self.assertIn("random-forest", found)

    def test_refusals_errors_and_slow_requests_are_told_apart(self):
        for query in ('podsense_refused_total{reason="queue_length"} > 0',
                      'podsense_requests_total{code="OVERLOADED"} > 0',
                      'podsense_requests_total{code="UNSUPPORTED_MEDIA_TYPE"} > 0',
                      "podsense_slow_requests_total > 0",
                      "podsense_requests_waiting > 0 == on() sum(podsense_queue_depth)",
                      "podsense_requests_running > 0 == on() sum(podsense_in_flight)",
                      "podsense_saturation > 1"):
            self.wait_for_value(query, query)

    def test_exemplars_lead_from_a_histogram_to_a_trace(self):
        def exemplars():
            return self.prometheus.api(
                "query_exemplars",
                query='podsense_request_seconds_bucket{model="random-forest"}',
                start="2026-01-01T00:00:00Z",
                end="2126-01-01T00:00:00Z",
            )

        found = harness.wait_until(exemplars, what="an exemplar")
        self.assertEqual(found[0]["exemplars"][0]["labels"]["trace_id"], TRACE)

    def test_native_histograms_say_what_fixed_buckets_say_and_finer(self):
        query = "histogram_quantile(%s, sum by (%s) (podsense_request_seconds%s{model=\"simulated\"}))"
        jobs = {"podsense": (self.server.admin_port, "/metrics", POD)}
        with Prometheus(jobs, [], features=["native-histograms"]) as native:
            harness.wait_until(lambda: native.values(query % (0.5, "model", "")), what="a quantile")
            for quantile in (0.1, 0.5, 0.9):
                with self.subTest(quantile=quantile):
                    (fine,) = native.values(query % (quantile, "model", ""))
                    fixed = query % (quantile, "model, le", "_bucket")
                    self.wait_for_value(fixed, "a quantile of fixed buckets")
                    (coarse,) = self.prometheus.values(fixed)
                    # Both are within their bucket: 9 % of one, up to 2.5 times of the other.
                    self.assertGreater(fine, coarse / 2.5)
                    self.assertLess(fine, coarse * 2.5)
            (count,) = native.values('histogram_count(podsense_request_seconds{model="simulated"})')
            self.assertGreater(count, 0)
            # Exponential buckets take the fixed ones' place, unless Prometheus is told to keep both.
            self.assertEqual(native.values("podsense_request_seconds_bucket"), [])
            self.assertTrue(native.values("podsense_batch_size_bucket"))
            for name in ("queue", "preprocess", "compute", "fetch"):
                self.assertTrue(native.values(f"histogram_count(podsense_{name}_seconds)"), name)
            found = harness.wait_until(
                lambda: native.api("query_exemplars", query="podsense_request_seconds",
                                   start="2026-01-01T00:00:00Z", end="2126-01-01T00:00:00Z"),
                what="an exemplar")
            self.assertEqual(found[0]["exemplars"][0]["labels"]["trace_id"], TRACE)

    def test_the_reference_names_what_is_exposed_and_nothing_else(self):
        page = (panels.ROOT / "docs/reference/metrics.md").read_text()
        described = {}
        for line in page.splitlines():
            if line.startswith("| `"):
                name, kind, labels = [part.strip() for part in line.split("|")[1:4]]
                described[name.strip("`")] = (kind, labels.replace("`", "").split(", "))
        ignored = {"job", "instance", "__name__", "le", *POD}
        exposed = {}
        for series in self.prometheus.api("series", **{"match[]": '{job="podsense"}'}):
            name = series["__name__"]
            for suffix in ("_bucket", "_sum", "_count"):
                if name.removesuffix(suffix) in described:
                    name = name.removesuffix(suffix)
            if name in ("up", "ALERTS", "ALERTS_FOR_STATE") or ":" in name or name.startswith("scrape_"):
                continue
            exposed.setdefault(name, set()).update(set(series) - ignored)
        for name, labels in exposed.items():
            with self.subTest(metric=name):
                self.assertIn(name, described)
                self.assertLessEqual(labels, set(described[name][1]))
        needs = {MEMORY_LIMIT, "podsense_connections_refused_total", "podsense_spans_total",
                 "podsense_trace_export_retries_total",
                 "podsense_tls_certificate_expiry_timestamp_seconds",
                 "podsense_tls_certificate_reloads_total", "podsense_tls_handshakes_failed_total"}
        self.assertEqual(described.keys() - exposed.keys() - needs, set(), "never exposed")


class GivenUp(unittest.TestCase):
    """Clients whose patience ends after the objective, and before an answer."""

    def give_up(self, server, after):
        with harness.RawClient(server.http_port) as client:
            body = json.dumps({"cpu_ms": 400})
            client.send("POST /infer HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                        f"Content-Length: {len(body)}\r\n\r\n{body}")
            client.socket.settimeout(after)
            with self.assertRaises(TimeoutError):
                client.socket.recv(1)

    def test_a_service_that_answers_nobody_in_time_raises_both_alerts(self):
        with harness.Server("--latency-objective=50ms", "--executors=1") as server:
            jobs = {"podsense": (server.admin_port, "/metrics", POD)}
            with Prometheus(jobs, [RULES]) as prometheus:
                harness.wait_until(lambda: prometheus.values("podsense_ready"), what="a scrape")
                self.give_up(server, 0.02)  # sooner than the objective: no fault
                self.give_up(server, 0.02)
                cancelled = 'podsense_requests_total{code="CANCELLED",model="simulated"} > %d'
                harness.wait_until(lambda: prometheus.values(cancelled % 1), what="two requests given up")
                self.assertEqual(prometheus.values("sum(podsense_slow_requests_total)"), [0])
                threads = [threading.Thread(target=self.give_up, args=(server, 0.2)) for _ in range(15)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                for ratio in ("request_errors", "slow_requests"):
                    query = f"podsense_job:{ratio}:ratio_rate5m > 0.99 and podsense_job:{ratio}:increase1h >= 10"
                    harness.wait_until(lambda query=query: prometheus.values(query), what=query)
                query = 'count(count by (alertname) (ALERTS{alertname=~".*BudgetBurn",alertstate="pending",window="1h"})) == 2'
                harness.wait_until(lambda: prometheus.values(query), what="both alerts")


if __name__ == "__main__":
    unittest.main()
