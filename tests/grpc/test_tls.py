"""TLS and mTLS on the gRPC port: who is let in, and certificates that change under way."""

import tempfile
import time
import unittest
from pathlib import Path

from clients import Caller, channel_to, failure, infer

# isort: split
import grpc
from certificates import Authority, Mounted
from harness import LIMIT, RawClient, Server, wait_until


class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.files = Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="podsense-tls-")))
        cls.authority = Authority(cls.files, "authority")
        cls.other = Authority(cls.files, "other")
        cls.first, cls.second = cls.authority.issue("first"), cls.authority.issue("second")
        cls.client, cls.stranger = cls.authority.issue("client"), cls.other.issue("stranger")
        cls.foreign = cls.other.issue("foreign")

    def mount(self, **more):
        folder = Path(self.enterContext(tempfile.TemporaryDirectory(prefix="podsense-tls-")))
        return Mounted(folder / "tls", tls_crt=self.first[0], tls_key=self.first[1], **more)

    def serve(self, mounted, *flags):
        server = Server("--tls-cert", mounted / "tls.crt", "--tls-key", mounted / "tls.key",
                        "--tls-refresh-interval", "1s", *flags, ready=False)
        self.enterContext(server)
        wait_until(lambda: server.admin("GET", "/readyz").status == 200, what="readyz")
        return server

    def channel(self, server, authority=None, client=None, **options):
        chain, key = (file.read_bytes() for file in client) if client else (None, None)
        credentials = grpc.ssl_channel_credentials(
            (authority or self.authority).certificate.read_bytes(), key, chain)
        return self.enterContext(channel_to(server.grpc_port, credentials, **options))

    def refused(self, channel):
        """Fails as soon as the handshake does, and says why."""
        error = failure(lambda: infer(channel))
        self.assertEqual(error.code(), grpc.StatusCode.UNAVAILABLE)
        return error.details()

    def rotated(self, server, result, times=1):
        wait_until(lambda: server.metric("podsense_tls_certificate_reloads_total",
                                         result=result) == times, what=f"reload {times}: {result}")

    def test_a_believed_certificate_is_needed(self):
        server = self.serve(self.mount())
        self.assertEqual(infer(self.channel(server)).model, "random-forest")
        self.assertIn("CERTIFICATE_VERIFY_FAILED", self.refused(self.channel(server, self.other)))
        plain = self.enterContext(channel_to(server.grpc_port))
        self.refused(plain)

    def test_mtls(self):
        mounted = self.mount(ca_crt=self.authority.certificate)
        server = self.serve(mounted, "--tls-client-ca", mounted / "ca.crt")
        self.assertEqual(infer(self.channel(server, client=self.client)).model, "random-forest")
        self.refused(self.channel(server))
        self.refused(self.channel(server, client=self.stranger))
        mounted.put(tls_crt=self.first[0], tls_key=self.first[1], ca_crt=self.other.certificate)
        self.rotated(server, "ok")
        self.assertEqual(infer(self.channel(server, client=self.stranger)).model, "random-forest")
        self.refused(self.channel(server, client=self.client))

    def test_a_rotation_reaches_new_connections_and_no_call_fails(self):
        mounted = self.mount()
        server = self.serve(mounted)
        callers = [Caller(self.channel(server)) for _ in range(3)]
        for caller in callers:
            caller.start()
        try:
            for caller in callers:
                self.assertTrue(caller.first.wait(LIMIT))
            mounted.put(tls_crt=self.foreign[0], tls_key=self.foreign[1])
            self.rotated(server, "ok")
            self.assertEqual(infer(self.channel(server, self.other)).model, "random-forest")
            self.refused(self.channel(server))
            before = [caller.answered for caller in callers]
            wait_until(lambda: all(caller.answered > seen + 10 or caller.failures
                                   for caller, seen in zip(callers, before)), what="more calls")
        finally:
            for caller in callers:
                caller.done.set()
                caller.join()
        self.assertEqual([caller.failures for caller in callers], [[], [], []])

    def test_a_broken_pair_is_refused_and_the_old_goes_on(self):
        mounted = self.mount()
        server = self.serve(mounted)
        for times, (certificate, key) in enumerate(
                ((self.foreign[0], self.second[1]), (b"nonsense", self.first[1])), 1):
            mounted.put(tls_crt=certificate, tls_key=key)
            self.rotated(server, "failed", times)
            self.assertEqual(infer(self.channel(server)).model, "random-forest")
        mounted.put(tls_crt=self.foreign[0], tls_key=self.foreign[1])
        self.rotated(server, "ok")
        self.assertEqual(infer(self.channel(server, self.other)).model, "random-forest")

    def test_a_slow_handshake_is_ended(self):
        server = self.serve(self.mount(), "--header-timeout", "1s")
        channel = self.channel(server)
        infer(channel)
        with RawClient(server.grpc_port) as slow:
            begun = time.monotonic()
            slow.send(b"\x16\x03\x01\x02\x00\x01")  # the first bytes of a ClientHello
            self.assertTrue(slow.is_closed())
            self.assertLess(time.monotonic() - begun, 30)  # gRPC's own limit is 120 s
        infer(channel)


if __name__ == "__main__":
    unittest.main(verbosity=2)
