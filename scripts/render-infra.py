#!/usr/bin/env python3
"""Renders what is generated in infra/: the tables of inputs and outputs in its README.md files, from the *.tf files, and
iam-policy.json, from the plan that scripts/check-terraform.sh made of ml-inference.tfvars.

usage: scripts/render-infra.py [--check]     --check writes nothing and fails where something is not current
"""

import difflib
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
INFRA = ROOT / "infra"
BEGIN, END = "<!-- BEGIN TABLES: scripts/render-infra.py -->", "<!-- END TABLES -->"


def blocks(kind, folder):
    """(name, body) of each `kind "name" { … }` at the top level, in the files' order."""
    for path in sorted(folder.glob("*.tf")):
        for match in re.finditer(rf'^{kind} "(\w+)" \{{\n(.*?)^\}}', path.read_text(), re.M | re.S):
            yield match[1], match[2]


def attribute(body, name):
    """The value of an attribute of the block itself; lines of one that spans several are joined."""
    match = re.search(rf"^  {name} += +(.*?)(?=^  \S|\Z)", body, re.M | re.S)
    if not match:
        return None
    lines = [line.split(" #")[0].strip() for line in match[1].strip().splitlines()]
    # An object's attributes stand on lines of their own; in one line commas part them.
    return re.sub(r"(?<=[^{(\[,]) \n", ", ", " \n".join(lines)).replace(" \n", " ")


def cell(text):
    return text.replace("|", "\\|")


def inputs(folder):
    rows = ["| input | type | default | what |", "|---|---|---|---|"]
    for name, body in blocks("variable", folder):
        kind, default = attribute(body, "type"), attribute(body, "default")
        shape = "object" if kind.startswith("object(") else "map of objects" if kind.startswith("map(object(") else kind
        rows.append(
            f"| `{name}` | {cell(shape)} | {'required' if default is None else '`' + cell(default) + '`'} "
            f"| {cell(json.loads(attribute(body, 'description')))} |"
        )
    return rows


def outputs(folder):
    rows = ["| output | what |", "|---|---|"]
    for name, body in blocks("output", folder):
        rows.append(f"| `{name}` | {cell(json.loads(attribute(body, 'description')))} |")
    return rows


def tables(folder):
    return "\n".join([BEGIN, "", *inputs(folder), "", *outputs(folder), "", END])


def rendered_readme(path):
    text = path.read_text()
    before, rest = text.split(BEGIN)
    return before + tables(path.parent) + rest.split(END)[1]


def rendered_policy():
    path = ROOT / "build/terraform/ml-inference.json"
    if not path.exists():
        sys.exit(f"no {path.relative_to(ROOT)}: run scripts/check-terraform.sh plan first")
    plan = json.loads(path.read_text())
    policy = json.loads(plan["planned_values"]["outputs"]["pod_policy"]["value"])
    order = ["Sid", "Effect", "Action", "Resource", "Condition"]
    policy["Statement"] = [
        {key: statement[key] for key in order if key in statement} for statement in policy["Statement"]
    ]
    return json.dumps({"Version": policy["Version"], "Statement": policy["Statement"]}, indent=2) + "\n"


def main():
    wanted = {path: rendered_readme(path) for path in INFRA.rglob("README.md") if BEGIN in path.read_text()}
    wanted[INFRA / "iam-policy.json"] = rendered_policy()
    stale = False
    for path, text in wanted.items():
        current = path.read_text() if path.exists() else ""
        if current == text:
            continue
        if sys.argv[1:] != ["--check"]:
            path.write_text(text)
            continue
        stale = True
        print(f"{path.relative_to(ROOT)} is not current: scripts/check-terraform.sh plan && scripts/render-infra.py")
        sys.stdout.writelines(difflib.unified_diff(current.splitlines(True), text.splitlines(True), "is", "should be"))
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
