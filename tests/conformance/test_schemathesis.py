"""schemathesis against the server's own /openapi.json: no answer that the document does not name."""

import subprocess
import sys
import unittest
from pathlib import Path

from repository import ConformanceCase

HERE = Path(__file__).resolve().parent
SCHEMATHESIS = Path(sys.executable).parent / "schemathesis"


class Schemathesis(ConformanceCase):
    FLAGS = ("--no-fetch",)

    def test_openapi_document(self):
        done = subprocess.run(
            [SCHEMATHESIS, "--config-file", HERE / "schemathesis.toml", "run", f"http://{self.url}/openapi.json", "--url", f"http://{self.url}",
             "--exclude-path-regex", "^/v1/reload|^/v2/repository|^/metrics",
             "--max-examples", "30", "--seed", "1", "--phases", "examples,coverage,fuzzing",
             "--generation-database", "none", "--no-color"],
            capture_output=True, text=True, timeout=800, check=False)
        self.assertEqual(done.returncode, 0, done.stdout[-12000:] + done.stderr[-2000:])


if __name__ == "__main__":
    unittest.main(verbosity=2)
