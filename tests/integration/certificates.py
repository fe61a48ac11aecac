"""Authorities and certificates for tests, made by openssl(1). Keys on the P-256 curve: quick."""

import os
import subprocess
from pathlib import Path


def _openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class Authority:
    """Signs certificates, whose files lie in `folder`."""

    def __init__(self, folder, name):
        self.folder = Path(folder)
        self.key, self.certificate = self.folder / f"{name}.key", self.folder / f"{name}.pem"
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                 "-noenc", "-days", 2, "-keyout", self.key, "-out", self.certificate,
                 "-subj", f"/CN={name}", "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def issue(self, name, days=2):
        """(certificate, key) for `name`, valid for localhost and 127.0.0.1 and for clients."""
        key, request = self.folder / f"{name}.key", self.folder / f"{name}.csr"
        certificate, extensions = self.folder / f"{name}.pem", self.folder / f"{name}.ext"
        extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n"
                              "extendedKeyUsage=serverAuth,clientAuth\n")
        _openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                 "-noenc", "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        _openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key,
                 "-CAcreateserial", "-days", days, "-extfile", extensions, "-out", certificate)
        return certificate, key


class Mounted:
    """A folder as Kubernetes mounts a Secret: its files are links into a folder that a link names,
    and one rename of that link changes all of them."""

    def __init__(self, folder, **files):
        self.folder = Path(folder)
        self.folder.mkdir()
        self.version = 0
        self.put(**files)
        for name in files:
            (self.folder / name.replace("_", ".")).symlink_to(f"..data/{name.replace('_', '.')}")

    def put(self, **files):
        """tls_crt=PATH, tls_key=PATH, ca_crt=PATH"""
        self.version += 1
        version = self.folder / f"..{self.version}"
        version.mkdir()
        for name, source in files.items():
            content = source if isinstance(source, bytes) else Path(source).read_bytes()
            (version / name.replace("_", ".")).write_bytes(content)
        new = self.folder / "..data_tmp"
        new.symlink_to(version.name)
        os.replace(new, self.folder / "..data")

    def __truediv__(self, name):
        return str(self.folder / name)
