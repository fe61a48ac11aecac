#!/usr/bin/env python3
"""Adds up JUnit files of ctest, unittest and Terraform and ends with one line: N passed, N failed, N skipped."""

import pathlib
import sys
import xml.etree.ElementTree as ElementTree


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
    print(f"{total - failed - skipped} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not total else 0


if __name__ == "__main__":
    sys.exit(main())
