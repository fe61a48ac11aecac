#!/usr/bin/env python3
"""Holds the values that infra/install gives to others' charts against the keys that those charts know. The keys are
kept in infra/install/charts.json, with the version of each chart that they were read from: most clones cannot reach the
charts' repositories, and a chart takes a misspelt key without a word.

usage: scripts/chart-values.py PLAN…                     PLAN: `terraform show -json` of a plan of infra/install
       scripts/chart-values.py --charts FOLDER PLAN…     reads FOLDER/CHART (`helm pull --untar REPOSITORY/CHART`), renders
                                                         each with its values, and writes charts.json anew
"""

import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
FACTS = ROOT / "infra/install/charts.json"
# Maps that a chart passes on as they are (flags of the program, the spec of the Service) though they have defaults.
PASSED_ON = {"cluster-autoscaler": {"extraArgs"}, "traefik": {"service.spec"}}


def releases(plans):
    """(plan, chart, version, values) of every Helm release but PodSense's own."""
    for path in plans:
        for resource in json.loads(pathlib.Path(path).read_text())["planned_values"]["root_module"]["resources"]:
            release = resource["values"]
            if resource["type"] == "helm_release" and not release["chart"].startswith("."):
                (values,) = map(json.loads, release["values"])
                yield pathlib.Path(path).stem, release["chart"], release["version"], values


def paths(values, above=""):
    """Dotted paths of all that is set; a list is one value."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from paths(value, f"{above}{key}.")
        else:
            yield above + key


def known(chart, path, values, schema):
    """The path as charts.json keeps it; `.*` ends one below which the chart takes anything. None: the chart has no such key."""
    node, keys = values, path.split(".")
    for depth, key in enumerate(keys):
        above = ".".join(keys[:depth])
        if depth and (node in ({}, None) or above in PASSED_ON.get(chart, ())):
            return above + ".*"
        if not isinstance(node, dict) or key not in node:
            return path if in_schema(keys, schema) else None
        node = node[key]
    return path


def in_schema(keys, schema):
    """A key that values.yaml only mentions in a comment may stand in the chart's schema."""
    node = schema
    for key in keys:
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].rpartition("/")[2]]
        if key not in node.get("properties", {}):
            return False
        node = node["properties"][key]
    return True


def is_known(path, keys):
    return path in keys or any(key.endswith(".*") and path.startswith(key[:-1]) for key in keys)


def compare(plans):
    facts, faults, seen = json.loads(FACTS.read_text()), [], set()
    for plan, chart, version, values in releases(plans):
        seen.add(chart)
        fact = facts.get(chart)
        if fact is None:
            faults.append(f"{plan}: {chart} is not in {FACTS.relative_to(ROOT)}")
        elif fact["version"] != version:
            faults.append(f"{plan}: {chart} is {version}, its keys were read from {fact['version']}")
        else:
            unknown = [path for path in paths(values) if not is_known(path, fact["keys"])]
            faults += [f"{plan}: {chart} {version} is not known to have the value {path}" for path in unknown]
    faults += [f"{chart} is in {FACTS.relative_to(ROOT)}, and no plan installs it" for chart in sorted(set(facts) - seen)]
    return faults


def render(chart, values, folder):
    helm = subprocess.run([ROOT / "scripts/go-tool.sh", "helm"], check=True, text=True, stdout=subprocess.PIPE).stdout
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(values, file)
        file.flush()
        command = [helm.strip(), "template", chart, str(folder), "-n", "test", "-f", file.name]
        result = subprocess.run([*command, "--kube-version", "1.35"], text=True, capture_output=True)
    return result.stderr.strip() if result.returncode else ""


def read_anew(charts, plans):
    import yaml

    facts, faults = {}, []
    for plan, chart, version, values in releases(plans):
        folder = charts / chart
        text = (folder / "values.yaml").read_bytes()
        theirs, schema = yaml.safe_load(text), folder / "values.schema.json"
        schema = json.loads(schema.read_text()) if schema.exists() else {}
        fact = facts.setdefault(chart, {"version": version, "values_sha256": hashlib.sha256(text).hexdigest(), "keys": []})
        for path in paths(values):
            key = known(chart, path, theirs, schema)
            if key is None:
                faults.append(f"{plan}: {chart} {version} has no value {path}")
            elif key not in fact["keys"]:
                fact["keys"].append(key)
        error = render(chart, values, folder)
        if error:
            faults.append(f"{plan}: {chart} {version} does not render: {error}")
    if not faults:
        for fact in facts.values():
            fact["keys"].sort()
        FACTS.write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n")
    return faults


def main():
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help"):
        sys.exit(__doc__)
    if arguments[0] == "--charts":
        faults = read_anew(pathlib.Path(arguments[1]), arguments[2:])
    else:
        faults = compare(arguments)
    for fault in faults:
        print(f"chart-values: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
