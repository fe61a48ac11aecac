#!/usr/bin/env python3
"""Decision records: their form, and their index.

    adr.py check     every fault, one a line: a part that is missing or out of order, an index that is not current
    adr.py index     writes docs/adr/README.md from the records

A record is docs/adr/NNNN-name.md: `# N. Title`, `Status: accepted, YYYY-MM-DD` (or `superseded by [NNNN](file), date`; what
else is to be said of the status follows a semicolon), then Context, Decision, Consequences and Validation, in this order.
Other parts may stand between them.
"""

import argparse
import datetime
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
PARTS = ["Context", "Decision", "Consequences", "Validation"]
MAY_HAVE_HOLES = True
STATUS = re.compile(r"^Status: (accepted|superseded by \[\d{4}\]\(\d{4}-[\w-]+\.md\)), (\d{4}-\d\d-\d\d)(?:; (.+))?$", re.M)
HEAD = """# Decisions

A record says what was decided, why, what follows from it, and how that was checked. It is not changed when a later one
decides otherwise: its status then says which. A new one takes the next number; `scripts/adr.py index` writes this page.

| | decision | status | date |
|---|---|---|---|
"""


def records(folder):
    return sorted(path for path in folder.glob("*.md") if path.name != "README.md")


def faults_of(path):
    text = path.read_text("utf-8")
    name = re.fullmatch(r"(\d{4})-[a-z0-9-]+\.md", path.name)
    if not name:
        return ["its name is not NNNN-words.md"]
    faults = []
    if not re.match(rf"# {int(name[1])}\. \S", text):
        faults.append(f"its first line is not '# {int(name[1])}. Title'")
    status = STATUS.search(text)
    if not status:
        faults.append("it has no line 'Status: accepted, YYYY-MM-DD' or 'Status: superseded by [NNNN](file), YYYY-MM-DD'")
    elif not is_date(status[2]):
        faults.append(f"{status[2]} is no date")
    # Fenced blocks may hold lines that look like headings.
    headings = re.findall(r"^## (.+)$", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S), re.M)
    found = [heading for heading in headings if heading in PARTS]
    for part in PARTS:
        if part not in found:
            faults.append(f"it has no part '## {part}'")
    if sorted(found, key=PARTS.index) != found:
        faults.append(f"its parts are not in the order {', '.join(PARTS)}")
    for part, content in re.findall(r"^## (.+)\n+((?:(?!## ).*\n?)*)", text, re.M):
        if not content.strip():
            faults.append(f"its part '{part}' is empty")
    return faults


def is_date(text):
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return True


def index_of(folder):
    rows = []
    for path in records(folder):
        text = path.read_text("utf-8")
        title, status = re.match(r"# \d+\. (.+)", text), STATUS.search(text)
        if title and status:
            said = f"{status[1]}; {status[3]}" if status[3] else status[1]
            rows.append(f"| {path.name[:4]} | [{title[1]}]({path.name}) | {said} | {status[2]} |\n")
    return HEAD + "".join(rows)


def check(folder, may_have_holes=MAY_HAVE_HOLES):
    faults = [f"docs/adr/{path.name}: {fault}" for path in records(folder) for fault in faults_of(path)]
    numbers = [path.name[:4] for path in records(folder)]
    faults += [f"docs/adr: two records have the number {number}" for number in sorted(set(numbers)) if numbers.count(number) > 1]
    if not may_have_holes:
        wanted = [f"{number:04}" for number in range(1, len(numbers) + 1)]
        faults += [f"docs/adr: no record has the number {number}" for number in wanted if number not in numbers]
    index = folder / "README.md"
    if not index.exists() or index.read_text("utf-8") != index_of(folder):
        faults.append("docs/adr/README.md is not current: scripts/adr.py index")
    return faults


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["check", "index"])
    folder = ROOT / "docs" / "adr"
    if parser.parse_args().action == "index":
        (folder / "README.md").write_text(index_of(folder), "utf-8")
        return 0
    faults = check(folder)
    print(*faults, sep="\n", end="\n" if faults else "")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
