"""What platforms and older clients ask: KServe's first protocol, SageMaker, Vertex AI, and members that are null."""

import base64
import shutil
import tempfile
import unittest
from pathlib import Path

from harness import MODELS, TESTDATA, Server, ServerCase
from oip_models import make_repository

PHOTO = (TESTDATA / "jpeg_420.jpg").read_bytes()


class Hosted(ServerCase):
    """A repository of many models."""

    @classmethod
    def setUpClass(cls):
        cls.MODELS = Path(tempfile.mkdtemp(prefix="podsense-test-"))
        cls.addClassCleanup(shutil.rmtree, cls.MODELS)
        make_repository(cls.MODELS)
        super().setUpClass()

    def predict(self, model, body):
        return self.server.post_json(f"/v1/models/{model}:predict", body)

    def predictions(self, model, instances, **more):
        answer = self.predict(model, {"instances": instances} | more)
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(set(answer.json), {"predictions"})
        return answer.json["predictions"]

    def test_instances_are_answered_each(self):
        self.assertEqual(self.predictions("identity", [[1, 2.5, 3], [4, 5, 6]]), [[1, 2.5, 3], [4, 5, 6]])
        self.assertEqual(self.predictions("texts", ["a", "b"], signature_name="x", parameters={"k": 1}), ["a", "b"])
        self.assertEqual(self.predictions("sum", [{"a": [1, 2, 3], "b": [1, 1, 1]}, {"b": [0, 0, 0], "a": [4, 5, 6]}]),
                         [{"sum": [2, 3, 4], "product": [1, 2, 3]}, {"sum": [4, 5, 6], "product": [0, 0, 0]}])

    def test_rows_are_answered_with_their_labels(self):
        row = [0.5] * 20
        single = self.server.post_json("/predict-single", {"model": "rows", "features": row}).json
        self.assertEqual(self.predictions("rows", [row, row]), [single["prediction"]] * 2)

    def test_a_picture_is_a_picture(self):
        self.assertEqual(self.predictions("classes", [{"b64": base64.b64encode(PHOTO).decode()}])[0]["model"], "classes")
        answer = self.predict("classes", {"instances": [[1, 2]]})
        self.assertEqual(answer.status, 400)
        self.assertIn("takes one picture at a time", answer.json["error"])

    def test_what_is_wrong_is_told(self):
        for model, body, status, said in (
                ("nobody", {"instances": [1]}, 404, "no model 'nobody'"),
                ("add-one", {"inputs": [1]}, 400, "'inputs' is not offered here"),
                ("bools", {"instances": [[True]]}, 400, "input 'x' must have shape"),
                ("identity", {"instances": [["a", 2]]}, 400, "inputs[0].data"),
                ("identity", {"instances": [[1, 2], [3]]}, 400, "inputs[0].data"),
                ("sum", {"instances": [[1, 2, 3]]}, 400, "instances[0] must be an object of the model's inputs: a, b"),
                ("rows", {"instances": [[1]]}, 400, "takes 20 features; got 1")):
            answer = self.predict(model, body)
            self.assertEqual(answer.status, status, answer)
            self.assertIn(said, answer.json["error"])
        self.assertEqual(self.server.post_json("/v1/models/rows:explain", {"instances": [1]}).status, 501)
        self.assertEqual(self.server.post_json("/v1/models/rows", {"instances": [1]}).status, 405)
        self.assertEqual(self.server.get("/v1/models/rows:predict").status, 405)

    def test_models_are_listed_and_ready(self):
        self.assertIn("add-one", self.server.get("/v2/models").json["models"])
        answer = self.server.get("/v1/models/add-one")
        self.assertEqual((answer.status, answer.json), (200, {"name": "add-one", "ready": True}))
        self.assertEqual(self.server.get("/v1/models/nobody").status, 404)

    def test_invocations_go_where_their_content_says(self):
        self.assertEqual(self.server.get("/ping").status, 200)
        self.assertEqual(self.server.post("/invocations", PHOTO, "image/jpeg").json["model"], "classes")
        # Without a name it is the default model for rows, as of /predict-single.
        self.assertEqual(self.server.post_json("/invocations", {"features": [0, 1, 0, 0]}).json["prediction"], 1)
        self.assertEqual(self.server.post_json("/invocations", {"instances": [[0, 0, 1, 0]]}).json["predictions"], [2])
        answer = self.server.post_json("/invocations", {"inputs": []})
        self.assertEqual(answer.status, 400)
        self.assertIn("send 'inputs' to /v2/models/NAME/infer", answer.json["error"])
        self.assertEqual(self.server.post("/invocations", b"{", "application/json").status, 400)
        self.assert_error(self.server.post("/invocations", b"1,2", "text/csv"), 415, "UNSUPPORTED_MEDIA_TYPE",
                          "Content-Type is 'text/csv'; accepted: application/json")

    def test_null_members_are_absent_ones(self):
        tensor = {"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4], "parameters": None}
        for body in ({"id": None}, {"parameters": None}, {"outputs": None}, {"model_name": None},
                     {"outputs": [{"name": "y", "parameters": None}]}):
            answer = self.server.post_json("/v2/models/add-one/infer", {"inputs": [tensor]} | body)
            self.assertEqual(answer.status, 200, (body, answer))
            self.assertNotIn("id", answer.json)
        self.assertEqual(self.server.post_json("/v2/models/add-one/infer", {"inputs": None}).status, 400)


class OneModel(unittest.TestCase):
    """A container with one model, as platforms run it."""

    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="podsense-test-"))
        self.addCleanup(shutil.rmtree, self.root)

    def test_the_only_model_needs_no_name(self):
        make_repository(self.root)
        for other in self.root.iterdir():
            if other.name != "sum":
                shutil.rmtree(other)
        with Server(models=self.root) as server:
            tensor = {"datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3]}
            answer = server.post_json("/invocations", {"inputs": [{"name": "a"} | tensor, {"name": "b"} | tensor]})
            self.assertEqual(answer.json["outputs"][0]["data"], [2, 4, 6], answer)
            answer = server.post_json("/invocations", {"instances": [{"a": [1, 2, 3], "b": [1, 1, 1]}]})
            self.assertEqual(answer.json["predictions"], [{"sum": [2, 3, 4], "product": [1, 2, 3]}], answer)

    def test_vertex_chooses_port_and_paths(self):
        shutil.copytree(MODELS / "random-forest", self.root / "random-forest")
        environment = {"AIP_HEALTH_ROUTE": "/v1/endpoints/1/deployedModels/2",
                       "AIP_PREDICT_ROUTE": "/v1/endpoints/1/deployedModels/2:predict", "AIP_HTTP_PORT": "1"}
        # --http-port of the tests is stronger than AIP_HTTP_PORT.
        with Server(models=self.root, env=environment) as server:
            self.assertEqual(server.get(environment["AIP_HEALTH_ROUTE"]).status, 200)
            answer = server.post_json(environment["AIP_PREDICT_ROUTE"], {"instances": [[0.5] * 20], "parameters": {}})
            self.assertEqual(len(answer.json["predictions"]), 1, answer)
        with Server(models=self.root, env={"AIP_HEALTH_ROUTE": "/health", "AIP_PREDICT_ROUTE": "/predict"}) as server:
            self.assertIn("models", server.get("/health").json, "its own health is health, too")
            answer = server.post_json("/predict", {"instances": [[0.5] * 20]})
            self.assertEqual(len(answer.json["predictions"]), 1, answer)
