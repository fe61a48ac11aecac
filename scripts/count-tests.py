#!/usr/bin/env python3
"""Adds up JUnit files of ctest, unittest and Terraform and ends with one line: N passed, N failed, N skipped.

Before it come the names of the tests that failed and the ends of what they printed: in a long
record that is cut at the front, this is what has to be left.
"""

import pathlib
import sys
import xml.etree.ElementTree as ElementTree

LINES = 40  # of a failed test's output


def failures(suite, path):
    """What is to be read of each failed case: its file, its name and the end of its output."""
    for case in suite.findall("testcase"):
        faults = [part for part in case if part.tag in ("failure", "error")]
        if not faults:
            continue
        said = [part.text or part.get("message", "") for part in [*faults, *case.findall("system-out")]]
        lines = "\n".join(said).strip().splitlines()
        yield "\n    ".join([f"failed: {path}: {case.get('name')}", *lines[-LINES:]])


def main():
    total = failed = skipped = 0
    for path in map(pathlib.Path, sys.argv[1:]):
        if not path.exists():
            print(f"{path}: not there, its suite did not run", file=sys.stderr)
            continue
        # The root is the suite, but Terraform's holds one for each file.
        for suite in ElementTree.parse(path).getroot().iter("testsuite"):
            total += int(suite.get("tests", 0))
            failed += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
            skipped += int(suite.get("skipped", 0)) + int(suite.get("disabled", 0))
            for told in failures(suite, path):
                print(told)
    print(f"{total - failed - skipped} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not total else 0


if __name__ == "__main__":
    sys.exit(main())
