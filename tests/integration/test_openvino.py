"""OpenVINO as a second engine. Only for a binary that was built with it (OPENVINO=1)."""

import tempfile
import unittest
from pathlib import Path

import test_golden
from harness import copy_models


class GoldenThroughOpenVino(test_golden.Golden):
    """The same pictures and the same bar, with another engine."""

    def test_top_1_agrees_on_real_photographs(self):
        photos = test_golden.photographs(self)
        with tempfile.TemporaryDirectory() as folder:
            models = copy_models(Path(folder), "efficientnet-lite0")
            manifest = models / "efficientnet-lite0/model.yaml"
            text = manifest.read_text().replace("policy: latest", "policy: all")
            manifest.write_text(text + "backend: openvino\n")
            self.compare_versions(models, photos, "openvino")


if __name__ == "__main__":
    unittest.main(verbosity=2)
