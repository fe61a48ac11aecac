"""What the tests of `podsense load` need from PyPI, in a virtual environment made once."""

import functools
import json
import subprocess
import sys
from pathlib import Path

from harness import ROOT

VENV_LIMIT = 600  # seconds, on the first use


@functools.cache
def venv():
    made = subprocess.run([ROOT / "scripts/venv.sh", "load",
                           Path(__file__).with_name("load-requirements.txt")],
                          check=True, capture_output=True, text=True, timeout=VENV_LIMIT)
    return Path(made.stdout.strip())


def use_packages():
    """Lets this interpreter, which the environment was made for, import what is in there."""
    sys.path += [str(path) for path in venv().glob("lib/python3*/site-packages")]


def schema_faults(report):
    """Where a report does not follow docs/reference/load-report.schema.json; empty: nowhere."""
    use_packages()
    import jsonschema
    schema = json.loads((ROOT / "docs/reference/load-report.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    found = jsonschema.Draft202012Validator(schema).iter_errors(report)
    return "\n".join(f"{error.json_path}: {error.message[:300]}" for error in found)
