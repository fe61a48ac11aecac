"""The whole server agrees with the reference pipeline (Pillow, ONNX Runtime in Python)."""

import json
import tempfile
import unittest
from pathlib import Path

from harness import GOLDEN, RawClient, Server, copy_models, get, post

AGREEMENT = 0.98


def photographs(case):
    if not (GOLDEN / "golden.json").exists():
        case.fail(f"no golden set in {GOLDEN}: run `make golden`")
    photos = json.loads((GOLDEN / "golden.json").read_text())["photos"]
    case.assertGreater(len(photos), 20)
    return photos


class Golden(unittest.TestCase):
    def test_top_1_agrees_on_real_photographs(self):
        photos = photographs(self)
        with tempfile.TemporaryDirectory() as folder:
            models = copy_models(Path(folder), "efficientnet-lite0")
            manifest = models / "efficientnet-lite0/model.yaml"
            manifest.write_text(manifest.read_text().replace("policy: latest", "policy: all"))
            self.compare_versions(models, photos, "onnxruntime")

    def compare_versions(self, models, photos, backend):
        with Server("--max-body-bytes", "50MB", models=models) as server, \
                RawClient(server.http_port) as client:
            for version, which in (("1", "fp32"), ("2", "int8")):
                url = f"/v2/models/efficientnet-lite0/versions/{version}/config"
                self.assertEqual(client.exchange(get(url)).json["backend"], backend)
                self.compare(client, photos, version, which)

    def compare(self, client, photos, version, which):
        different = []
        for entry in photos:
            data = (GOLDEN / entry["file"]).read_bytes()
            answer = client.exchange(post(f"/predict?version={version}", data))
            self.assertEqual(answer.status, 200, (entry["file"], answer))
            self.assertEqual(answer.json["version"], version)
            ours, theirs = answer.json["predictions"], entry["top5"][which]
            if ours[0]["class"] != theirs[0]["class"]:
                scores = [(p["class"], round(p["score"], 4)) for p in ours[:3]]
                wanted = [(p["class"], round(p["score"], 4)) for p in theirs[:3]]
                different.append(f"{entry['file']}: server {scores}, reference {wanted}")
        agreed = 1 - len(different) / len(photos)
        print(f"{which}: top-1 agrees on {len(photos) - len(different)} of {len(photos)}")
        for line in different:
            print(" ", line)
        self.assertGreaterEqual(agreed, AGREEMENT, different)


if __name__ == "__main__":
    unittest.main(verbosity=2)
