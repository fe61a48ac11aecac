"""A model repository of tiny models for the tests of the Open Inference Protocol."""

import shutil

from harness import ROOT

TINY = ROOT / "src/model/testdata/tiny"
# name: file, model.yaml
MODELS = {
    "add-one": ("add_one.onnx", None),  # x FP32 [-1,4] -> y
    "bools": ("not_bool.onnx", None),  # x BOOL [-1] -> y
    "classes": ("conv_softmax.onnx", "task: image-classification\n"),  # image FP32 [-1,3,8,8] -> probabilities [-1,4]
    "fixed": ("fixed_batch2.onnx", None),  # x FP32 [2,3] -> y
    "identity": ("identity_dyn.onnx", None),  # x FP32 [-1,-1] -> y
    "longs": ("int64_double.onnx", None),  # x INT64 [-1,2] -> y
    "pick": ("gather_fail.onnx", None),  # idx INT64 [-1] -> y, fails beyond its table
    "pixels": ("image_u8_nhwc.onnx", None),  # image UINT8 [-1,8,8,3] -> probabilities
    "rows": ("tabular.onnx", None),  # features FP32 [-1,20] -> label, probabilities
    "sum": ("sum_two_inputs.onnx", None),  # a, b FP32 [-1,3] -> sum, product
    "texts": ("strings.onnx", None),  # x BYTES [-1] -> y
    "busy": (None, "task: simulated\nsimulated: {cpu_ms: 1}\n"),
}
BROKEN = "broken"


def make_repository(folder, broken=False):
    """All models, each in version 1; `broken` adds one that cannot be loaded."""
    for name, (file, manifest) in MODELS.items():
        version = folder / name / "1"
        version.mkdir(parents=True)
        if file:
            shutil.copy(TINY / file, version / "model.onnx")
        if manifest:
            (folder / name / "model.yaml").write_text(manifest)
    if broken:
        (folder / BROKEN / "1").mkdir(parents=True)
        (folder / BROKEN / "1/model.onnx").write_bytes(b"not a model")
    return folder
