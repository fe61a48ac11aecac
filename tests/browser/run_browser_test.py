#!/usr/bin/env python3
"""Starts the real server and runs browser_test.py against it; screenshots go to the folder given.

    run_browser_test.py SCREENSHOTS        environment: as tests/integration/harness.py
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))

from harness import GOLDEN, Origin, Server  # noqa: E402  the path has to be set first
from oip_models import TINY  # noqa: E402

PHOTO = GOLDEN / "photos/imagenet_04_949.jpg"


def main() -> int:
    key = "browser-0123456789abcdef"
    with tempfile.NamedTemporaryFile("w") as keys:
        print(f"browser:{key}", file=keys, flush=True)
        with tempfile.TemporaryDirectory() as folder:
            detector = Path(folder) / "detector"
            (detector / "1").mkdir(parents=True)
            shutil.copy(TINY / "detect_yolov8.onnx", detector / "1/model.onnx")
            (detector / "model.yaml").write_text(
                "task: object-detection\nlabels: [cat, dog]\npreprocess: {scale: 1}\n")
            with Server() as server, Server("--auth-api-keys", keys.name) as keyed, \
                    Server(models=Path(folder)) as detecting, \
                    Server("--cors-origins", f"http://127.0.0.1:{server.http_port}") as other, \
                    Origin({"/photo.jpg": (200, {}, PHOTO.read_bytes())}) as origin, \
                    Server(*origin.flags) as fetching:
                return test(server, keyed, key, detecting, other, fetching, origin)


def test(server, keyed, key, detecting, other, fetching, origin) -> int:
    return subprocess.run(
        [sys.executable, HERE / "browser_test.py", "--base", f"http://127.0.0.1:{server.http_port}",
         "--detector", f"http://127.0.0.1:{detecting.http_port}",
         "--fetching", f"http://127.0.0.1:{fetching.http_port}",
         "--picture-url", origin.url("/photo.jpg"),
         "--other-grpc", f"http://127.0.0.1:{other.grpc_port}",
         "--keyed", f"http://127.0.0.1:{keyed.http_port}", "--key", key,
         "--image", PHOTO, "--expect-label", "strawberry",
         "--screenshots", *sys.argv[1:]], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
