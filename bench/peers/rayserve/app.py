"""Ray Serve as its documentation shows it: a deployment class behind the HTTP proxy, one replica (one CPU)
a core, no dashboard. Environment: MODELS, PORT.
"""

import os
import signal
from pathlib import Path

import numpy as np
import onnxruntime as ort
import ray
from ray import serve
from starlette.requests import Request

CORES = len(os.sched_getaffinity(0))


@serve.deployment(num_replicas=CORES, ray_actor_options={"num_cpus": 1}, max_ongoing_requests=64)
class Forest:
    def __init__(self):
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        path = Path(os.environ["MODELS"]) / "random-forest/1/model.onnx"
        self.session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name

    async def __call__(self, request: Request):
        rows = np.asarray([(await request.json())["features"]], dtype=np.float32)
        label, probabilities = self.session.run(None, {self.input: rows})
        return {"prediction": int(label[0]), "probabilities": probabilities[0].tolist()}


if __name__ == "__main__":
    ray.init(address="local", num_cpus=CORES, include_dashboard=False, log_to_driver=False,
             logging_level="error")
    serve.start(http_options={"host": "127.0.0.1", "port": int(os.environ["PORT"])},
                logging_config={"enable_access_log": False, "log_level": "ERROR"})
    serve.run(Forest.bind(), route_prefix="/predict-single")
    signal.sigwait([signal.SIGTERM, signal.SIGINT])
    serve.shutdown()
    ray.shutdown()
