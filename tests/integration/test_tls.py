"""TLS and mTLS on the HTTP port: handshakes, limits, rotation, drain. Clients are Python's ssl module
and curl. gRPC's side is in tests/grpc."""

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path

from certificates import Authority, Mounted
from harness import BINARY, LIMIT, MODELS, RawClient, Server, get, post, wait_until

ROW = json.dumps({"features": [0.5] * 20}).encode()
JSON = ("Content-Type", "application/json")
SINGLE = post("/predict-single", ROW, [JSON])


class TlsClient(RawClient):
    """A RawClient in TLS."""

    def __init__(self, port, context, timeout=LIMIT):
        super().__init__(port, timeout)
        try:
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost",
                                              suppress_ragged_eofs=False)
        except BaseException:
            self.socket.close()
            raise


class TlsCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.files = Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="podsense-tls-")))
        cls.authority = Authority(cls.files, "authority")
        cls.other = Authority(cls.files, "other")
        cls.first = cls.authority.issue("first")
        cls.second = cls.authority.issue("second")
        cls.client = cls.authority.issue("client")
        cls.stranger = cls.other.issue("stranger")

    def setUp(self):
        self.place = Path(self.enterContext(tempfile.TemporaryDirectory(prefix="podsense-tls-")))

    def mount(self, pair=None, **more):
        certificate, key = pair or self.first
        return Mounted(self.place / f"mount{len(list(self.place.iterdir()))}",
                       tls_crt=certificate, tls_key=key, **more)

    @staticmethod
    def flags(mounted, *more):
        return ("--tls-cert", mounted / "tls.crt", "--tls-key", mounted / "tls.key",
                "--tls-refresh-interval", "1s", *more)

    def context(self, client=None, authority=None, alpn=("http/1.1",)):
        context = ssl.create_default_context(cafile=(authority or self.authority).certificate)
        if client:
            context.load_cert_chain(*client)
        context.set_alpn_protocols(list(alpn))
        return context

    def connect(self, server, **options):
        return TlsClient(server.http_port, self.context(**options))

    def serve(self, *flags, mounted=None, **options):
        """The server's own plain requests go to the admin port, which has no TLS."""
        server = Server(*self.flags(mounted or self.mount(), *flags), ready=False, **options)
        self.enterContext(server)
        wait_until(lambda: server.admin("GET", "/readyz").status == 200, what="readyz")
        return server

    @staticmethod
    def subject(client):
        return dict(part[0] for part in client.socket.getpeercert()["subject"])["commonName"]


class Handshakes(TlsCase):
    def test_answers_with_a_certificate_that_is_believed(self):
        server = self.serve()
        with self.connect(server) as client:
            self.assertEqual(client.socket.version(), "TLSv1.3")
            self.assertEqual(client.socket.selected_alpn_protocol(), "http/1.1")
            self.assertEqual(self.subject(client), "first")
            for _ in range(3):
                self.assertEqual(client.exchange(SINGLE).json["model"], "random-forest")
        expires = server.metric("podsense_tls_certificate_expiry_timestamp_seconds")
        self.assertTrue(time.time() + 86400 < expires < time.time() + 3 * 86400, expires)
        with self.assertRaisesRegex(ssl.SSLCertVerificationError, "verify failed"):
            self.connect(server, authority=self.other)

    def test_curl_believes_it_too(self):
        if not shutil.which("curl"):
            self.skipTest("no curl")
        server = self.serve()
        done = subprocess.run(
            ["curl", "-sS", "--cacert", self.authority.certificate, "-d", ROW.decode(), "-H",
             ": ".join(JSON), f"https://localhost:{server.http_port}/predict-single"],
            capture_output=True, text=True, timeout=LIMIT, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["model"], "random-forest")

    def test_versions_and_protocols_that_are_spoken(self):
        server = self.serve()
        old = self.context()
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with TlsClient(server.http_port, old) as client:
            self.assertEqual(client.socket.version(), "TLSv1.2")
            self.assertRegex(client.socket.cipher()[0], "^ECDHE-.*(GCM|CHACHA20)")
            self.assertEqual(client.exchange(SINGLE).status, 200)
        older = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        older.load_verify_locations(self.authority.certificate)
        older.set_ciphers("ALL:@SECLEVEL=0")
        older.minimum_version = older.maximum_version = ssl.TLSVersion.TLSv1_1
        with self.assertRaises(ssl.SSLError):
            TlsClient(server.http_port, older)
        with self.assertRaisesRegex(ssl.SSLError, "(?i)no.application.protocol"):
            self.connect(server, alpn=("spdy/3",))
        for offered, chosen in ((("http/1.1", "h2"), "h2"), (("http/1.1",), "http/1.1")):
            with self.connect(server, alpn=offered) as client:
                self.assertEqual(client.socket.selected_alpn_protocol(), chosen)
        wait_until(lambda: server.metric("podsense_tls_handshakes_failed_total",
                                         reason="protocol") == 2, what="the count")

    def test_sessions_are_resumed(self):
        server = self.serve()
        context = self.context()
        with TlsClient(server.http_port, context) as client:
            self.assertEqual(client.exchange(SINGLE).status, 200)
            session = client.socket.session
        with socket.create_connection(("127.0.0.1", server.http_port), LIMIT) as plain, \
                context.wrap_socket(plain, server_hostname="localhost", session=session) as again:
            self.assertTrue(again.session_reused)

    def test_plain_http_gets_one_clear_answer(self):
        server = self.serve()
        with RawClient(server.http_port) as client:
            answer = client.exchange(get("/livez"))
            self.assertEqual(answer.status, 400)
            self.assertEqual(answer.json["error"], "this port speaks TLS: ask it with https://")
            self.assertEqual(answer.headers["connection"], "close")
            client.half_close()
            self.assertTrue(client.is_closed())
        with RawClient(server.http_port) as client:
            client.send(b"\x00\x01neither\r\n\r\n")
            client.read_to_end()  # an alert at most, and the end
        wait_until(lambda: server.metric("podsense_tls_handshakes_failed_total",
                                         reason="plain_http") == 1, what="the count")

    def test_a_slow_handshake_is_ended(self):
        server = self.serve("--header-timeout", "1s", "--idle-timeout", "60s")
        with RawClient(server.http_port) as client, self.connect(server) as other:
            client.send(b"\x16\x03\x01\x02\x00\x01")  # the first bytes of a ClientHello
            self.assertTrue(client.is_closed())
            self.assertEqual(other.exchange(SINGLE).status, 200)  # idle is another limit
        wait_until(lambda: server.metric("podsense_tls_handshakes_failed_total",
                                         reason="timeout") == 1, what="the count")

    def test_headers_are_still_held_to_their_time(self):
        server = self.serve("--header-timeout", "1s")
        with self.connect(server) as client:
            answer = client.exchange(b"GET /livez HTTP/1.1\r\nHost:")
            self.assertEqual((answer.status, answer.json["code"]), (408, "REQUEST_TIMEOUT"))
            self.assertTrue(client.is_closed())

    def test_many_at_once(self):
        server = self.serve()
        failures = []

        def use():
            try:
                for _ in range(5):
                    with self.connect(server) as client:
                        for _ in range(20):
                            assert client.exchange(SINGLE).status == 200
            except Exception as error:
                failures.append(repr(error))

        threads = [threading.Thread(target=use) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        self.assertEqual(server.metric("podsense_tls_handshakes_failed_total"), 0)


class Requests(TlsCase):
    def test_bodies_of_many_records_go_both_ways(self):
        server = self.serve("--max-tensor-bytes", "64MiB")
        rows = 100_000
        body = b'{"inputs":[{"name":"X","datatype":"FP32","shape":[%d,20],"data":[' % rows
        body += b"0.5," * (rows * 20 - 1) + b"0.5]}]}"
        with self.connect(server) as client:
            metadata = client.exchange(get("/v2/models/random-forest")).json
            body = body.replace(b'"X"', json.dumps(metadata["inputs"][0]["name"]).encode())
            client.send(post("/v2/models/random-forest/infer", body, [JSON]))
            answer = client.read()
            self.assertEqual(answer.status, 200, answer)
            self.assertGreater(len(answer.body), 1 << 20)
            self.assertEqual(len(answer.json["outputs"][0]["data"]), rows)
            self.assertEqual(client.exchange(SINGLE).status, 200)

    def test_a_client_that_does_not_read_is_cut_off(self):
        server = self.serve("--write-timeout", "1s", "--max-tensor-bytes", "64MiB")
        with self.connect(server) as client:
            pages = get("/docs") * 20_000  # more answers than buffers hold
            with self.assertRaises(OSError):
                client.send(pages)
                client.socket.settimeout(LIMIT)
                while True:  # nothing is read until the server has given up
                    client.send(pages)
        wait_until(lambda: server.metric("podsense_connections") <= 1, what="the end")

    def test_pipelined_requests_are_answered_in_order(self):
        server = self.serve()
        with self.connect(server) as client:
            ids = [f"request-{i}" for i in range(50)]
            client.send(b"".join(post("/predict-single", ROW, [JSON, ("X-Request-Id", i)])
                                 for i in ids))
            self.assertEqual([client.read().headers["x-request-id"] for _ in ids], ids)

    def test_a_record_for_each_byte(self):
        server = self.serve()
        with self.connect(server) as client:
            for i in range(len(SINGLE)):
                client.send(SINGLE[i:i + 1])
            self.assertEqual(client.read().status, 200)

    def test_the_end_is_told(self):
        server = self.serve()
        with self.connect(server) as client:
            answer = client.exchange(get("/livez", [("Connection", "close")]))
            self.assertEqual(answer.status, 200)
            self.assertEqual(client.socket.recv(1), b"")  # close_notify: else this raises

    def test_a_client_that_leaves_is_noticed(self):
        """By close_notify as by FIN: its request is dropped before it runs."""
        server = self.serve("--executors", "1")
        with self.connect(server) as busy:
            busy.send(post("/infer?cpu_ms=2000", b""))
            wait_until(lambda: server.metric("podsense_in_flight") == 1, what="the first's run")
            with self.connect(server) as leaver:
                leaver.send(post("/infer?cpu_ms=10", b""))
                wait_until(lambda: server.metric("podsense_requests_in_flight") == 2,
                           what="the second")
                leaver.socket.settimeout(0.2)
                try:
                    leaver.socket.unwrap()  # sends close_notify, waits for ours in vain
                except OSError:
                    pass
            self.assertEqual(busy.read().status, 200)
        wait_until(lambda: server.metric("podsense_dropped_total", reason="client_gone") == 1,
                   what="the drop")


class ClientCertificates(TlsCase):
    def test_one_is_required_and_checked(self):
        mounted = self.mount(ca_crt=self.authority.certificate)
        server = self.serve("--tls-client-ca", mounted / "ca.crt", mounted=mounted)
        with self.connect(server, client=self.client) as client:
            self.assertEqual(client.exchange(SINGLE).status, 200)
        for client in (None, self.stranger):
            with self.assertRaisesRegex(ssl.SSLError, "(?i)certificate required|unknown ca"):
                with self.connect(server, client=client) as refused:
                    refused.exchange(SINGLE)  # TLS 1.3 tells a client with its first answer
        wait_until(lambda: server.metric("podsense_tls_handshakes_failed_total",
                                         reason="client_certificate") == 2, what="the count")
        mounted.put(tls_crt=self.first[0], tls_key=self.first[1], ca_crt=self.other.certificate)
        wait_until(lambda: len(server.log_lines("tls_certificate_in_force")) == 2, what="rotation")
        with self.connect(server, client=self.stranger) as client:
            self.assertEqual(client.exchange(SINGLE).status, 200)
        with self.assertRaises(ssl.SSLError):
            with self.connect(server, client=self.client) as refused:
                refused.exchange(SINGLE)


class Rotation(TlsCase):
    def test_a_new_pair_serves_new_connections_and_no_request_fails(self):
        mounted = self.mount()
        server = self.serve(mounted=mounted)
        seen, failures, answered = set(), [], [0]
        done = threading.Event()

        def use(keep_alive):
            try:
                while not done.is_set():
                    with self.connect(server) as client:
                        seen.add(self.subject(client))
                        for _ in range(10_000 if keep_alive else 1):
                            assert client.exchange(SINGLE).status == 200
                            answered[0] += 1
                            if done.is_set():
                                break
            except Exception as error:
                failures.append(repr(error))

        threads = [threading.Thread(target=use, args=(i % 2 == 0,)) for i in range(4)]
        for thread in threads:
            thread.start()
        try:
            for number, (pair, name) in enumerate(((self.second, "second"), (self.first, "first")), 1):
                wait_until(lambda: seen, what="connections")
                mounted.put(tls_crt=pair[0], tls_key=pair[1])
                # A thread may tell late whom it met: a name alone is no proof that the pair changed.
                wait_until(lambda n=number: failures or server.metric(
                    "podsense_tls_certificate_reloads_total", result="ok") == n, what="the count")
                seen.clear()
                wait_until(lambda name=name: name in seen or failures, what=f"the {name} pair")
        finally:
            done.set()
            for thread in threads:
                thread.join()
        self.assertEqual(failures, [])
        self.assertGreater(answered[0], 100)
        self.assertEqual(server.metric("podsense_tls_certificate_reloads_total", result="ok"), 2)

    def test_broken_files_are_refused_with_a_reason(self):
        mounted = self.mount()
        server = self.serve(mounted=mounted)
        wrong_key = (self.first[0], self.second[1], "does not belong to the first certificate")
        cases = [wrong_key,
                 (b"no certificate", self.first[1], "holds no certificate; accepted is PEM"),
                 (self.first[0], b"no key", "holds no private key; accepted is PEM"),
                 (self.first[0].read_bytes()[:300] + b"\n-----END CERTIFICATE-----\n",
                  self.first[1], "certificate 1 is not valid PEM")]
        for number, (certificate, key, reason) in enumerate(cases, 1):
            mounted.put(tls_crt=certificate, tls_key=key)
            wait_until(lambda number=number: len(server.log_lines("tls_certificate_refused")) ==
                       number, what="the refusal")
            message = server.log_lines("tls_certificate_refused")[-1]["message"]
            self.assertIn(reason, message)
            self.assertIn("stays in force", message)
            with self.connect(server) as client:
                self.assertEqual(self.subject(client), "first")
                self.assertEqual(client.exchange(SINGLE).status, 200)
        self.assertEqual(server.metric("podsense_tls_certificate_reloads_total", result="failed"),
                         len(cases))
        mounted.put(tls_crt=self.second[0], tls_key=self.second[1])
        wait_until(lambda: server.metric("podsense_tls_certificate_reloads_total", result="ok"),
                   what="the good pair")
        with self.connect(server) as client:
            self.assertEqual(self.subject(client), "second")

    def test_a_reload_looks_at_once(self):
        mounted = self.mount()
        server = self.serve("--tls-refresh-interval", "1h", mounted=mounted)
        mounted.put(tls_crt=self.second[0], tls_key=self.second[1])
        server.signal(signal.SIGHUP)
        wait_until(lambda: len(server.log_lines("tls_certificate_in_force")) == 2, what="rotation")
        with self.connect(server) as client:
            self.assertEqual(self.subject(client), "second")

    def test_the_reload_api_looks_at_once_and_says_what_it_found(self):
        mounted = self.mount()
        server = self.serve("--tls-refresh-interval", "1h", mounted=mounted)

        def reload(status):
            answer = server.admin("POST", "/v1/reload")
            self.assertEqual(answer.status, status, answer)
            self.assertNotIn("credentials", answer.json)  # none are configured
            return answer.json["certificates"]

        self.assertEqual(reload(200), {"result": "unchanged"})
        mounted.put(tls_crt=self.second[0], tls_key=self.second[1])
        self.assertEqual(reload(200), {"result": "read"})
        with self.connect(server) as client:
            self.assertEqual(self.subject(client), "second")
        mounted.put(tls_crt=self.first[0], tls_key=self.second[1])
        for _ in range(2):  # also when it was reported before
            refused = reload(409)
            self.assertEqual(refused["result"], "refused")
            self.assertIn("does not belong to the first certificate", refused["reason"])
        self.assertEqual(len(server.log_lines("tls_certificate_refused")), 1)
        with self.connect(server) as client:
            self.assertEqual(self.subject(client), "second")
        mounted.put(tls_crt=self.second[0], tls_key=self.second[1])
        self.assertEqual(reload(200), {"result": "unchanged"})  # as what is in force
        self.assertEqual(server.metric("podsense_tls_certificate_reloads_total", result="ok"), 1)
        self.assertEqual(server.metric("podsense_tls_certificate_reloads_total", result="failed"), 1)

    def test_what_cannot_be_used_stops_the_start(self):
        def output(*flags):
            # What PODSENSE_ variables say to the tests is no setting of the server's.
            clean = {k: v for k, v in os.environ.items() if not k.startswith("PODSENSE_")}
            return subprocess.run([BINARY, "serve", "--models", MODELS, *map(str, flags)],
                                  capture_output=True, text=True, timeout=LIMIT, check=False,
                                  env=clean)
        both = output("--tls-cert", self.first[0], "--tls-key", self.second[1])
        self.assertEqual(both.returncode, 1)
        self.assertIn("second.key: does not belong to the first certificate of", both.stderr)
        half = output("--tls-cert", self.first[0])
        self.assertEqual(half.returncode, 2)
        self.assertIn("tls.key: is missing", half.stderr)
        alone = output("--tls-client-ca", self.authority.certificate)
        self.assertEqual(alone.returncode, 2)
        self.assertIn("tls.client_ca: needs tls.certificate and tls.key", alone.stderr)
        key = self.place / "with-passphrase.key"
        subprocess.run(["openssl", "ec", "-in", self.first[1], "-aes256", "-passout", "pass:secret",
                        "-out", key], check=True, capture_output=True)
        locked = output("--tls-cert", self.first[0], "--tls-key", key)
        self.assertIn("the private key has a passphrase", locked.stderr)


class Drain(TlsCase):
    def test_requests_in_flight_end_and_idle_connections_are_told(self):
        server = self.serve()
        with self.connect(server) as idle, self.connect(server) as busy, \
                RawClient(server.http_port) as half:
            half.send(b"\x16\x03\x01")
            self.assertEqual(idle.exchange(SINGLE).status, 200)
            busy.send(post("/infer?cpu_ms=500", b""))
            wait_until(lambda: server.metric("podsense_requests_in_flight") == 1, what="request")
            server.signal(signal.SIGTERM)
            answer = busy.read()
            self.assertEqual((answer.status, answer.headers["connection"]), (200, "close"))
            self.assertEqual(busy.socket.recv(1), b"")  # close_notify
            self.assertEqual(idle.socket.recv(1), b"")
            self.assertTrue(half.is_closed())
        self.assertEqual(server.wait_exit(), 0)

    def test_no_request_fails_while_pods_go(self):
        for _ in range(3):
            server = self.serve("--drain-delay", "150ms", "--access-log", "errors")
            failures, told = [], []

            def use(server=server, failures=failures, told=told):
                context = self.context()
                try:
                    while True:
                        try:
                            client = TlsClient(server.http_port, context)
                        except (ConnectionError, TimeoutError):
                            return
                        with client:
                            for _ in range(10_000):
                                answer = client.exchange(SINGLE)
                                if answer.status != 200:
                                    failures.append(repr(answer))
                                if answer.headers.get("connection") == "close":
                                    told.append(1)
                                    break
                except Exception as error:
                    failures.append(repr(error))

            threads = [threading.Thread(target=use) for _ in range(3)]
            for thread in threads:
                thread.start()
            wait_until(lambda: server.metric("podsense_requests_total", code="OK") > 20 or failures,
                       what="traffic")
            server.signal(signal.SIGTERM)
            self.assertEqual(server.wait_exit(), 0)
            for thread in threads:
                thread.join()
            self.assertEqual(failures, [])
            self.assertTrue(told)


class Commands(TlsCase):
    def check(self, url, *flags):
        return subprocess.run([BINARY, "check", url, *map(str, flags)], capture_output=True,
                              text=True, timeout=LIMIT, check=False)

    def test_check_and_load_speak_https(self):
        mounted = self.mount(ca_crt=self.authority.certificate)
        server = self.serve(mounted=mounted)
        url = f"https://localhost:{server.http_port}/readyz"
        self.assertEqual(self.check(url, "--cacert", self.authority.certificate).returncode, 0)
        self.assertEqual(self.check(url, "--insecure").returncode, 0)
        unbelieved = self.check(url)
        self.assertEqual(unbelieved.returncode, 1)
        self.assertIn("the server's certificate is not trusted: ", unbelieved.stderr)
        plain = self.check(url.replace("https", "http"))
        self.assertEqual(plain.returncode, 1)
        self.assertIn("this port speaks TLS", plain.stdout)
        no_file = self.check(url, "--cacert", "/nonexistent")
        self.assertEqual(no_file.returncode, 2)
        self.assertIn("/nonexistent: cannot be read", no_file.stderr)
        load = subprocess.run(
            [BINARY, "load", f"https://localhost:{server.http_port}", "--cacert",
             self.authority.certificate, "--oip", "binary", "--model", "random-forest", "-n", "50",
             "-c", "2"], capture_output=True, text=True, timeout=LIMIT, check=False)
        self.assertEqual(load.returncode, 0, load.stdout + load.stderr)

    def test_check_shows_a_certificate_where_one_is_asked_for(self):
        mounted = self.mount(ca_crt=self.authority.certificate)
        server = self.serve("--tls-client-ca", mounted / "ca.crt", mounted=mounted)
        url = f"https://localhost:{server.http_port}/readyz"
        trust = ("--cacert", self.authority.certificate)
        self.assertEqual(self.check(url, *trust).returncode, 1)
        shown = self.check(url, *trust, "--cert", self.client[0], "--key", self.client[1])
        self.assertEqual(shown.returncode, 0, shown.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
