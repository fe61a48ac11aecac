"""schemathesis against the server's own /openapi.json: no answer that the document does not name, no
answer of another form, and nothing taken that the document says is refused."""

import os
import re
import subprocess
import sys
import unittest
from pathlib import Path

from repository import ConformanceCase

HERE = Path(__file__).resolve().parent
SCHEMATHESIS = Path(sys.executable).parent / "schemathesis"


class Schemathesis(ConformanceCase):
    # Simulated work of up to a minute is taken: here it is cut short.
    FLAGS = ("--no-fetch", "--request-timeout", "200ms")

    def test_openapi_document(self):
        # OPENAPI=web/openapi.json tries an edited document without building it in.
        document = os.environ.get("OPENAPI", f"http://{self.url}/openapi.json")
        done = subprocess.run(
            [SCHEMATHESIS, "--config-file", HERE / "schemathesis.toml", "run", document,
             "--url", f"http://{self.url}", "--phases", "examples,coverage,fuzzing",
             # These answer on the admin port; explanations are always 501.
             "--exclude-path-regex", "^/v1/(reload|log-level|faults)|^/v2/repository|^/metrics|:explain$",
             "--max-examples", "15", "--seed", "1", "--generation-database", "none", "--no-color"],
            capture_output=True, text=True, timeout=300, check=False, cwd=self.repository)
        self.assertEqual(done.returncode, 0, done.stdout[-12000:] + done.stderr[-2000:])
        cases = int(re.search(r"(\d+) generated", done.stdout)[1])
        self.assertGreater(cases, 1000, done.stdout[-2000:])
        self.assertEqual([line for line in self.server.log_lines("request") if line["status"] == 500],
                         [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
