#!/usr/bin/env python3
"""Prints, as JSON, the schema of a Terraform provider: read from the type declarations of its CDK
bindings, which are made from the provider itself and carry every resource, data source, attribute
and nested block.

usage: schema.py BINDINGS.whl [resource.TYPE | data.TYPE]...

BINDINGS.whl is PyPI's cdktf-cdktf-provider-NAME; the bindings lie in its jsii archive. With types, only
those are read (all of AWS takes minutes); one that the provider does not have is left out, and
Terraform then says so where it is used.

Shape: {"resource": {TYPE: BLOCK}, "data": {TYPE: BLOCK}, "provider": BLOCK}, where BLOCK is
{"attrs": {NAME: {"type", "req", "comp"}}, "blocks": {NAME: {"mode", "min", "block": BLOCK}}} and a
type is "string", "number", "bool", "dynamic" or ["list"|"map", element type].
"""

import io
import json
import re
import sys
import tarfile
import zipfile

PRIMITIVES = {"string": "string", "number": "number", "boolean": "bool", "cdktf.IResolvable": "bool"}
COLLECTIONS = {
    "string[]": ["list", "string"],
    "number[]": ["list", "number"],
    "boolean[]": ["list", "bool"],
    "cdktf.StringMap": ["map", "string"],
    "cdktf.NumberMap": ["map", "number"],
    "cdktf.BooleanMap": ["map", "bool"],
}
COMPUTED = {
    "String": "string",
    "Number": "number",
    "Boolean": "bool",
    "StringMap": ["map", "string"],
    "NumberMap": ["map", "number"],
    "BooleanMap": ["map", "bool"],
    "List": ["list", "string"],
    "NumberList": ["list", "number"],
}
INTERFACE = re.compile(r"export interface (\w+)[^{]*\{\n(.*?)\n\}", re.DOTALL)
FIELD = re.compile(
    r"/\*\*(.*?)\*/\s*readonly (\w+)(\?)?: (.*?);(?=\s*(?:/\*\*|\Z))", re.DOTALL
)
GETTER = re.compile(
    r"this\.get(String|Number|Boolean|StringMap|NumberMap|BooleanMap|List|NumberList|AnyMap|StringMapList)"
    r"Attribute\('([^']+)'\)"
)


def folder_of(name):
    """The bindings' folder of resource.TYPE or data.TYPE: data sources keep the provider's name."""
    kind, _, type_name = name.partition(".")
    words = type_name.split("_")
    return "-".join(["data", *words] if kind == "data" else words[1:])


def binding_sources(wheel, wanted):
    """(folder, declarations, JavaScript) of each resource, data source and of the provider."""
    folders = {folder_of(name) for name in wanted} | {"provider"}
    with zipfile.ZipFile(wheel) as archive:
        (jsii,) = [name for name in archive.namelist() if name.endswith(".jsii.tgz")]
        packed = archive.read(jsii)
    texts = {}
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as tar:
        for member in tar:
            found = re.fullmatch(r"package/lib/([^/]+)/index\.(d\.ts|js)", member.name)
            if found and (not wanted or found[1] in folders):
                texts.setdefault(found[1], {})[found[2]] = tar.extractfile(member).read().decode()
    for folder in sorted(texts):
        if len(texts[folder]) == 2:
            yield folder, texts[folder]["d.ts"], texts[folder]["js"]


def type_of(text):
    text = re.sub(r"\s+", " ", text).replace(" | cdktf.IResolvable", "")
    text = text.replace("cdktf.IResolvable | ", "").strip()
    if text in PRIMITIVES:
        return PRIMITIVES[text]
    if text in COLLECTIONS:
        return COLLECTIONS[text]
    found = re.match(r"\{ \[key: string\]: (string|number|boolean)", text)
    if found:
        return ["map", PRIMITIVES[found[1]]]
    return {"reference": text.removesuffix("[]")}


def fields_of(body):
    for comment, _, optional, kind in FIELD.findall(body):
        names = re.findall(r"\{@link \S+#(\w+) ", comment)
        if names:
            yield {
                "name": names[-1],
                "req": not optional,
                "type": type_of(kind),
                "block": f"* {names[-1]} block" in comment,
            }


class Binding:
    def __init__(self, declarations, javascript):
        self.interfaces = {n: list(fields_of(b)) for n, b in INTERFACE.findall(declarations)}
        texts = javascript.split("\nclass ")[1:]
        self.last_class = texts[-1]
        self.classes = {text.split(" ", 1)[0]: text for text in texts}
        self.modes = dict(
            re.findall(r"^ +(\w+): \{\n *value: .*\n *isBlock: true,\n *type: \"(\w+)\"", javascript, re.M)
        )
        found = re.search(
            r"export interface (\w+) extends cdktf\.Terraform(?:MetaArguments|ProviderMeta)", declarations
        )
        self.config = found[1] if found else next((n for n in self.interfaces if n.endswith("Config")), "")

    def top(self):
        block = self.block(self.interfaces.get(self.config, []), ())
        return add_computed(block, self.last_class)

    def block(self, fields, seen):
        block = {"attrs": {}, "blocks": {}}
        for field in fields:
            name, kind = field["name"], field["type"]
            reference = kind["reference"] if isinstance(kind, dict) else None
            if field["block"] and reference in self.interfaces and reference not in seen:
                inner = self.block(self.interfaces[reference], (*seen, reference))
                output = self.classes.get(reference + "OutputReference")
                block["blocks"][name] = {
                    "mode": "single" if name == "timeouts" else self.modes.get(name, "list"),
                    "min": int(field["req"]),
                    "block": add_computed(inner, output) if output else inner,
                }
            else:
                block["attrs"][name] = {"type": "dynamic" if reference else kind, "req": field["req"]}
        return block


def add_computed(block, class_text):
    """What the class reads back and nobody sets is computed."""
    computed = {name: COMPUTED.get(kind, "dynamic") for kind, name in GETTER.findall(class_text)}
    for name in re.findall(r"new \w+\(this, \"([^\"]+)\"", class_text):
        computed.setdefault(name, "dynamic")
    for name, kind in computed.items():
        if name not in block["attrs"] and name not in block["blocks"]:
            block["attrs"][name] = {"type": kind, "comp": True}
    return block


def main():
    schema = {"resource": {}, "data": {}, "provider": {"attrs": {}, "blocks": {}}}
    for folder, declarations, javascript in binding_sources(sys.argv[1], sys.argv[2:]):
        found = re.search(r'tfResourceType = "([^"]+)"', declarations + javascript)
        if not found:
            continue
        block = Binding(declarations, javascript).top()
        if folder == "provider":
            schema["provider"] = block
        else:
            schema["data" if folder.startswith("data-") else "resource"][found[1]] = block
    if not schema["resource"]:
        sys.exit(f"schema: {sys.argv[1]} has no bindings of resources")
    json.dump(schema, sys.stdout, sort_keys=True)


if __name__ == "__main__":
    main()
