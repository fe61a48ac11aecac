"""LitServe as its documentation shows it: a LitAPI, one worker a core. Environment: MODELS, PORT."""

import os
from pathlib import Path

import litserve
import numpy as np
import onnxruntime as ort


class Forest(litserve.LitAPI):
    def setup(self, device):
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        path = Path(os.environ["MODELS"]) / "random-forest/1/model.onnx"
        self.session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name

    def decode_request(self, request):
        return np.asarray([request["features"]], dtype=np.float32)

    def predict(self, rows):
        return self.session.run(None, {self.input: rows})

    def encode_response(self, output):
        label, probabilities = output
        return {"prediction": int(label[0]), "probabilities": probabilities[0].tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(Forest(api_path="/predict-single"), accelerator="cpu",
                                workers_per_device=len(os.sched_getaffinity(0)))
    server.run(host="127.0.0.1", port=int(os.environ["PORT"]), generate_client_file=False,
               log_level="error")
