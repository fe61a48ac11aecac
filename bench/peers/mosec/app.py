"""Mosec as its documentation shows it: a Worker behind the Rust web server, one process a core.
Environment: MODELS. Flags: mosec's own (--address, --port, --timeout).
"""

import os
from pathlib import Path

import mosec
import numpy as np
import onnxruntime as ort


class Forest(mosec.Worker):
    def __init__(self):
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        path = Path(os.environ["MODELS"]) / "random-forest/1/model.onnx"
        self.session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name

    def forward(self, data: dict) -> dict:
        rows = np.asarray([data["features"]], dtype=np.float32)
        label, probabilities = self.session.run(None, {self.input: rows})
        return {"prediction": int(label[0]), "probabilities": probabilities[0].tolist()}


if __name__ == "__main__":
    server = mosec.Server()
    server.append_worker(Forest, num=len(os.sched_getaffinity(0)))
    server.run()
