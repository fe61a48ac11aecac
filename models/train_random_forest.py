#!/usr/bin/env python3
"""A random forest on 20 synthetic features, trained with scikit-learn, as ONNX.

RANDOM_STATE (default 42) and N_ESTIMATORS (default 100) come from the environment. 1,000 training
rows keep 100 trees below 1 MiB, so that the model loads in milliseconds; held-out accuracy and the
largest difference to scikit-learn's probabilities are printed, and too large a one fails.
"""

import json
import os
import sys

import numpy as np
import onnx
import onnxruntime
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier

FEATURES = 20
TRAINING_ROWS = 1000
HELD_OUT_ROWS = 4000
MAX_DIFFERENCE = 1e-5


def setting(name, default, low, high):
    text = os.environ.get(name) or str(default)
    if not text.isdecimal() or not low <= int(text) <= high:
        raise SystemExit(f"{name}={text}: must be a whole number from {low} to {high}")
    return int(text)


def main():
    if len(sys.argv) != 2:
        raise SystemExit("usage: train_random_forest.py OUTPUT.onnx")
    output = sys.argv[1]
    random_state = setting("RANDOM_STATE", 42, 0, 2**32 - 1)
    trees = setting("N_ESTIMATORS", 100, 1, 10_000)

    rows, classes = make_classification(
        n_samples=TRAINING_ROWS + HELD_OUT_ROWS,
        n_features=FEATURES,
        n_informative=10,
        n_redundant=5,
        random_state=random_state,
    )
    rows = rows.astype(np.float32)
    train, held_out = slice(TRAINING_ROWS), slice(TRAINING_ROWS, None)
    forest = RandomForestClassifier(n_estimators=trees, random_state=random_state, n_jobs=-1)
    forest.fit(rows[train], classes[train])

    model = to_onnx(
        forest,
        initial_types=[("features", FloatTensorType([None, FEATURES]))],
        options={id(forest): {"zipmap": False}},
        target_opset={"": 17, "ai.onnx.ml": 3},
    )
    model.ir_version = 9
    model.graph.name = "random_forest"  # skl2onnx's own name is random
    onnx.helper.set_model_props(
        model,
        {
            "labels": json.dumps([str(label) for label in forest.classes_]),
            "recipe": f"RANDOM_STATE={random_state} N_ESTIMATORS={trees}",
        },
    )
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, output)

    session = onnxruntime.InferenceSession(output, providers=["CPUExecutionProvider"])
    labels, probabilities = session.run(None, {"features": rows[held_out]})
    expected = forest.predict_proba(rows[held_out])
    report = {
        "random_state": random_state,
        "n_estimators": trees,
        "bytes": os.path.getsize(output),
        "held_out_accuracy": round(float((labels == classes[held_out]).mean()), 4),
        "max_difference_to_scikit_learn": float(np.abs(probabilities - expected).max()),
    }
    print(json.dumps(report))
    if report["max_difference_to_scikit_learn"] > MAX_DIFFERENCE:
        raise SystemExit("the ONNX model does not answer as scikit-learn does")


if __name__ == "__main__":
    main()
