"""Every endpoint with its real answer: real photographs, real models."""

import base64
import json
import re
import unittest
import urllib.parse

from harness import (
    TESTDATA,
    Origin,
    RawClient,
    Server,
    ServerCase,
    get,
    multipart,
    photo,
    wait_until,
)

ESPRESSO = 967
HEX_ID = re.compile(r"[0-9a-f]{32}")
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


class Predict(ServerCase):
    def setUp(self):
        self.jpeg = photo()

    def assert_espresso(self, answer, count=5, version="2"):
        self.assertEqual(answer.status, 200, answer)
        body = answer.json
        self.assertEqual(list(body), ["model", "version", "request_id", "predictions",
                                      "timing_ms"])
        self.assertEqual((body["model"], body["version"]), ("efficientnet-lite0", version))
        self.assertEqual(body["request_id"], answer.headers["x-request-id"])
        self.assertEqual(answer.headers["content-type"], "application/json")
        best = body["predictions"]
        self.assertEqual(len(best), count)
        self.assertEqual((best[0]["class"], best[0]["label"]), (ESPRESSO, "espresso"))
        scores = [entry["score"] for entry in best]
        self.assertEqual(scores, sorted(scores, reverse=True))
        self.assertTrue(all(0 <= score <= 1 for score in scores))
        timing = body["timing_ms"]
        self.assertEqual(set(timing), {"queue", "preprocess", "compute", "total"})
        self.assertGreater(timing["compute"], 0)
        self.assertGreaterEqual(timing["total"] + 0.01,
                                timing["queue"] + timing["preprocess"] + timing["compute"])
        return best

    def test_all_forms_of_one_picture_give_the_same_answer(self):
        text = base64.b64encode(self.jpeg).decode()
        whole = self.assert_espresso(self.server.post("/predict", self.jpeg, "image/jpeg"))
        forms = {
            "declared as PNG": self.server.post("/predict", self.jpeg, "image/png"),
            "no type": self.server.post("/predict", self.jpeg),
            "curl's default type": self.server.post("/predict", self.jpeg,
                                                    "application/x-www-form-urlencoded"),
            "octets": self.server.post("/predict", self.jpeg, "application/octet-stream"),
            "form, image": self.server.post("/predict", *multipart(
                ("image", self.jpeg, "a.jpg"))),
            "form, file": self.server.post("/predict", *multipart(("file", self.jpeg, "a.jpg"))),
            "form, other name": self.server.post("/predict", *multipart(
                ("upload", self.jpeg, "a.jpg"))),
            "form, other inputs": self.server.post("/predict", *multipart(
                ("token", b"abc", None), ("second", b"", ""), ("upload", self.jpeg, "a.jpg"),
                ("top_k", b"", None))),
            "declared as a video": self.server.post("/predict", self.jpeg, "video/mp4"),
            "Windows's octets": self.server.post("/predict", self.jpeg, "binary/octet-stream"),
            "declared as text": self.server.post("/predict", self.jpeg, "text/plain"),
            "declared as JSON": self.server.post("/predict", self.jpeg, "application/json"),
            "declared as a form": self.server.post("/predict", self.jpeg, "multipart/form-data"),
            "no type at all": self.server.post("/predict", self.jpeg, "nonsense"),
            "JSON, byte order mark": self.server.post(
                "/predict", b"\xef\xbb\xbf" + json.dumps({"image": text}).encode(), "application/json"),
            "JSON by curl -d": self.server.post(
                "/predict", json.dumps({"image": text}).encode(), "application/x-www-form-urlencoded"),
            "JSON, data URL with escapes": self.server.post_json(
                "/predict", {"image": "data:image/jpeg;base64," + urllib.parse.quote(text)}),
            "a data: URL as the URL": self.server.post_json(
                "/predict/url", {"url": "data:image/jpeg;base64," + text}),
            "JSON": self.server.post_json("/predict", {"image": text}),
            "JSON, data URL": self.server.post_json(
                "/predict", {"image": "data:image/jpeg;base64," + text}),
        }
        for name, answer in forms.items():
            with self.subTest(name):
                self.assertEqual(self.assert_espresso(answer), whole)

    def test_several_pictures_are_answered_in_their_order(self):
        text = base64.b64encode(self.jpeg).decode()
        png = photo(".png")
        form = multipart(("image", self.jpeg, "a.jpg"), ("b", b"no picture", "b.jpg"), ("c", png, "c.png"))
        several = {
            "form": self.server.post("/predict?top_k=1", *form),
            "images": self.server.post_json("/predict-batch?top_k=1", {
                "images": [text, "!", base64.b64encode(png).decode()]}),
            "urls": self.server.post_json("/predict-batch", {"top_k": 1, "urls": [
                "data:image/jpeg;base64," + text, "http://127.0.0.1/a.png", "data:;base64," + text]}),
        }
        for (name, answer), code in zip(several.items(), ("UNSUPPORTED_MEDIA_TYPE", "INVALID_ARGUMENT", "PERMISSION_DENIED")):
            with self.subTest(name):
                self.assertEqual(answer.status, 200, answer.body)
                first, second, third = answer.json["results"]
                for good in (first, third):
                    self.assertEqual([p["label"] for p in good["predictions"]], ["espresso"])
                    self.assertIn("timing_ms", good)
                self.assertEqual(second["code"], code)
                self.assertTrue(second["error"])
                self.assertEqual(answer.json["request_id"], answer.headers["x-request-id"])
        alone = self.server.post_json("/predict-batch", {"images": [text]})
        self.assertEqual(len(alone.json["results"]), 1)
        many = self.server.post_json("/predict-batch", {"images": ["AAAA"] * 17})
        self.assert_error(many, 413, "PAYLOAD_TOO_LARGE",
                          "the request holds more than 16 pictures; send them in several requests")

    def test_png_and_webp(self):
        for suffix, declared in ((".png", "image/png"), (".webp", "image/webp"),
                                 (".png", "image/jpeg"), (".webp", None)):
            with self.subTest(suffix=suffix, declared=declared):
                self.assert_espresso(self.server.post("/predict", photo(suffix), declared))

    def test_the_first_frame_of_an_animation_is_used_and_said_to_be(self):
        for name, frames in (("gif_animation.gif", 3), ("avif_sequence.avif", 2), ("apng_two_frames.png", 2),
                             ("webp_two_frames.webp", 2)):
            with self.subTest(name):
                answer = self.server.post("/predict?top_k=1", (TESTDATA / name).read_bytes())
                self.assertEqual(answer.status, 200, answer)
                self.assertEqual(answer.json["animation"], {"frames": frames, "used": "first"})
        for name in ("gif_transparent.gif", "avif_420.avif", "webp_single_animation.webp"):
            with self.subTest(name):
                answer = self.server.post("/predict?top_k=1", (TESTDATA / name).read_bytes())
                self.assertEqual(answer.status, 200, answer)
                self.assertNotIn("animation", answer.json)
        with Server("--max-frames", "1") as server:
            answer = server.post("/predict", (TESTDATA / "gif_animation.gif").read_bytes())
            self.assert_error(answer, 413, "PAYLOAD_TOO_LARGE",
                              "the picture is an animation of 3 frames; at most 1 are accepted (limits.max_frames)")

    def test_options_by_query_form_and_json(self):
        text = base64.b64encode(self.jpeg).decode()
        for name, answer in {
            "query": self.server.post("/predict?top_k=3&model=efficientnet-lite0&version=2",
                                      self.jpeg),
            "form": self.server.post("/predict", *multipart(
                ("top_k", b"3", None), ("model", b"efficientnet-lite0", None),
                ("image", self.jpeg, "a.jpg"), ("version", b"2", None))),
            "JSON": self.server.post_json("/predict", {"image": text, "top_k": 3, "version": "2",
                                                       "model": "efficientnet-lite0"}),
            "JSON, number": self.server.post_json("/predict", {"image": text, "top_k": 3,
                                                               "version": 2}),
            "query over form": self.server.post("/predict?top_k=3", *multipart(
                ("top_k", b"9", None), ("image", self.jpeg, "a.jpg"))),
        }.items():
            with self.subTest(name):
                self.assert_espresso(answer, 3)
        self.assert_espresso(self.server.post("/predict?top_k=1", self.jpeg), 1)
        self.assert_espresso(self.server.post("/predict?top_k=1000", self.jpeg), 1000)

    def test_repeats_are_exactly_equal(self):
        answers = {json.dumps(self.server.post("/predict", self.jpeg).json["predictions"])
                   for _ in range(5)}
        self.assertEqual(len(answers), 1)


class PredictUrl(unittest.TestCase):
    def test_the_same_answer_from_a_url(self):
        jpeg = photo()
        pages = {"/coffee.jpg": (200, {"Content-Type": "image/jpeg"}, jpeg),
                 "/typed-wrong": (200, {"Content-Type": "text/html"}, jpeg),
                 "/text": (200, {"Content-Type": "image/jpeg"}, b"plain words"),
                 "/moved": (302, {"Location": "/coffee.jpg"}, b""),
                 "/inward": (302, {"Location": "http://169.254.169.254/"}, b""),
                 "/broken": (500, {}, b"")}
        with Origin(pages) as origin, Server(*origin.flags, "--fetch-max-redirects", "1") as server:
            expected = server.post("/predict", jpeg).json["predictions"]
            for path in ("/coffee.jpg", "/typed-wrong", "/moved"):
                answer = server.post_json("/predict/url", {"url": origin.url(path)})
                self.assertEqual(answer.status, 200, answer)
                self.assertEqual(answer.json["predictions"], expected)
                self.assertGreater(answer.json["timing_ms"]["fetch"], 0)
            answer = server.post_json("/predict/url?top_k=2", {"url": origin.url("/coffee.jpg")})
            self.assertEqual(len(answer.json["predictions"]), 2)
            for path, status, code in (("/broken", 502, "BAD_GATEWAY"),
                                       ("/missing", 422, "UNPROCESSABLE_CONTENT"),
                                       ("/text", 415, "UNSUPPORTED_MEDIA_TYPE"),
                                       ("/inward", 403, "PERMISSION_DENIED")):
                answer = server.post_json("/predict/url", {"url": origin.url(path)})
                self.assertEqual((answer.status, answer.json["code"]), (status, code), answer)
            self.traces(server, origin)

    def test_a_thumbnail_is_made_anew_from_the_one_fetch(self):
        jpeg = photo()
        secret = b"<script>not for others</script>"
        pages = {"/coffee.jpg": (200, {}, jpeg + secret), "/text": (200, {}, b"plain words")}
        with Origin(pages) as origin, Server(*origin.flags) as server:
            url = {"url": origin.url("/coffee.jpg")}
            plain = server.post_json("/predict/url", url)
            self.assertNotIn("thumbnail", plain.json)
            self.assertNotIn("thumbnail", server.post_json("/predict/url?thumbnail=false", url).json)
            seen = len(origin.seen)
            answer = server.post_json("/predict/url?thumbnail=true", url)
            self.assertEqual(len(origin.seen), seen + 1)
            self.assertEqual(answer.json["predictions"], plain.json["predictions"])
            head, _, letters = answer.json["thumbnail"].partition(",")
            self.assertEqual(head, "data:image/jpeg;base64")
            small = base64.b64decode(letters, validate=True)
            self.assertTrue(small.startswith(b"\xff\xd8\xff\xe0") and small.endswith(b"\xff\xd9"))
            self.assertLessEqual(len(small), 10_000)
            self.assertNotIn(secret, small)
            again = server.post("/predict?top_k=1", small).json["predictions"]
            self.assertEqual(again[0]["class"], plain.json["predictions"][0]["class"])
            text = server.post_json("/predict/url?thumbnail=true", {"url": origin.url("/text")})
            self.assertEqual(text.status, 415)
            self.assertNotIn("thumbnail", text.json)
            wrong = server.post_json("/predict/url?thumbnail=yes", url)
            self.assertEqual((wrong.status, wrong.json["error"]),
                             (400, "thumbnail is 'yes'; it must be true or false"))
            several = server.post_json("/predict-batch?thumbnail=true", {"urls": [url["url"]] * 2})
            self.assertEqual([one["thumbnail"] for one in several.json["results"]], [answer.json["thumbnail"]] * 2)

    def traces(self, server, origin):
        answer = server.post_json("/predict/url", {"url": origin.url("/coffee.jpg")},
                                  {"traceparent": PARENT})
        fetched = origin.seen[-1][1]["traceparent"]
        self.assertEqual(fetched, answer.headers["traceparent"])
        self.assertRegex(fetched, f"^00-{TRACE}-[0-9a-f]{{16}}-01$")
        self.assertNotEqual(fetched, PARENT)
        self.assertTrue(origin.seen[-1][1]["user-agent"].startswith("podsense/"))
        for header in ("cookie", "authorization", "x-request-id", "referer"):
            self.assertNotIn(header, origin.seen[-1][1])

    def test_loopback_is_refused_without_configuration(self):
        with Origin({}) as origin, Server() as server:
            answer = server.post_json("/predict/url", {"url": "http://127.0.0.1/x.jpg"})
            self.assertEqual((answer.status, answer.json["code"]), (403, "PERMISSION_DENIED"))
            answer = server.post_json("/predict/url", {"url": origin.url("/x.jpg")})
            self.assertEqual(answer.json["error"],
                             f"port {origin.port} is not allowed; allowed are: 80, 443")
            self.assertEqual(origin.seen, [])

    def test_can_be_switched_off(self):
        with Server("--no-fetch") as server:
            answer = server.post_json("/predict/url", {"url": "http://example.com/a.jpg"})
            self.assertEqual((answer.status, answer.json["code"]), (501, "UNIMPLEMENTED"))


class Tabular(ServerCase):
    ROWS = [[0.5] * 20, [-2.5, 3.0] * 10, list(range(20))]

    def test_single(self):
        answer = self.server.post_json("/predict-single", {"features": self.ROWS[0]})
        body = answer.json
        self.assertEqual(list(body), ["model", "version", "request_id", "prediction", "label",
                                      "probabilities", "timing_ms"])
        self.assertEqual((body["model"], body["version"]), ("random-forest", "1"))
        self.assertEqual(len(body["probabilities"]), 2)
        self.assertAlmostEqual(sum(body["probabilities"]), 1, places=5)
        self.assertEqual(body["label"], str(body["prediction"]))
        self.assertEqual(body["prediction"], body["probabilities"].index(
            max(body["probabilities"])))

    def test_a_batch_equals_its_rows(self):
        batch = self.server.post_json("/predict-batch", {"instances": self.ROWS}).json
        self.assertEqual(list(batch), ["model", "version", "request_id", "predictions",
                                       "timing_ms"])
        for row, entry in zip(self.ROWS, batch["predictions"], strict=True):
            single = self.server.post_json("/predict-single", {"features": row}).json
            self.assertEqual(entry, {key: single[key] for key in entry})
            self.assertEqual(list(entry), ["prediction", "label", "probabilities"])

    def test_json_needs_no_content_type(self):
        body = json.dumps({"features": self.ROWS[0]}).encode()
        for declared in (None, "application/json", "application/json; charset=utf-8",
                         "application/x-www-form-urlencoded", "application/vnd.x+json"):
            self.assertEqual(self.server.post("/predict-single", body, declared).status, 200)

    def test_model_and_version_by_query_and_body(self):
        row = {"features": self.ROWS[0]}
        for answer in (
            self.server.post_json("/predict-single?model=random-forest&version=1", row),
            self.server.post_json("/predict-single", row | {"model": "random-forest"}),
            self.server.post_json("/predict-single", row | {"version": 1}),
        ):
            self.assertEqual((answer.status, answer.json["version"]), (200, "1"))


class Infer(ServerCase):
    FLAGS = ("--infer-cpu-ms", "7")

    def test_get_and_post(self):
        for answer, cpu in (
            (self.server.get("/infer"), 7),
            (self.server.post("/infer"), 7),
            (self.server.get("/infer?cpu_ms=3"), 3),
            (self.server.post("/infer?cpu_ms=3"), 3),
            (self.server.post_json("/infer", {"cpu_ms": 3}), 3),
            (self.server.post_json("/infer", {}), 7),
            (self.server.get("/infer?cpu_ms=0"), 0),
            (self.server.get("/infer?cpu_ms=2.5&model=simulated&version=1"), 2.5),
        ):
            self.assertEqual(answer.status, 200, answer)
            self.assertEqual(list(answer.json),
                             ["model", "version", "request_id", "cpu_ms", "timing_ms"])
            self.assertEqual(answer.json["model"], "simulated")
            self.assertGreaterEqual(answer.json["cpu_ms"], cpu)
            self.assertLess(answer.json["cpu_ms"], cpu + 5)
        self.assertEqual(self.server.request("HEAD", "/infer?cpu_ms=0").status, 200)

    def test_cpu_time_is_truly_burned_within_two_percent(self):
        runs, wanted = 20, 20.0
        self.server.wait_for_row_checks()
        clock_before = self.server.cpu_seconds()
        metric_before = self.server.metric("process_cpu_seconds_total")
        with RawClient(self.server.http_port) as client:
            burned = [client.exchange(get(f"/infer?cpu_ms={wanted}")).json["cpu_ms"]
                      for _ in range(runs)]
        self.assertLess(abs(sum(burned) / runs - wanted), 0.02 * wanted, burned)
        # The whole process spends a little more than its models; the kernel counts in ticks.
        total = runs * wanted / 1000
        for spent in (self.server.cpu_seconds() - clock_before,
                      self.server.metric("process_cpu_seconds_total") - metric_before):
            self.assertGreater(spent, total * 0.98 - 0.02)
            self.assertLess(spent, total * 1.5 + 0.1)


class Status(ServerCase):
    def test_probes_answer_on_both_ports(self):
        for port in (self.server.http_port, self.server.admin_port):
            for path, body in (("/livez", {"live": True}), ("/readyz", {"ready": True}),
                               ("/startupz", {"started": True})):
                answer = self.server.request("GET", path, port=port)
                self.assertEqual((answer.status, answer.json), (200, body))

    def test_health_says_what_works(self):
        for port in (self.server.http_port, self.server.admin_port):
            answer = self.server.request("GET", "/health", port=port)
            self.assertEqual(answer.status, 200)
            body = answer.json
            self.assertEqual((body["status"], body["live"], body["ready"], body["started"],
                              body["draining"], body["problems"]),
                             ("ok", True, True, True, False, []))
            self.assertEqual(body["default_models"],
                             {"image-classification": "efficientnet-lite0",
                              "tabular-classification": "random-forest",
                              "simulated": "simulated"})
            self.assertEqual([(m["name"], m["version"], m["state"]) for m in body["models"]],
                             [("efficientnet-lite0", "2", "ready"), ("random-forest", "1", "ready"),
                              ("simulated", "1", "ready")])

    def test_version(self):
        body = self.server.get("/version").json
        self.assertEqual(set(body), {"name", "version", "commit", "compiler", "onnxruntime"})
        self.assertEqual(body["name"], "podsense")
        self.assertRegex(body["version"], r"^\d+\.\d+\.\d+")
        self.assertRegex(body["onnxruntime"], r"^\d+\.\d+\.\d+")

    def test_stats_and_metrics_count_requests(self):
        ok = {"model": "random-forest", "version": "1", "protocol": "http", "code": "OK"}
        before = self.server.metric("podsense_requests_total", **ok)
        for _ in range(3):
            self.server.post_json("/predict-single", {"features": [0.5] * 20})
        self.assertEqual(self.server.metric("podsense_requests_total", **ok), before + 3)
        self.assertNotIn("history", self.server.get("/stats").json)

    def test_stats_remember_what_was(self):
        self.server.post_json("/predict-single", {"features": [0.5] * 20})
        stats = wait_until(lambda: (lambda one: len(one["history"]) > 2 and one)(
            self.server.get("/stats?history=true").json), what="three ticks")
        times = [moment["time"] for moment in stats["history"]]
        self.assertEqual(times, sorted(times))
        self.assertLess(stats["time"] - times[-1], 60)
        self.assertLessEqual(len(times), 120)
        same = {"time", "rate", "latency_ms", "in_flight", "queue_depth", "saturation"}
        for moment in stats["history"]:
            self.assertEqual(set(moment), same)
            self.assertEqual(set(moment["latency_ms"]), set(stats["latency_ms"]))
        self.assertIn("history", self.server.get("/stats?_=1&history=true&utm_source=a").json)
        self.assertNotIn("history", self.server.get("/stats?history=false").json)
        self.assertNotIn("history", self.server.get("/stats?unknown").json)
        self.assert_error(self.server.get("/stats?history=1"), 400, "INVALID_ARGUMENT",
                          "/stats takes history=true, history=false, or nothing")

    def test_metrics_are_on_the_admin_port_alone(self):
        self.server.post_json("/predict-single", {"features": [0.5] * 20})
        answer = self.server.admin("GET", "/metrics")
        self.assertEqual(answer.status, 200)
        self.assertTrue(answer.headers["content-type"].startswith("text/plain; version=0.0.4"))
        for name in ("podsense_requests_total", "podsense_saturation", "podsense_build_info",
                     "podsense_queue_depth", "podsense_in_flight", "podsense_ready",
                     "process_cpu_seconds_total", "process_resident_memory_bytes"):
            self.assertTrue(f"# HELP {name} " in answer.text, name)
        self.assertEqual(self.server.get("/metrics").status, 404)
        self.assertEqual(self.server.post("/v1/reload").status, 404)  # never on the public port

    def test_metrics_on_http_when_asked(self):
        with Server("--metrics-on-http") as server:
            self.assertEqual(server.get("/metrics").status, 200)
            self.assertEqual(server.admin("GET", "/metrics").status, 200)


class Pages(ServerCase):
    def test_pages_have_a_strict_policy(self):
        for path in ("/", "/docs"):
            answer = self.server.get(path)
            self.assertEqual(answer.status, 200)
            self.assertTrue(answer.headers["content-type"].startswith("text/html"))
            policy = answer.headers["content-security-policy"]
            self.assertIn("default-src 'none'", policy)
            for loose in ("unsafe-inline", "unsafe-eval", "http:", "https:", "*"):
                self.assertNotIn(loose, policy)
            self.assertEqual(answer.headers["x-content-type-options"], "nosniff")
            self.assertIn("<html", answer.text)

    def test_everything_a_page_names_is_served(self):
        for page in ("/", "/docs"):
            names = re.findall(r'(?:src|href)="([^"#]+)"', self.server.get(page).text)
            local = {name for name in names if not name.startswith(("http", "data:", "blob:"))}
            self.assertTrue(local)
            for name in local:
                path = urllib.parse.urljoin(page, name)
                self.assertEqual(self.server.get(path).status, 200, path)

    def test_pages_are_cached_by_etag_and_sent_compressed(self):
        answer = self.server.get("/", {"Accept-Encoding": "gzip"})
        self.assertEqual(answer.headers["content-encoding"], "gzip")
        again = self.server.get("/", {"If-None-Match": answer.headers["etag"]})
        self.assertEqual((again.status, again.body), (304, b""))

    def test_openapi_describes_every_endpoint(self):
        with Server("--repository-api", "--fault-api") as server:
            self.check_openapi(server)

    def check_openapi(self, server):
        document = server.get("/openapi.json").json
        self.assertTrue(document["openapi"].startswith("3."))
        for path in ("/predict", "/predict/url", "/predict-single", "/predict-batch", "/infer",
                     "/health", "/livez", "/readyz", "/startupz", "/version", "/stats", "/v1/infer",
                     "/v2", "/v2/models/{model}/infer"):
            self.assertIn(path, document["paths"])
        for path, methods in document["paths"].items():
            answer = server.request("OPTIONS", path)
            if answer.status == 404:
                answer = server.request("OPTIONS", path, port=server.admin_port)
            self.assertEqual(answer.status, 204, path)
            for method in set(methods) & {"get", "post"}:
                self.assertIn(method.upper(), answer.headers["allow"], path)

    def test_can_be_switched_off(self):
        with Server("--no-web-page") as server:
            self.assertEqual(server.get("/").status, 404)
            self.assertEqual(server.get("/docs").status, 404)


class Identity(ServerCase):
    def test_request_ids_are_taken_or_made(self):
        for given in ("abc-123", "A.b_c:d/e+f=g@h", "x" * 128):
            answer = self.server.get("/livez", {"X-Request-Id": given})
            self.assertEqual(answer.headers["x-request-id"], given)
        made = set()
        for given in ("", "x" * 129, "has space", "quote\"", "<script>"):
            answer = self.server.get("/livez", {"X-Request-Id": given})
            self.assertRegex(answer.headers["x-request-id"], HEX_ID)
            made.add(answer.headers["x-request-id"])
        self.assertEqual(len(made), 5)

    def logged(self, request_id):
        """Its one line, which is written just after the answer."""
        def lines():
            return [line for line in self.server.log_lines("request")
                    if line["request_id"] == request_id]

        (line,) = wait_until(lines, what="the log line")
        return line

    def test_how_sure_a_batch_size_is_is_told(self):
        parameters = self.server.get("/v2/models/random-forest/config").json["parameters"]
        gain, noise = (float(parameters[name]["string_value"]) for name in ("batch_gain", "batch_gain_noise"))
        (line,) = [x for x in self.server.log_lines("model_loaded") if x["model"] == "random-forest"]
        self.assertEqual((round(line["gain"], 3), round(line["spread"], 3)), (gain, noise))
        self.assertTrue(0 <= gain < 1 and noise >= 0, (gain, noise))
        if line["max_batch"] > 1:
            self.assertGreater(gain, 2 * noise)

    def test_request_ids_are_in_the_answer_and_the_log(self):
        answer = self.server.post_json("/predict-single", {"features": [0.5] * 20},
                                       {"X-Request-Id": "find-me", "traceparent": PARENT})
        self.assertEqual(answer.json["request_id"], "find-me")
        line = self.logged("find-me")
        self.assertEqual((line["method"], line["path"], line["status"], line["code"]),
                         ("POST", "/predict-single", 200, "OK"))
        self.assertEqual(line["trace_id"], answer.headers["traceparent"].split("-")[1])
        error = self.server.post("/predict-single?model=secret", b"{",
                                 headers={"X-Request-Id": "bad-one"})
        self.assertEqual(error.json["request_id"], "bad-one")
        line = self.logged("bad-one")
        self.assertEqual((line["status"], line["code"]), (400, "INVALID_ARGUMENT"))
        self.assertNotIn("secret", json.dumps(line))  # no queries in the log

    def test_traceparent_is_passed_on(self):
        answer = self.server.get("/livez", {"traceparent": PARENT})
        self.assertRegex(answer.headers["traceparent"], f"^00-{TRACE}-[0-9a-f]{{16}}-01$")
        for bad in ("", "junk", PARENT.upper(), PARENT.replace("00-", "ff-", 1),
                    f"00-{'0' * 32}-b7ad6b7169203331-01", PARENT + "-more"):
            self.assertNotIn("traceparent", self.server.get("/livez", {"traceparent": bad}).headers)


if __name__ == "__main__":
    unittest.main(verbosity=2)
