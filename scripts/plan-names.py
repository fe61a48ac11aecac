#!/usr/bin/env python3
"""Fails where two plans of Terraform make something of the same name: the second cluster of an account would not be made.

usage: plan-names.py PLAN.json PLAN.json     as `terraform show -json` prints them
"""

import json
import pathlib
import sys

ATTRIBUTES = ("name", "bucket", "alarm_name", "dashboard_name")
INSIDE_ANOTHER = {"aws_iam_role_policy"}  # names that count inside what they belong to


def modules(module):
    yield module
    for child in module.get("child_modules", []):
        yield from modules(child)


def names(plan):
    """{(type, name)} of all that is made; what is not known before it is made is not there."""
    found = set()
    for module in modules(plan["planned_values"]["root_module"]):
        for resource in module.get("resources", []):
            if resource["mode"] == "managed" and resource["type"] not in INSIDE_ANOTHER:
                values = resource.get("values", {})
                found |= {(resource["type"], values[key]) for key in ATTRIBUTES if values.get(key)}
    return found


def main():
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    one, other = (names(json.loads(pathlib.Path(path).read_text("utf-8"))) for path in sys.argv[1:])
    if not one or not other:
        raise SystemExit("plan-names: a plan makes nothing that has a name")
    both = sorted(one & other)
    for kind, name in both:
        print(f"plan-names: both plans make {kind} {name}", file=sys.stderr)
    return 1 if both else 0


if __name__ == "__main__":
    sys.exit(main())
