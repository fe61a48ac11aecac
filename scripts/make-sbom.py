#!/usr/bin/env python3
"""Writes what the container image consists of as an SPDX 2.3 document (JSON).

It names the binary; each Debian package of which a file ships (given as arguments); each Debian
package whose headers were compiled in, as the build's own dependency records tell; ONNX Runtime; and
each model, by the hash of its file. Equal input gives an equal document.
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


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True, help="build folder, with ninja's records")
    parser.add_argument("--root", required=True, type=pathlib.Path, help="where usr/bin/podsense is")
    parser.add_argument("--models", required=True, type=pathlib.Path, help="model repository")
    parser.add_argument("--output", required=True, type=pathlib.Path)
    parser.add_argument("packages", nargs="+", help="Debian packages of which a file ships")
    arguments = parser.parse_args()

    binary = arguments.root / "usr" / "bin" / "podsense"
    version = re.search(r"VERSION (\d\S*)", (ROOT / "CMakeLists.txt").read_text("utf-8").split("project(")[1])
    main_package = package(
        "SPDXRef-podsense",
        "podsense",
        version.group(1),
        licenseDeclared="Apache-2.0",
        primaryPackagePurpose="CONTAINER",
        checksums=[{"algorithm": "SHA256", "checksumValue": sha256(binary)}],
        comment="the checksum is that of /usr/bin/podsense",
    )
    shipped = sorted(set(arguments.packages))
    compiled_in = sorted(header_packages(arguments.build) - set(shipped))
    packages = [main_package, onnxruntime(), *models(arguments.models)]
    contained = [entry["SPDXID"] for entry in packages[1:]]
    packages += [debian_package(name) for name in shipped]
    contained += [spdx_id("deb", name) for name in shipped]
    packages += [debian_package(name) for name in compiled_in]

    def relation(one, kind, other):
        return {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}

    relations = [relation("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-podsense")]
    relations += [relation("SPDXRef-podsense", "CONTAINS", other) for other in contained]
    relations += [
        relation(spdx_id("deb", name), "BUILD_DEPENDENCY_OF", "SPDXRef-podsense")
        for name in compiled_in
    ]
    content = json.dumps([packages, relations], sort_keys=True)
    document = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"podsense-{version.group(1)}",
        "documentNamespace": f"urn:uuid:{uuid.uuid5(NAMESPACE, content)}",
        "creationInfo": {
            "created": "1970-01-01T00:00:00Z",  # equal builds, equal documents
            "creators": ["Tool: podsense-make-sbom"],
        },
        "packages": packages,
        "relationships": relations,
    }
    arguments.output.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    print(f"make-sbom: {len(packages)} packages: {len(shipped)} of Debian ship, {len(compiled_in)} were compiled in")


if __name__ == "__main__":
    main()
