#!/usr/bin/env python3
"""Turns what `helm template` prints into manifests for kustomize and kubectl.

usage: helm template … | manifests.py write FOLDER     one file for each kind of object, and their names
       helm template … | manifests.py stream           one stream
       helm template … | manifests.py sidecar-patch    Envoy's part of a Deployment, as a patch
       helm template … | manifests.py server-patch     what a sidecar changes about the server, as JSON patch:
                                                       the container's name is the overlay's
       helm template … | manifests.py place FOLDER "FILE KIND…"…   each object into the file that names its kind
       manifests.py preset-chart CHART VALUES FOLDER   Chart.yaml and values.yaml of a chart that is CHART with other
                                                       defaults, called as FOLDER

Labels that only Helm may set are left out; objects are in the order of kinds that `kubectl apply`
needs; the form is always the same, so that a rendering can be compared.
"""

import pathlib
import sys

import yaml

HEADER = "# Rendered from helm/podsense by `make manifests`; change the chart instead.\n"
HELM_LABELS = ("helm.sh/chart", "app.kubernetes.io/managed-by")
FIRST_KINDS = ["Namespace", "ResourceQuota", "LimitRange", "ServiceAccount", "Role", "RoleBinding"]
FILE_NAMES = {
    "HorizontalPodAutoscaler": "hpa",
    "PodDisruptionBudget": "pdb",
    "Role": "rbac",
    "RoleBinding": "rbac",
    "ResourceQuota": "quota",
    "LimitRange": "quota",
}


class Dumper(yaml.SafeDumper):
    """Lists are indented, and texts of several lines stay readable."""

    def increase_indent(self, flow=False, indentless=False):
        return super().increase_indent(flow, False)

    def ignore_aliases(self, data):
        return True


def represent_text(dumper, text):
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


Dumper.add_representer(str, represent_text)


def dump(documents):
    return "---\n".join(
        yaml.dump(document, Dumper=Dumper, sort_keys=False, width=100) for document in documents
    )


def without_helm_labels(value):
    if isinstance(value, dict):
        return {k: without_helm_labels(v) for k, v in value.items() if k not in HELM_LABELS}
    if isinstance(value, list):
        return [without_helm_labels(item) for item in value]
    return value


def read(stream):
    documents = [without_helm_labels(d) for d in yaml.safe_load_all(stream) if d]
    if not documents:
        raise SystemExit("manifests: nothing was rendered")
    order = {kind: place for place, kind in enumerate(FIRST_KINDS)}
    return sorted(documents, key=lambda d: order.get(d["kind"], len(order)))


def write(folder, documents):
    files = {}
    for document in documents:
        kind = document["kind"]
        files.setdefault(FILE_NAMES.get(kind, kind.lower()), []).append(document)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / f"{name}.yaml").write_text(HEADER + dump(content), encoding="utf-8")
        print(f"{name}.yaml")


def sidecar_patch(documents):
    deployment = next(d for d in documents if d["kind"] == "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    return {
        "apiVersion": deployment["apiVersion"],
        "kind": "Deployment",
        "metadata": {"name": "any"},
        "spec": {
            "template": {
                "spec": {
                    "initContainers": [c for c in pod["initContainers"] if c["name"] == "envoy"],
                    "volumes": [v for v in pod["volumes"] if v["name"] == "envoy-config"],
                }
            }
        },
    }


def server_patch(documents):
    pod = next(d for d in documents if d["kind"] == "Deployment")["spec"]["template"]["spec"]
    place = "/spec/template/spec"
    return [
        {"op": "add", "path": f"{place}/containers/0/lifecycle", "value": pod["containers"][0]["lifecycle"]},
        {"op": "add", "path": f"{place}/terminationGracePeriodSeconds", "value": pod["terminationGracePeriodSeconds"]},
    ]


def place(folder, wanted, documents):
    """wanted: ["FILE KIND…"…]. An object that none of them names is a fault: it would be lost."""
    files = {name: [] for name, *_ in map(str.split, wanted)}
    file_of = {kind: name for name, *kinds in map(str.split, wanted) for kind in kinds}
    for document in documents:
        if document["kind"] not in file_of:
            raise SystemExit(f"manifests: no file of {folder} takes a {document['kind']}")
        files[file_of[document["kind"]]].append(document)
    for name, content in files.items():
        (folder / f"{name}.yaml").write_text(HEADER + dump(content), encoding="utf-8")


def laid_over(values, more):
    """As Helm lays one file of values over another."""
    if not (isinstance(values, dict) and isinstance(more, dict)):
        return more
    return values | {key: laid_over(values.get(key), value) for key, value in more.items()}


def preset_chart(chart, preset, folder):
    """The templates are links to those of the chart; its image has the new chart's name."""
    about = yaml.safe_load((chart / "Chart.yaml").read_text("utf-8")) | {"name": folder.name}
    values = laid_over(yaml.safe_load((chart / "values.yaml").read_text("utf-8")), yaml.safe_load(preset.read_text("utf-8")))
    values = laid_over(values, {"nameOverride": "podsense", "image": {"repository": folder.name, "tag": "v1.0"}})
    (folder / "Chart.yaml").write_text(HEADER + dump([about]), encoding="utf-8")
    (folder / "values.yaml").write_text(HEADER + dump([values]), encoding="utf-8")


def main():
    arguments = sys.argv[1:]
    if arguments[:1] == ["write"] and len(arguments) == 2:
        write(pathlib.Path(arguments[1]), read(sys.stdin))
    elif arguments[:1] == ["place"] and len(arguments) > 2:
        place(pathlib.Path(arguments[1]), arguments[2:], read(sys.stdin))
    elif arguments[:1] == ["preset-chart"] and len(arguments) == 4:
        preset_chart(*map(pathlib.Path, arguments[1:]))
    elif arguments == ["stream"]:
        sys.stdout.write(HEADER + dump(read(sys.stdin)))
    elif arguments == ["sidecar-patch"]:
        sys.stdout.write(HEADER + dump([sidecar_patch(read(sys.stdin))]))
    elif arguments == ["server-patch"]:
        sys.stdout.write(HEADER + dump([server_patch(read(sys.stdin))]))
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
