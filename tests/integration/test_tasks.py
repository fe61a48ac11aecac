"""What models are used for, over HTTP: numbers instead of classes, boxes in pictures."""

import base64
import shutil
import tempfile
import unittest
from pathlib import Path

from harness import ServerCase, photo
from oip_models import TINY

MANIFESTS = {
    "regressor": "task: tabular-regression\n",
    "regressor_several": "task: tabular-regression\n",
    "tabular": "",
    "tabular_columns": "",
    "tabular_double": "",
    "tabular_logits": "task: tabular-classification\n",
    "detect_yolov8": "task: object-detection\nlabels: [cat, dog]\npreprocess: {scale: 1}\n",
}
ROW = [1.0] + [0.0] * 19


class TasksCase(ServerCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="podsense-tasks-")
        cls.addClassCleanup(folder.cleanup)
        cls.MODELS = Path(folder.name)
        for name, manifest in MANIFESTS.items():
            version = cls.MODELS / name / "1"
            version.mkdir(parents=True)
            shutil.copy(TINY / f"{name}.onnx", version / "model.onnx")
            (cls.MODELS / name / "model.yaml").write_text(manifest)
        super().setUpClass()

    def ask(self, path, body):
        answer = self.server.post_json(path, body)
        self.assertEqual(answer.status, 200, answer.text)
        return answer.json


class Regression(TasksCase):
    def test_one_number(self):
        answer = self.ask("/predict-single", {"features": ROW, "model": "regressor"})
        self.assertEqual(answer["value"], 0.05)
        self.assertNotIn("prediction", answer)
        self.assertNotIn("probabilities", answer)

    def test_several_are_a_list(self):
        answer = self.ask("/predict-single", {"features": ROW, "model": "regressor_several"})
        self.assertEqual(answer["value"], [0, 1, 1])

    def test_a_batch(self):
        rows = [[float(i)] + ROW[1:] for i in range(3)]
        answer = self.ask("/predict-batch", {"instances": rows, "model": "regressor_several"})
        self.assertEqual(answer["predictions"], [{"value": [0, i, i]} for i in range(3)])

    def test_v1_infer_answers_the_same(self):
        answer = self.ask("/v1/infer", {"features": ROW, "model": "regressor"})
        self.assertEqual(answer["value"], 0.05)

    def test_a_classifier_is_the_default(self):
        self.assertEqual(self.ask("/predict-single", {"features": ROW})["model"], "tabular")


class Classification(TasksCase):
    def test_columns_by_the_names_of_the_inputs(self):
        rows = [{"age": 41, "city": "Berlin", "member": False}, {"member": False, "age": None, "city": "Köln"}]
        answer = self.ask("/predict-batch", {"instances": rows, "model": "tabular_columns"})
        self.assertEqual([one["prediction"] for one in answer["predictions"]], [1, 0])
        for path, field in (("/predict-single", "features"), ("/v1/infer", "features")):
            self.assertEqual(self.ask(path, {field: rows[0], "model": "tabular_columns"})["label"], "1")

    def test_doubles_are_exact(self):
        answer = self.ask("/predict-batch", {"instances": [[0.1, 0.1], [0.10000000001, 0.1]], "model": "tabular_double"})
        self.assertEqual([one["probabilities"] for one in answer["predictions"]], [[1, 0], [0.5, 0.5]])
        answer = self.ask("/v1/infer", {"features": [0.1, 0.1], "model": "tabular_double"})
        self.assertEqual(answer["probabilities"], [1, 0])

    def test_logits_are_scores(self):
        answer = self.ask("/predict-single", {"features": [0.5, 3, -1] + [0] * 17, "model": "tabular_logits"})
        self.assertEqual((answer["prediction"], answer["label"], answer["scores"]), (1, "1", [0.5, 3, -1]))
        self.assertNotIn("probabilities", answer)
        warnings = self.server.get("/health").json["warnings"]
        self.assertTrue(any("tabular_logits/1: its scores are no probabilities" in one for one in warnings), warnings)


class Detection(TasksCase):
    def check(self, answer):
        self.assertEqual(answer["picture"], {"width": 640, "height": 480})
        self.assertEqual([one["label"] for one in answer["predictions"]], ["dog", "cat", "dog"])
        first = answer["predictions"][0]
        self.assertEqual((first["class"], first["score"]), (1, 0.9))
        self.assertEqual(first["box"], {"x_min": 160, "y_min": 60, "x_max": 320, "y_max": 180})

    def test_boxes_are_in_pixels_of_the_picture(self):
        answer = self.server.post("/predict?model=detect_yolov8", photo(), "image/jpeg")
        self.assertEqual(answer.status, 200, answer.text)
        self.check(answer.json)

    def test_the_only_model_for_pictures_is_the_default(self):
        self.check(self.ask("/v1/infer", {"image": base64.b64encode(photo()).decode()}))

    def test_top_k_is_the_most_boxes(self):
        answer = self.ask("/predict", {"image": base64.b64encode(photo()).decode(), "top_k": 1})
        self.assertEqual(len(answer["predictions"]), 1)

    def test_health_names_the_defaults(self):
        defaults = self.server.get("/health").json["default_models"]
        self.assertEqual(defaults, {"object-detection": "detect_yolov8", "tabular-classification": "tabular",
                                    "tabular-regression": "regressor"})


if __name__ == "__main__":
    unittest.main(verbosity=2)
