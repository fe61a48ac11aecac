#!/usr/bin/env python3
"""Starts the real server and runs browser_test.py against it; screenshots go to the folder given.

    run_browser_test.py SCREENSHOTS        environment: as tests/integration/harness.py
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))

from harness import GOLDEN, Server  # noqa: E402  the path has to be set first


def main() -> int:
    with Server() as server:
        return subprocess.run(
            [sys.executable, HERE / "browser_test.py", "--base", f"http://127.0.0.1:{server.http_port}",
             "--image", GOLDEN / "photos/imagenet_04_949.jpg", "--expect-label", "strawberry",
             "--screenshots", sys.argv[1]], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
