"""`podsense load` against servers that ask clients for a certificate, over HTTP and gRPC."""

import re
import ssl
import subprocess
import tempfile
import unittest
from pathlib import Path

from certificates import Authority
from harness import Server, wait_until
from load_double import Double
from test_load import FEATURES, Run


class ClientCertificates(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.files = Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="podsense-tls-")))
        cls.authority = Authority(cls.files, "authority")
        other = Authority(cls.files, "other")
        cls.certificate, cls.key = cls.authority.issue("client")
        cls.other_certificate, cls.other_key = other.issue("stranger")
        cls.served = cls.authority.issue("server")
        cls.server = Server("--tls-cert", cls.served[0], "--tls-key", cls.served[1],
                            "--tls-client-ca", cls.authority.certificate, ready=False)
        cls.enterClassContext(cls.server)
        wait_until(lambda: cls.server.admin("GET", "/readyz").status == 200, what="readyz")

    def targets(self):
        """Flags for each protocol that this build of the server speaks."""
        yield (f"https://localhost:{self.server.http_port}", "--features", FEATURES)
        if self.server.grpc_port:
            yield (f"grpcs://localhost:{self.server.grpc_port}", "--features", FEATURES)

    def run_all(self, *flags):
        return [Run(*target, "-n", 20, "-c", 2, "-t", "10s", *flags) for target in self.targets()]

    def test_a_pair_opens_the_door(self):
        both = self.files / "both.pem"
        both.write_bytes(Path(self.certificate).read_bytes() + Path(self.key).read_bytes())
        for trust in (["--cacert", self.authority.certificate], ["--insecure"]):
            for pair in (["--cert", self.certificate, "--key", self.key], ["--cert", both]):
                for run in self.run_all(*trust, *pair):
                    self.assertEqual((run.code, run.counts["ok"]), (0, 20), run)

    def test_open_inference_metadata_is_asked_for_with_it(self):
        for run in self.run_all("--cacert", self.authority.certificate, "--cert", self.certificate,
                                "--key", self.key):
            self.assertEqual(run.code, 0, run)
        url = f"localhost:{self.server.http_port}"
        flags = ("--oip", "json", "--model", "random-forest", "--cacert", self.authority.certificate,
                 "-n", 5, "-c", 1)
        run = Run("https://" + url, *flags, "--cert", self.certificate, "--key", self.key)
        self.assertEqual((run.code, run.counts["ok"]), (0, 5), run)

    def refused(self, run, pattern):
        """At once, or where the server's word came late as the reason of every failed request."""
        self.assertEqual(run.code, 1, run)
        self.assertRegex(run.err + run.out, pattern)
        if run.report:
            self.assertEqual((run.counts["ok"], set(run.report["errors"])), (0, {"tls"}), run)

    def test_without_one_the_server_is_named_as_the_one_who_wants_it(self):
        for run in self.run_all("--insecure"):
            self.refused(run, "the server wants a client certificate: --cert")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.served)
        context.load_verify_locations(self.authority.certificate)
        context.verify_mode = ssl.CERT_REQUIRED
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with Double(tls=context) as double:
            self.refused(Run(double.url, "-n", 4, "-c", 1, "--insecure"), "--cert")

    def test_a_stranger_is_refused(self):
        runs = self.run_all("--insecure", "--cert", self.other_certificate, "--key", self.other_key)
        for run in runs:
            self.refused(run, "refuses the client's certificate: .*unknown ca")

    def test_files_that_cannot_be_used(self):
        secret = self.files / "secret.key"
        subprocess.run(["openssl", "pkcs8", "-topk8", "-in", self.key, "-out", secret, "-passout",
                        "pass:word"], check=True, capture_output=True)
        text = self.files / "text"
        text.write_text("no certificate\n")
        cert, key, missing = self.certificate, self.key, self.files / "missing"
        for flags, pattern in (
                (("--cert", missing, "--key", key), f"--cert: cannot read {missing}: No such file"),
                (("--cert", cert, "--key", missing), f"--key: cannot read {missing}: No such file"),
                (("--cert", cert, "--key", self.files), f"--key: cannot read {self.files}: Is a dir"),
                (("--cacert", missing), f"--cacert: cannot read {missing}: No such file"),
                (("--cacert", text), f"--cacert '{text}': holds no certificate"),
                (("--cert", text, "--key", key), f"--cert '{text}': holds no certificate"),
                (("--cert", cert, "--key", text), f"--key '{text}': holds no private key"),
                (("--cert", cert, "--key", secret), f"--key '{secret}': the key has a passphrase"),
                (("--cert", cert), f"--cert '{cert}': holds no private key: name its file with --key"),
                (("--cert", cert, "--key", self.other_key), f"is not the key of --cert '{cert}'"),
                (("--key", key), "--key belongs to --cert")):
            for run in self.run_all(*flags):
                self.assertEqual((run.code, run.out, run.err.count("\n")), (2, "", 1), run)
                self.assertRegex(run.err, re.escape(pattern))
        plain = Run("http://localhost:1", "-n", 1, "--cert", cert, "--key", key)
        self.assertEqual(plain.code, 2, plain)
        self.assertIn("--cert and --key belong to https://", plain.err)


if __name__ == "__main__":
    unittest.main()
