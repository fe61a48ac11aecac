#!/usr/bin/env python3
"""Rules that hold for every file of the project: size, whitespace, and what must not be in any.

usage: scripts/sources.sh all | scripts/check-text.py
"""

import os
import pathlib
import re
import sys

MAX_BYTES = 1 << 20
MAX_LINES = 600  # of source code; a longer file has more than one subject
MAX_TEST_LINES = 1000  # tables of cases

CODE = {".cc", ".h", ".py", ".sh", ".js", ".css", ".cmake"}
# Where a tab or a trailing blank is syntax or somebody else's text.
FREE_WHITESPACE = {".md", ".patch", ".svg"}
TABS_ARE_SYNTAX = {"Makefile", ".gitmodules"}

# Built from parts, so that this file passes its own check.
HOSTS = ["deb.debian" + ".org", "security.debian" + ".org", "pypi" + ".org",
         "files.pythonhosted" + ".org", "registry.npmjs" + ".org", "proxy.golang" + ".org",
         "crates" + ".io", "repo1.maven" + ".org"]  # fmt: skip
FORBIDDEN = [
    (re.compile("|".join(map(re.escape, HOSTS))), "address of a package registry"),
    (re.compile(r"(?<![\w.])/(?:root|work|home/\w+)/"), "path of one person's machine"),
    (re.compile(r"^(?:<{7}|>{7}|={7})(?: |$)", re.MULTILINE), "conflict marker"),
    (re.compile(r"-----BEGIN (?:\w+ )*PRIVATE " + "KEY-----"), "private key"),
]


def is_binary(data):
    return b"\0" in data[:8192]


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def text_faults(path, text):
    for pattern, what in FORBIDDEN:
        for match in pattern.finditer(text):
            yield line_of(text, match.start()), f"{what}: {match.group()}"
    if text and not text.endswith("\n"):
        yield line_of(text, len(text)), "no newline at the end"
    if "\r" in text:
        yield line_of(text, text.index("\r")), "carriage return"
    if path.suffix not in FREE_WHITESPACE:
        for match in re.finditer(r"[ \t]+$", text, re.MULTILINE):
            yield line_of(text, match.start()), "blank at the end of the line"
    if path.suffix in CODE:
        yield from code_faults(path, text)


def code_faults(path, text):
    lines = text.splitlines()
    limit = MAX_TEST_LINES if re.search(r"_test\.\w+$", path.name) else MAX_LINES
    if len(lines) > limit:
        yield len(lines), f"{len(lines)} lines; at most {limit}: split it by subject"
    for number, line in enumerate(lines, 1):
        if "\t" in line and path.name not in TABS_ARE_SYNTAX:
            yield number, "tab"


def file_faults(path):
    data = path.read_bytes()
    if len(data) > MAX_BYTES:
        yield 1, f"{len(data)} bytes; at most {MAX_BYTES}: make it by a recipe instead"
    if data.startswith(b"#!") and not os.access(path, os.X_OK):
        yield 1, "starts with #! but is not executable"
    if is_binary(data):
        return
    try:
        yield from text_faults(path, data.decode("utf-8"))
    except UnicodeDecodeError as error:
        if path.suffix in CODE | {".md", ".yaml", ".yml", ".txt"}:
            yield 1, f"not UTF-8: {error.reason} at byte {error.start}"


def is_test_data(path):
    """Seeds and hostile inputs are what they are."""
    return path.parts[:2] == ("fuzz", "seeds") or "testdata" in path.parts


def main():
    faults = 0
    for name in sys.stdin.read().split("\0"):
        path = pathlib.Path(name)
        if not name or not path.is_file():
            continue
        for line, fault in file_faults(path):
            if is_test_data(path) and "at most" not in fault:
                continue
            faults += 1
            print(f"{name}:{line}: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
