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
