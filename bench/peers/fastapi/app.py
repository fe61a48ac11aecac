"""The usual script: FastAPI, uvicorn, ONNX Runtime, Pillow. Environment: MODELS, IMAGE_VERSION.

/predict-single is a plain `def`, which FastAPI runs on its thread pool; /predict-single-async is an
`async def`, on the event loop: the faster form for a model this small.
"""

import io
import os
from pathlib import Path

import numpy as np
import onnxruntime as ort
from fastapi import FastAPI, Request
from PIL import Image
from pydantic import BaseModel

MODELS = Path(os.environ["MODELS"])
app = FastAPI()


def session(path):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1  # a worker a core: more threads only get in each other's way
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


forest = session(MODELS / "random-forest/1/model.onnx")
picture = session(MODELS / f"efficientnet-lite0/{os.environ.get('IMAGE_VERSION', '1')}/model.onnx")
FEATURES = forest.get_inputs()[0].name
IMAGE = picture.get_inputs()[0]


class Row(BaseModel):
    features: list[float]


def run_forest(row):
    label, probabilities = forest.run(None, {FEATURES: np.asarray([row.features], dtype=np.float32)})
    return {"prediction": int(label[0]), "probabilities": probabilities[0].tolist()}


@app.get("/health")
def health():
    return {"status": "ok"}


@app.post("/predict-single")
def predict_single(row: Row):
    return run_forest(row)


@app.post("/predict-single-async")
async def predict_single_async(row: Row):
    return run_forest(row)


def classify(body):
    image = Image.open(io.BytesIO(body)).convert("RGB")
    side = round(min(image.size) * 0.875)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    image = image.crop((left, top, left + side, top + side)).resize((224, 224), Image.Resampling.BICUBIC)
    pixels = np.asarray(image)
    if "uint8" in IMAGE.type:
        tensor = pixels[None]
    else:
        tensor = ((pixels.astype(np.float32) - 127) / 128)[None]
    if IMAGE.shape[1] == 3:
        tensor = np.ascontiguousarray(tensor.transpose(0, 3, 1, 2))
    scores = picture.run(None, {IMAGE.name: tensor})[0][0]
    best = np.argsort(scores)[::-1][:5]
    return {"predictions": [{"class": int(i), "score": float(scores[i])} for i in best]}


@app.post("/predict")
async def predict(request: Request):
    return classify(await request.body())
