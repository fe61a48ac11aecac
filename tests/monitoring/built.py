"""Programs of others that scripts build once: used where they have been built, or are asked for."""

import os
import subprocess
import unittest
import urllib.request

import panels


def find(script, variable, target):
    """What the script prints. Skips the tests where nothing has been built and `variable` does not say `build`."""
    command = [panels.ROOT / "scripts" / script]
    if os.environ.get(variable) != "build":
        command.append("--cached")
    found = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if found.returncode == 3:
        raise unittest.SkipTest(f"it has not been built: make {target}")
    if found.returncode != 0:
        raise AssertionError(f"scripts/{script} failed")
    return found.stdout.strip()


def answers(process, log, url):
    """Whether `process`, which writes to `log`, answers there; fails once it has ended."""
    if process.poll() is not None:
        log.seek(0)
        raise AssertionError(f"{process.args[0]} ended: {log.read()[-2000:]}")
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False
