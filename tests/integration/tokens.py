"""JSON Web Tokens for tests, signed by openssl(1)."""

import base64
import json
import subprocess
from pathlib import Path


def _url64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    """An RSA key; `jwks` is the file with its public part."""

    def __init__(self, folder, name="issuer"):
        self.key = Path(folder) / f"{name}.pem"
        subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048",
                        "-out", self.key], check=True, capture_output=True)
        modulus = subprocess.run(["openssl", "rsa", "-in", self.key, "-noout", "-modulus"], check=True,
                                 capture_output=True, text=True).stdout.strip().partition("=")[2]
        self.jwks = Path(folder) / f"{name}.json"
        self.jwks.write_text(json.dumps({"keys": [
            {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": name,
             "n": _url64(bytes.fromhex(modulus)), "e": "AQAB"}]}))
        self.name = name

    def token(self, **claims):
        head = {"alg": "RS256", "typ": "JWT", "kid": self.name}
        text = ".".join(_url64(json.dumps(part).encode()) for part in (head, claims))
        signed = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.key], check=True,
                                capture_output=True, input=text.encode()).stdout
        return f"{text}.{_url64(signed)}"
