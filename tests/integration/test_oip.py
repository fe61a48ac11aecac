"""The Open Inference Protocol over REST, as its documents say."""

import gzip
import json
import math
import struct
import tempfile
import unittest
import zlib
from pathlib import Path

from harness import Server, ServerCase
from oip_cases import GOOD, INFER, LENGTH
from oip_models import BROKEN, MODELS, make_repository

X = [1.0, 2.0, 3.0, 4.0]


def split(answer):
    """JSON and what follows it."""
    size = int(answer.headers["inference-header-content-length"])
    return json.loads(answer.body[:size]), answer.body[size:]


class OipCase(ServerCase):
    FLAGS = ("--repository-api", "--cors-origins", "https://page.example")
    BROKEN = False

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="podsense-oip-")
        cls.addClassCleanup(folder.cleanup)
        cls.MODELS = make_repository(Path(folder.name), cls.BROKEN)
        super().setUpClass()

    def infer(self, model, body, headers=None):
        answer = self.server.post(f"/v2/models/{model}/infer", body if isinstance(body, bytes)
                                  else json.dumps(body).encode(), headers=headers)
        self.assertEqual(answer.status, 200, answer)
        return answer

    def get(self, path, status=200, port=None):
        answer = self.server.request("GET", path, port=port)
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(answer.headers["content-type"], "application/json")
        return answer.json


class Documents(OipCase):
    def test_server(self):
        for path in ("/v2", "/v2/"):
            document = self.get(path)
            self.assertEqual(document["name"], "podsense")
            self.assertEqual(document["version"], self.get("/version")["version"])
            self.assertEqual(document["extensions"], [
                "classification", "schedule_policy", "model_configuration", "binary_tensor_data",
                "parameters", "statistics"])

    def test_health(self):
        self.assertEqual(self.get("/v2/health/live"), {"live": True})
        self.assertEqual(self.get("/v2/health/ready"), {"ready": True})
        self.assertEqual(self.server.request("HEAD", "/v2/health/ready").status, 200)

    def test_models(self):
        for name in MODELS:
            for path in (f"/v2/models/{name}", f"/v2/models/{name}/versions/1"):
                document = self.get(path)
                self.assertEqual((document["name"], document["versions"]), (name, ["1"]))
                self.assertEqual(self.get(path + "/ready"), {"name": name, "ready": True})
                self.assertEqual(self.get(path + "/config")["name"], name)
                self.assertEqual(self.get(path + "/stats")["model_stats"][0]["name"], name)
        self.assertEqual(self.get("/v2/models/busy"), {
            "name": "busy", "versions": ["1"], "platform": "podsense_simulated",
            "inputs": [{"name": "cpu_ms", "datatype": "FP64", "shape": [1]}],
            "outputs": [{"name": "burned_ms", "datatype": "FP64", "shape": [1]}]})
        answer = self.server.post_json("/v2/models/busy/infer", {"inputs": [
            {"name": "cpu_ms", "shape": [1], "datatype": "FP64", "data": [2.5]}]})
        self.assertEqual(answer.status, 200, answer)
        self.assertGreaterEqual(answer.json["outputs"][0]["data"][0], 2.5)

    def test_metadata(self):
        self.assertEqual(self.get("/v2/models/texts"), {
            "name": "texts", "versions": ["1"], "platform": "onnxruntime_onnx",
            "inputs": [{"name": "x", "datatype": "BYTES", "shape": [-1]}],
            "outputs": [{"name": "y", "datatype": "BYTES", "shape": [-1]}]})

    def test_config(self):
        config = self.get("/v2/models/pixels/config")
        self.assertEqual(config["max_batch_size"], 4096)
        self.assertEqual((config["input"][0]["data_type"], config["input"][0]["dims"]),
                         ("TYPE_UINT8", [8, 8, 3]))
        fixed = self.get("/v2/models/fixed/config")
        self.assertEqual((fixed["max_batch_size"], fixed["input"][0]["dims"]), (0, [2, 3]))

    def test_statistics_of_all_models(self):
        names = [entry["name"] for entry in self.get("/v2/models/stats")["model_stats"]]
        self.assertEqual(names, sorted(MODELS))

    def test_escaped_names_are_undone(self):
        self.assertEqual(self.get("/v2/models/add%2Done")["name"], "add-one")

    def test_pages_of_other_origins_may_ask(self):
        answer = self.server.request("OPTIONS", INFER, headers={"Origin": "https://page.example"})
        self.assertEqual(answer.status, 204)
        self.assertIn(LENGTH, answer.headers["access-control-allow-headers"])
        answer = self.server.post(INFER, json.dumps({"inputs": [GOOD]}).encode(),
                                  headers={"Origin": "https://page.example"})
        self.assertIn(LENGTH, answer.headers["access-control-expose-headers"])


class Infer(OipCase):
    def test_json(self):
        answer = self.infer("add-one", {"id": "r-1", "inputs": [GOOD]}, {"X-Request-Id": "abc"})
        self.assertEqual(answer.json, {
            "model_name": "add-one", "model_version": "1", "id": "r-1", "outputs": [
                {"name": "y", "datatype": "FP32", "shape": [1, 4], "data": [2, 3, 4, 5]}]})
        self.assertEqual(answer.headers["content-type"], "application/json")
        self.assertEqual(answer.headers["x-request-id"], "abc")
        self.assertNotIn("id", self.infer("add-one", {"inputs": [GOOD]}).json)

    def test_a_version_in_the_path(self):
        answer = self.server.post_json("/v2/models/add-one/versions/1/infer", {"inputs": [GOOD]})
        self.assertEqual(answer.json["outputs"][0]["data"], [2, 3, 4, 5])

    def test_content_types_of_usual_clients(self):
        body = json.dumps({"inputs": [GOOD]}).encode()
        for declared in (None, "application/json", "application/octet-stream",
                         "application/json; charset=utf-8", "application/x-www-form-urlencoded"):
            headers = {"Content-Type": declared} if declared else None
            self.infer("add-one", body, headers)

    def test_binary_in_and_out(self):
        blob = struct.pack("<4f", *X)
        wanted = struct.pack("<4f", *[x + 1 for x in X])
        entry = {"name": "x", "shape": [1, 4], "datatype": "FP32",
                 "parameters": {"binary_data_size": 16}}
        # The data starts at any byte: what is not aligned has to work as well.
        for pad in range(8):
            head = json.dumps({"inputs": [entry], "parameters": {"binary_data_output": True}}).encode()
            head += b" " * pad
            answer = self.infer("add-one", head + blob, {LENGTH: str(len(head))})
            self.assertEqual(answer.headers["content-type"], "application/octet-stream")
            document, data = split(answer)
            self.assertEqual(data, wanted)
            self.assertEqual(document["outputs"], [
                {"name": "y", "datatype": "FP32", "shape": [1, 4],
                 "parameters": {"binary_data_size": 16}}])

    def test_each_output_has_its_own_form(self):
        row = {"shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}
        answer = self.infer("sum", {
            "inputs": [{"name": "a", **row}, {"name": "b", **row}],
            "parameters": {"binary_data_output": True},
            "outputs": [{"name": "product"}, {"name": "sum", "parameters": {"binary_data": False}}]})
        document, data = split(answer)
        self.assertEqual(data, struct.pack("<3f", 1, 4, 9))
        self.assertEqual(document["outputs"][1]["data"], [2, 4, 6])
        self.assertEqual([o["name"] for o in document["outputs"]], ["product", "sum"])

    def test_large_binary_answers_come_whole(self):
        count = 200_000
        blob = struct.pack(f"<{count}f", *range(count))
        entry = {"name": "x", "shape": [count // 4, 4], "datatype": "FP32",
                 "parameters": {"binary_data_size": len(blob)}}
        head = json.dumps({"inputs": [entry], "parameters": {"binary_data_output": True}}).encode()
        _, data = split(self.infer("add-one", head + blob, {LENGTH: str(len(head))}))
        self.assertEqual(data, struct.pack(f"<{count}f", *range(1, count + 1)))

    def test_raw_bodies(self):
        answer = self.infer("add-one", struct.pack("<4f", *X), {LENGTH: "0"})
        document, data = split(answer)
        self.assertEqual(data, struct.pack("<4f", 2, 3, 4, 5))
        self.assertEqual(document["outputs"][0]["shape"], [1, 4])
        document, data = split(self.infer("identity", struct.pack("<3f", 7, 8, 9), {LENGTH: "0"}))
        self.assertEqual((document["outputs"][0]["shape"], data), ([1, 3], struct.pack("<3f", 7, 8, 9)))
        document, data = split(self.infer("texts", "é".encode(), {LENGTH: "0"}))
        self.assertEqual(data, b"\2\0\0\0" + "é".encode())

    def test_compressed_bodies(self):
        body = json.dumps({"inputs": [GOOD]}).encode()
        bare = zlib.compressobj(wbits=-15)
        for coding, sent in (("gzip", gzip.compress(body)), ("deflate", zlib.compress(body)),
                             ("deflate", bare.compress(body) + bare.flush())):
            answer = self.infer("add-one", sent, {"Content-Encoding": coding})
            self.assertEqual(answer.json["outputs"][0]["data"], [2, 3, 4, 5])

    def test_texts_and_flags(self):
        texts = ["a", "é€😀", "", "\"\\\n"]
        answer = self.infer("texts", {"inputs": [
            {"name": "x", "shape": [4], "datatype": "BYTES", "data": texts}]})
        self.assertEqual(answer.json["outputs"][0]["data"], texts)
        answer = self.infer("bools", {"inputs": [
            {"name": "x", "shape": [2], "datatype": "BOOL", "data": [True, False]}]})
        self.assertEqual(answer.json["outputs"][0]["data"], [False, True])

    def test_texts_that_are_no_utf8_need_binary_outputs(self):
        head = json.dumps({"inputs": [{"name": "x", "shape": [1], "datatype": "BYTES",
                                       "parameters": {"binary_data_size": 5}}]}).encode()
        answer = self.server.post("/v2/models/texts/infer", head + b"\1\0\0\0\xff",
                                  headers={LENGTH: str(len(head))})
        self.assertEqual((answer.status, answer.json), (400, {
            "error": "the output 'y': holds bytes that are not UTF-8, which has no JSON form; ask for "
                     "it as binary data (binary_data)"}))

    def test_whole_numbers_beyond_a_double_are_kept(self):
        answer = self.infer("longs", {"inputs": [
            {"name": "x", "shape": [1, 2], "datatype": "INT64", "data": [2**61 + 1, -(2**61) - 1]}]})
        self.assertEqual(answer.json["outputs"][0]["data"], [2**62 + 2, -(2**62) - 2])

    def test_classification(self):
        answer = self.infer("classes", {
            "inputs": [{"name": "image", "shape": [1, 3, 8, 8], "datatype": "FP32",
                        "data": [0.5] * 192}],
            "outputs": [{"name": "probabilities", "parameters": {"classification": 2}}]})
        output = answer.json["outputs"][0]
        self.assertEqual((output["datatype"], output["shape"]), ("BYTES", [1, 2]))
        for text in output["data"]:
            self.assertRegex(text, r"^0\.\d+:[0-3]")

    def test_a_timeout_that_is_over_is_refused(self):
        answer = self.server.post_json("/v2/models/classes/infer", {
            "inputs": [{"name": "image", "shape": [1, 3, 8, 8], "datatype": "FP32",
                        "data": [0.5] * 192}], "parameters": {"timeout": 1}})
        self.assertIn(answer.status, (503, 504), answer)
        self.assertEqual(set(answer.json), {"error"})

    def test_statistics_follow(self):
        def success():
            document = self.get("/v2/models/rows/stats")["model_stats"][0]
            return document["inference_stats"]["success"]["count"], document["inference_count"]

        before = success()
        self.infer("rows", {"inputs": [{"name": "features", "shape": [3, 20], "datatype": "FP32",
                                        "data": [0.5] * 60}]})
        self.assertEqual(success(), (before[0] + 1, before[1] + 3))

    def test_statistics_count_runs_by_their_rows(self):
        def runs(name, size):
            document = self.get(f"/v2/models/{name}/stats")["model_stats"][0]
            batches = document["batch_stats"]
            self.assertEqual([one["batch_size"] for one in batches],
                             sorted({one["batch_size"] for one in batches}))
            counts = [one["compute_infer"]["count"] for one in batches]
            self.assertEqual(sum(counts), document["execution_count"])
            self.assertEqual(sum(one["batch_size"] * count for one, count in zip(batches, counts)),
                             document["inference_count"])
            return next((one for one in batches if one["batch_size"] == size), None)

        def ask(name, rows, width):
            shape = [rows, *width]
            data = [0.5] * math.prod(shape)
            field = "features" if name == "rows" else "x"
            self.infer(name, {"inputs": [{"name": field, "shape": shape, "datatype": "FP32",
                                          "data": data}]})

        self.assertIsNone(runs("rows", 7))
        for _ in range(2):
            ask("rows", 7, [20])
        seen = runs("rows", 7)
        self.assertEqual({phase: seen[phase]["count"] for phase in seen if phase != "batch_size"},
                         {"compute_input": 2, "compute_infer": 2, "compute_output": 2})
        self.assertGreater(seen["compute_infer"]["ns"], 0)
        ask("rows", 700, [20])  # more than has a place of its own
        self.assertEqual(runs("rows", 700)["compute_infer"]["count"], 1)

    def test_a_model_that_takes_no_batches_runs_batches_of_one(self):
        before = self.get("/v2/models/fixed/stats")["model_stats"][0]["execution_count"]
        self.infer("fixed", {"inputs": [{"name": "x", "shape": [2, 3], "datatype": "FP32",
                                         "data": [0.5] * 6}]})
        (one,) = self.get("/v2/models/fixed/stats")["model_stats"][0]["batch_stats"]
        self.assertEqual((one["batch_size"], one["compute_infer"]["count"]), (1, before + 1))


class One(ServerCase):
    """/v1/infer answers as the endpoint for what it was given."""

    def test_features(self):
        row = [0.5] * 20
        mine = self.server.post_json("/v1/infer", {"model": "random-forest", "features": row})
        other = self.server.post_json("/predict-single", {"features": row})
        self.assertEqual(mine.status, 200, mine)
        drop = ("timing_ms", "request_id")
        self.assertEqual({k: v for k, v in mine.json.items() if k not in drop},
                         {k: v for k, v in other.json.items() if k not in drop})

    def test_bad_input(self):
        for body, message in (
                ({}, "there is no input; send exactly one of image, image_url and features"),
                ({"features": [1], "image_url": "http://a/"},
                 "there are several inputs; send exactly one of image, image_url and features"),
                ({"features": [1], "top_k": 3}, "top_k goes with image and image_url, not with features"),
                ({"image": "http://a/"},
                 "image is a URL; it must be base64; URLs go to /predict/url as the field 'url'"),
                ({"url": "http://a/"}, "unknown field 'url'; accepted are: image, model, version, "
                 "top_k, image_url, features")):
            self.assert_error(self.server.post_json("/v1/infer", body), 400, "INVALID_ARGUMENT", message)

    def test_models_are_listed(self):
        names = {model["name"] for model in self.server.get("/v1/models").json["models"]}
        self.assertIn("random-forest", names)


class NotReady(OipCase):
    BROKEN = True
    FLAGS = ("--repository-api", "--strict-readiness")

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="podsense-oip-")
        cls.addClassCleanup(folder.cleanup)
        cls.server = Server(*cls.FLAGS, models=make_repository(Path(folder.name), True), ready=False)
        cls.server.__enter__()
        cls.addClassCleanup(cls.server.__exit__, None, None, None)
        cls.folder = Path(folder.name)

    def setUp(self):
        from harness import wait_until
        wait_until(lambda: self.server.get("/startupz").status == 200, what="the first load")

    def test_readiness_is_503_with_a_body(self):
        self.assertEqual(self.get("/v2/health/ready", 503), {"ready": False})
        self.assertEqual(self.get(f"/v2/models/{BROKEN}/ready", 503), {"name": BROKEN, "ready": False})
        self.assertEqual(self.get("/v2/models/add-one/ready"), {"name": "add-one", "ready": True})
        self.assertEqual(self.get("/v2/health/live"), {"live": True})

    def control(self, path, body=b"", status=200):
        answer = self.server.request("POST", f"/v2/repository/{path}", body,
                                     port=self.server.admin_port)
        self.assertEqual(answer.status, status, answer)
        return answer

    def test_repository(self):
        index = {entry["name"]: entry for entry in self.control("index").json}
        self.assertEqual(index["add-one"], {"name": "add-one", "version": "1", "state": "READY",
                                            "reason": ""})
        self.assertEqual(index[BROKEN]["state"], "UNAVAILABLE")
        self.assertTrue(index[BROKEN]["reason"])
        ready = self.control("index", b'{"ready": true}').json
        self.assertNotIn(BROKEN, {entry["name"] for entry in ready})
        answer = self.control(f"models/{BROKEN}/load", status=400)
        self.assertIn(f"model '{BROKEN}/1' cannot be served: ", answer.json["error"])

    def test_unload_holds_until_load(self):
        self.control("models/longs/unload", b'{"parameters": {"unload_dependents": true}}')
        self.assertEqual(self.get("/v2/models/longs/ready", 503), {"name": "longs", "ready": False})
        self.get("/v2/models/longs", 404)
        self.server.admin("POST", "/v1/reload")
        self.get("/v2/models/longs", 404)
        index = {entry["name"]: entry for entry in self.control("index").json}
        self.assertEqual(index["longs"], {"name": "longs", "state": "UNAVAILABLE",
                                          "reason": "unloaded"})
        self.control("models/longs/unload")
        self.assertEqual(self.control("models/longs/load").body, b"")
        self.get("/v2/models/longs")

    def test_what_control_refuses(self):
        for path, body, status, message in (
                ("models/none/load", b"", 404, "the repository has no model 'none'"),
                ("models/none/unload", b"", 404, "no model 'none' is loaded"),
                ("models/longs/load", b"x", 400, "the body is not a JSON object; it must be one or empty"),
                ("models/longs/load", b'{"parameters": {"config": "{}"}}', 501,
                 "parameters.config is not offered: models and their settings are the repository's files"),
                ("models/longs/load", b'{"parameters": {"file:1/model.onnx": "AA=="}}', 501,
                 "parameters.file:1/model.onnx is not offered: models and their settings are the "
                 "repository's files"),
                ("models/longs/load", b'{"parameters": {"a": 1}}', 400,
                 "unknown parameter 'a'; accepted is: unload_dependents"),
                ("models/longs/load", b'{"parameters": []}', 400, "parameters must be an object"),
                ("index", b'{"ready": 1}', 400, "ready must be true or false")):
            with self.subTest(path=path, body=body):
                self.assertEqual(self.control(path, body, status).json, {"error": message})

    def test_is_off_unless_switched_on(self):
        with Server(models=self.folder, ready=False) as server:
            answer = server.request("POST", "/v2/repository/index", port=server.admin_port)
            self.assertEqual(answer.status, 404)


if __name__ == "__main__":
    unittest.main(verbosity=2)
