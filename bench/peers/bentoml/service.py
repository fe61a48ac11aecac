"""BentoML as its documentation shows it: a service class, one worker a core. Environment: MODELS."""

import os
from pathlib import Path

import bentoml
import numpy as np
import onnxruntime as ort


@bentoml.service(workers="cpu_count", traffic={"timeout": 30})
class Forest:
    def __init__(self) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        path = Path(os.environ["MODELS"]) / "random-forest/1/model.onnx"
        self.session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name

    @bentoml.api(route="/predict-single")
    def predict_single(self, features: list[float]) -> dict:
        rows = np.asarray([features], dtype=np.float32)
        label, probabilities = self.session.run(None, {self.input: rows})
        return {"prediction": int(label[0]), "probabilities": probabilities[0].tolist()}
