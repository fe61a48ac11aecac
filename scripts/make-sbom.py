#!/usr/bin/env python3
"""Writes what a container image or an archive consists of as an SPDX 2.3 document (JSON).

    make-sbom.py server  --root ROOT --output FILE --build BUILD --models MODELS PACKAGE…
    make-sbom.py archive --root ROOT --output FILE --build BUILD [PACKAGE…]
    make-sbom.py envoy   --root ROOT --output FILE PACKAGE…

It names the program, by the hash of its file, and each Debian package of which a file ships (PACKAGE…).
For the server and for an archive of it, besides: each Debian package whose headers were compiled in, as the build's own dependency
records tell; ONNX Runtime; and each model, by the hash of its file. Equal input gives an equal document.
"""

import argparse
import hashlib
import json
import os
import pathlib
import re
import subprocess
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[1]
NAMESPACE = uuid.UUID("b3d9a6f4-5f6c-4b41-9df3-2f0c7f1c6f0e")  # of our documents' names


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def spdx_id(*parts):
    return "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]+", "-", "-".join(parts))


def package(identifier, name, version, **fields):
    base = {
        "SPDXID": identifier,
        "name": name,
        "versionInfo": version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION",
        "copyrightText": "NOASSERTION",
    }
    return {**base, **fields}


def purl(kind, locator):
    return {
        "externalRefs": [
            {
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": f"pkg:{kind}/{locator}",
            }
        ]
    }


def debian_package(name):
    form = "${Version}\t${Architecture}\t${source:Package}\t${source:Version}\t${Homepage}"
    version, arch, source, source_version, homepage = (
        run("dpkg-query", "-W", "-f", form, name).splitlines()[0].split("\t")
    )
    locator = f"debian/{name}@{version.replace('+', '%2B').replace(':', '%3A')}?arch={arch}&distro={distro()}"
    fields = {
        "supplier": "Organization: Debian",
        "sourceInfo": f"built from the Debian source package {source} {source_version}",
        "comment": f"licence: /usr/share/doc/{name}/copyright",
        **purl("deb", locator),
    }
    if homepage.startswith("http"):
        fields["homepage"] = homepage
    return package(spdx_id("deb", name), name, version, **fields)


def distro():
    text = pathlib.Path("/etc/os-release").read_text("utf-8")
    values = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', text, re.M))
    return f"{values['ID']}-{values['VERSION_ID']}"


def header_packages(build):
    """Debian packages whose headers the binary was compiled from."""
    headers = set(re.findall(r"^ +(/usr/(?:local/)?include/\S+)$", run("ninja", "-C", build, "-t", "deps"), re.M))
    if not headers:
        raise SystemExit(f"make-sbom: {build} has no dependency records: build podsense there first")
    owners = set()
    names = sorted({os.path.realpath(header) for header in headers})
    found = subprocess.run(
        ["dpkg-query", "-S", *names], check=False, capture_output=True, text=True
    ).stdout
    for line in found.splitlines():
        owners.update(owner.split(":")[0].strip() for owner in line.split(": /")[0].split(","))
    return owners


def onnxruntime():
    script = (ROOT / "scripts" / "get-onnxruntime.sh").read_text("utf-8")
    version = re.search(r"^version=(\S+)$", script, re.M).group(1)
    return package(
        "SPDXRef-onnxruntime",
        "onnxruntime",
        version,
        licenseDeclared="MIT",
        supplier="Organization: Microsoft",
        comment="the shared library of the official wheel; third parties: "
        "/usr/share/doc/onnxruntime/ThirdPartyNotices.onnxruntime.txt",
        **purl("pypi", f"onnxruntime@{version}"),
    )


def models(folder):
    for path in sorted(folder.glob("*/*/model.onnx")):
        name, version = path.parts[-3:-1]
        yield package(
            spdx_id("model", name, version),
            f"model {name}",
            version,
            checksums=[{"algorithm": "SHA256", "checksumValue": sha256(path)}],
            comment=f"/models/{name}/{version}/model.onnx, made by models/make_models.sh",
        )


def envoy(root):
    binary = root / "usr" / "local" / "bin" / "envoy"
    version = re.search(r"/(\d+\.\d+\.\d+)/", run(binary, "--version")).group(1)
    return package(
        "SPDXRef-envoy",
        "envoy",
        version,
        licenseDeclared="Apache-2.0",
        primaryPackagePurpose="APPLICATION",
        checksums=[{"algorithm": "SHA256", "checksumValue": sha256(binary)}],
        comment="the checksum is that of /usr/local/bin/envoy; what is linked into it: "
        f"https://github.com/envoyproxy/envoy/blob/v{version}/bazel/repository_locations.bzl",
        **purl("github", f"envoyproxy/envoy@v{version}"),
    )


def relation(one, kind, other):
    return {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}


def document(described, contained, compiled_in):
    """The package that the document describes, packages of which files ship, packages it was built of."""
    packages = [described, *contained, *compiled_in]
    relations = [relation("SPDXRef-DOCUMENT", "DESCRIBES", described["SPDXID"])]
    relations += [relation(described["SPDXID"], "CONTAINS", entry["SPDXID"]) for entry in contained]
    relations += [relation(entry["SPDXID"], "BUILD_DEPENDENCY_OF", described["SPDXID"]) for entry in compiled_in]
    content = json.dumps([packages, relations], sort_keys=True)
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"{described['name']}-{described['versionInfo']}",
        "documentNamespace": f"urn:uuid:{uuid.uuid5(NAMESPACE, content)}",
        "creationInfo": {
            "created": "1970-01-01T00:00:00Z",  # equal builds, equal documents
            "creators": ["Tool: podsense-make-sbom"],
        },
        "packages": packages,
        "relationships": relations,
    }


def of_server(arguments):
    binary = arguments.root / "usr" / "bin" / "podsense"
    described = package(
        "SPDXRef-podsense",
        "podsense",
        project_version(),
        licenseDeclared="Apache-2.0",
        primaryPackagePurpose="CONTAINER" if arguments.models else "APPLICATION",
        checksums=[{"algorithm": "SHA256", "checksumValue": sha256(binary)}],
        comment="the checksum is that of the program, bin/podsense",
    )
    shipped = sorted(set(arguments.packages))
    compiled_in = sorted(header_packages(arguments.build) - set(shipped))
    of_models = models(arguments.models) if arguments.models else []
    contained = [onnxruntime(), *of_models, *map(debian_package, shipped)]
    return document(described, contained, list(map(debian_package, compiled_in)))


def of_envoy(arguments):
    described = package(
        "SPDXRef-podsense-envoy",
        "podsense-envoy",
        project_version(),
        licenseDeclared="Apache-2.0",
        primaryPackagePurpose="CONTAINER",
        comment="Envoy with PodSense's configuration and descriptor set",
    )
    shipped = map(debian_package, sorted(set(arguments.packages)))
    return document(described, [envoy(arguments.root), *shipped], [])


def project_version():
    return re.search(r"podsense VERSION (\d\S*)", (ROOT / "CMakeLists.txt").read_text("utf-8")).group(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="image", required=True)
    for name, make in (("server", of_server), ("archive", of_server), ("envoy", of_envoy)):
        kind = kinds.add_parser(name)
        kind.set_defaults(make=make)
        kind.add_argument("--root", required=True, type=pathlib.Path, help="the image's files, from its root")
        kind.add_argument("--output", required=True, type=pathlib.Path)
        kind.add_argument("packages", nargs="*" if name == "archive" else "+", help="Debian packages of which a file ships")
        kind.set_defaults(models=None)
        if name != "envoy":
            kind.add_argument("--build", required=True, help="build folder, with ninja's records")
        if name == "server":
            kind.add_argument("--models", required=True, type=pathlib.Path, help="model repository")
    arguments = parser.parse_args()
    made = arguments.make(arguments)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(made, indent=1) + "\n", "utf-8")
    print(f"make-sbom: {len(made['packages'])} packages in {made['name']}")


if __name__ == "__main__":
    main()
