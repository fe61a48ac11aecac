#!/usr/bin/env python3
"""`python3 -m unittest` that besides writes what count-tests.py adds up.

    scripts/python-tests.py FILE.xml [ARGUMENTS OF unittest…]
"""

import pathlib
import sys
import unittest
import xml.etree.ElementTree as ElementTree


class Counted(unittest.TextTestResult):
    def __init__(self, *arguments, **more):
        super().__init__(*arguments, **more)
        self.passed = 0

    def addSuccess(self, test):  # noqa: N802  # unittest's own name
        super().addSuccess(test)
        self.passed += 1


class Runner(unittest.TextTestRunner):
    resultclass = Counted


def write(path, result):
    failed = {test.id(): "passed, which was not expected" for test in result.unexpectedSuccesses}
    for test, trace in result.failures + result.errors:
        failed[getattr(test, "test_case", test).id()] = trace  # subtests are one
    tests = result.passed + len(failed) + len(result.skipped)
    suite = ElementTree.Element("testsuite", name=path.stem, tests=str(tests), failures=str(len(failed)),
                                errors="0", skipped=str(len(result.skipped)))
    for name, trace in sorted(failed.items()):
        ElementTree.SubElement(ElementTree.SubElement(suite, "testcase", name=name), "failure").text = trace
    path.parent.mkdir(parents=True, exist_ok=True)
    ElementTree.ElementTree(suite).write(path, encoding="utf-8")


def main():
    path = pathlib.Path(sys.argv[1])
    path.unlink(missing_ok=True)
    sys.path.insert(0, "")  # as `python3 -m` has it
    result = unittest.main(module=None, argv=["unittest", *sys.argv[2:]], testRunner=Runner, exit=False).result
    write(path, result)
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
