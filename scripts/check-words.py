#!/usr/bin/env python3
"""Flags wording in pages and comments that readers stumbled over, with what to say instead. File names come NUL-separated
on standard input, as scripts/sources.sh prints them; one line a fault.

A pattern is for wording that is wrong everywhere. Not checked: CHANGELOG.md, code, fenced blocks and code spans. Names that were given up
stay out of code, too.
"""

import pathlib
import re
import sys

WORDS = [
    # People are told; things are not.
    (r"\btold (?:by|once|from|before|on)\b|\b(?:fault|flag|reason|change|format|kind)s? (?:is|are|was|were) told\b", "told",
     "reported, said, recognised by"),
    (r"\b(?:whoever|Whoever)\b", "whoever", "anyone who, those who"),
    (r"\bwithin a twentieth\b|\b(?:by|than|of) a twentieth\b", "a twentieth", "5 %"),
    (r"\b[Ff]or lack of\b", "for lack of", "because there is no"),
    (r"\bwhat (?:is|was) wanted\b|\bwanted nothing\b", "what is wanted", "what is needed, what was asked for"),
    (r"(?<!as it )\bstands? in\b(?! (?:for|place|the order)\b)", "stands in", "is in"),
    (r"\blies? (?:on disk|beside|here\b|on the admin|in this repository|in private|in other files|in a folder|in `|in \[(?!\d))",
     "lies in", "is in"),
    (r"\b(?:[Hh]opeless)(?:ly)?\b", "hopeless", "cannot be done in time"),
    (r"\b(?:seem|seems|seemed|look|looks|looked|is|are) dear\b", "dear", "expensive"),
    (r"(?i)\brooms\b|\b(?:this|each|every|another|own|other) room\b", "room", "module"),
    (r"\bfor ever\b", "for ever", "forever"),
    (r"\bnone such\b", "none such", "no such THING"),
    (r"\b(?:lets?|letting) go of\b", "let go of", "release"),
    (r"\bas (?:they|it) comes?\b(?! (?:from|to|out))", "as they come", "in the order of arrival, unchanged"),
    (r"\bof which (?:larger|smaller|more|fewer)\b", "of which", "that benefits from …"),
    (r"\bbefalls?\b|\bwith a straight face\b", "idiom", "the plain word"),
    (r"\bso many bytes\b", "so many bytes", "this many bytes"),
]

# What was named otherwise once, and what it is called now.
OLD_NAMES = [
    (r"\b\w*LoopTurn\w*\b", "LoopBatch, LoopBatchRef"),
    (r"\bshake_hands\w*\b", "handshake"),
    (r"\b(?:podsense|check|test)_rooms?\b", "podsense_module, check_modules"),
]


def prose(name, text):
    """(line number, text) of what people read."""
    if name.endswith(".md"):
        fenced = False
        for number, line in enumerate(text.splitlines(), 1):
            if line.lstrip().startswith("```"):
                fenced = not fenced
            elif not fenced:
                yield number, re.sub(r"`[^`]*`", lambda match: "`" * len(match[0]), line)
        return
    marks = r"(?:^|\s)//+[/!<]*" if name.endswith((".h", ".cc")) else r"(?:^|\s)#+(?!!)"
    for number, line in enumerate(text.splitlines(), 1):
        match = re.search(marks + r"\s(.*)", line)
        if match:
            yield number, match[1]


def faults_of(name, text):
    for number, line in prose(name, text):
        for pattern, word, instead in WORDS:
            if re.search(pattern, line):
                yield f"{name}:{number}: '{word}': say {instead}"


def old_names(name, text):
    for number, line in enumerate(text.splitlines(), 1):
        for pattern, now in OLD_NAMES:
            if match := re.search(pattern, line):
                yield f"{name}:{number}: '{match[0]}': it is called {now}"


def has_code(name):
    return name.endswith((".h", ".cc", ".py", ".sh", "CMakeLists.txt", ".cmake")) and not name.endswith(("words_test.py", "check-words.py"))


def is_checked(name):
    if name.startswith(("fuzz/seeds/", "k8s/", "bench/results/")) or name in ("CHANGELOG.md", "tests/scripts/words_test.py"):
        return False
    return name.endswith((".md", ".h", ".cc", ".sh", ".py", ".yaml", "CMakeLists.txt", ".cmake", "Makefile", "Dockerfile"))


def main():
    faults = []
    for name in sys.stdin.read().split("\0"):
        rules = [rule for rule, applies in ((faults_of, is_checked), (old_names, has_code)) if applies(name)]
        text = pathlib.Path(name).read_text("utf-8", errors="replace") if rules else ""
        for rule in rules:
            faults += rule(name, text)
    print(*faults, sep="\n", end="\n" if faults else "")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
