"""MLServer as its documentation shows it: a custom runtime (MLModel) beside its model-settings.json,
parallel inference with one worker process a core (MLSERVER_PARALLEL_WORKERS), numpy codec, metrics and
gRPC on. Speaks the Open Inference Protocol. Environment: MODELS.
"""

import os
from pathlib import Path

import numpy as np
import onnxruntime as ort
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Forest(MLModel):
    async def load(self) -> bool:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        path = Path(os.environ["MODELS"]) / "random-forest/1/model.onnx"
        self.session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        rows = NumpyCodec.decode_input(payload.inputs[0]).astype(np.float32)
        label, probabilities = self.session.run(None, {self.input: rows})
        return InferenceResponse(model_name=self.name, outputs=[
            NumpyCodec.encode_output("label", label),
            NumpyCodec.encode_output("probabilities", probabilities)])
