"""Clients behind a trusted proxy: Forwarded, X-Forwarded-For and the PROXY protocol decide whose address is
logged and limited, over HTTP/1.1, HTTP/2 and gRPC alike; nobody else's word counts."""

import struct
import tempfile
import unittest

from harness import Server, get, post, wait_until
from http2_client import PREFACE, Http2

ROW = b'{"features": [' + b",".join([b"0.5"] * 20) + b"]}"
JSON = ("Content-Type", "application/json")
TRUSTED = ("--trusted-proxies", "127.0.0.1,10.0.0.0/8")
BINARY_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def peers(server, count):
    """Of the requests so far, in their order; the harness's own probes left out."""
    def lines():
        return [line for line in server.log_lines("request") if line.get("path") != "/readyz"]
    wait_until(lambda: len(lines()) >= count, what="the access log")
    return [(line["peer"], line.get("proxy")) for line in lines()]


def proxied(client, port=4711):
    """A header of version 2."""
    addresses = bytes(map(int, client.split("."))) + bytes([127, 0, 0, 1]) + struct.pack(">HH", port, 80)
    return BINARY_SIGNATURE + b"\x21\x11" + struct.pack(">H", len(addresses)) + addresses


class Headers(unittest.TestCase):
    def ask(self, server, *headers):
        with server.raw() as client:
            return client.exchange(get("/v1/models", headers))

    def test_the_clients_address_is_logged(self):
        with Server(*TRUSTED) as server:
            for headers in ([("X-Forwarded-For", "6.6.6.6, 192.0.2.1, 10.1.1.1")],
                            [("Forwarded", 'for=6.6.6.6, for="[2001:db8::1]:80"; proto=https')],
                            [("X-Forwarded-For", "192.0.2.1"), ("Forwarded", "for=6.6.6.6")],
                            []):
                self.assertEqual(self.ask(server, *headers).status, 200)
            self.assertEqual(peers(server, 4), [
                ("192.0.2.1", "127.0.0.1"), ("2001:db8::1", "127.0.0.1"), ("127.0.0.1", None), ("127.0.0.1", None)])

    def test_nobody_else_is_believed(self):
        for flags in ((), ("--trusted-proxies", "10.0.0.0/8")):
            with Server(*flags) as server:
                self.ask(server, ("X-Forwarded-For", "192.0.2.1"), ("Forwarded", "for=192.0.2.1"))
                self.assertEqual(peers(server, 1), [("127.0.0.1", None)])

    def test_one_of_the_headers_can_be_chosen(self):
        both = [("X-Forwarded-For", "192.0.2.1"), ("Forwarded", "for=192.0.2.2")]
        for name, address in (("x-forwarded-for", "192.0.2.1"), ("forwarded", "192.0.2.2")):
            with Server(*TRUSTED, "--forwarded-by", name) as server:
                self.ask(server, *both)
                self.assertEqual(peers(server, 1)[0][0], address)

    def test_http2_and_grpc_are_the_same(self):
        with Server(*TRUSTED) as server:
            with Http2(server.http_port) as client:
                client.request("GET", "/v1/models", None, [("x-forwarded-for", "192.0.2.1")])
                client.call("/podsense.v1.InferenceService/Infer", b"", [("x-forwarded-for", "192.0.2.2")])
            self.assertEqual([peer for peer, _ in peers(server, 2)], ["192.0.2.1", "192.0.2.2"])

    def test_wrong_keys_count_against_the_client(self):
        with tempfile.NamedTemporaryFile("w") as keys:
            keys.write("me:" + "k" * 40 + "\n")
            keys.flush()
            with Server(*TRUSTED, "--auth-api-keys", keys.name) as server:
                def wrong(address):
                    with server.raw() as client:
                        return client.exchange(post("/predict-single", ROW, [
                            JSON, ("X-Api-Key", "wrong"), ("X-Forwarded-For", address)])).status
                for _ in range(200):
                    if wrong("192.0.2.1") == 429:
                        break
                else:
                    self.fail("guessing is never slowed down")
                self.assertEqual(wrong("192.0.2.2"), 401)


class Limits(unittest.TestCase):
    """--max-connections-per-address goes by the client."""

    def test_a_proxys_connections_are_not_limited(self):
        with Server(*TRUSTED, "--max-connections-per-address", "2") as server:
            clients = [server.raw() for _ in range(10)]
            for number, client in enumerate(clients):
                answer = client.exchange(post("/predict-single", ROW, [
                    JSON, ("X-Forwarded-For", f"192.0.2.{number}")]))
                self.assertEqual(answer.status, 200)
            for client in clients:
                client.socket.close()

    def test_a_clients_requests_through_a_proxy_are(self):
        with Server(*TRUSTED, "--max-connections-per-address", "2") as server:
            mine = ("X-Forwarded-For", "192.0.2.1")
            busy = [server.raw() for _ in range(2)]
            for client in busy:
                client.send(post("/predict-single", ROW, [JSON, mine])[:-5])
            wait_until(lambda: server.metric("podsense_requests_in_flight") == 2, what="two requests")
            for address, status in (("192.0.2.1", 503), ("192.0.2.2", 200)):
                with server.raw() as client:
                    answer = client.exchange(get("/v1/models", [("X-Forwarded-For", address)]))
                    self.assertEqual(answer.status, status, address)
            for client in busy:
                client.send(ROW[-5:])
                self.assertEqual(client.read().status, 200)
                client.socket.close()
            with server.raw() as client:
                self.assertEqual(client.exchange(get("/v1/models", [mine])).status, 200)


class ProxyProtocol(unittest.TestCase):
    def serve(self, *flags):
        return Server("--trusted-proxies", "127.0.0.1", "--proxy-protocol", *flags, ready=False)

    def ready(self, server):
        wait_until(lambda: server.admin("GET", "/readyz").status == 200, what="readiness")

    def test_both_versions_name_the_client(self):
        with self.serve() as server:
            self.ready(server)
            for header in (b"PROXY TCP4 192.0.2.1 10.0.0.1 56324 443\r\n", proxied("192.0.2.2"),
                           b"PROXY TCP6 2001:db8::1 ::1 1 2\r\n", b"PROXY UNKNOWN\r\n",
                           BINARY_SIGNATURE + b"\x20\x00\x00\x00"):
                with server.raw() as client:
                    client.send(header[:9])
                    client.wait_until_read()
                    client.send(header[9:] + get("/v1/models"))
                    self.assertEqual(client.read().status, 200, header)
                    self.assertEqual(client.exchange(get("/v1/models")).status, 200, "and the next")
            found = [peer for peer, _ in peers(server, 10)]
            self.assertEqual(found[::2], ["192.0.2.1", "192.0.2.2", "2001:db8::1", "127.0.0.1", "127.0.0.1"])

    def test_http2_behind_it(self):
        with self.serve() as server:
            self.ready(server)
            with Http2(server.grpc_port, preface=proxied("192.0.2.7") + PREFACE) as client:
                client.call("/podsense.v1.InferenceService/Infer")
            self.assertEqual(peers(server, 1)[-1][0], "192.0.2.7")

    def test_what_is_no_header_is_refused(self):
        with self.serve() as server:
            for wrong in (get("/v1/models"), b"PROXY TCP4 a b c d\r\n"):
                with server.raw() as client:
                    answer = client.exchange(wrong)
                    self.assertEqual(answer.status, 400)
                    self.assertIn("listen.proxy_protocol", answer.json["error"])

    def test_limits_go_by_the_client(self):
        with self.serve("--max-connections-per-address", "1") as server:
            self.ready(server)
            first = server.raw()
            self.assertEqual(first.exchange(proxied("192.0.2.1") + get("/v1/models")).status, 200)
            for address, status in (("192.0.2.1", 503), ("192.0.2.2", 200)):
                with server.raw() as client:
                    self.assertEqual(client.exchange(proxied(address) + get("/v1/models")).status, status)
            first.socket.close()

            def let_in():
                with server.raw() as client:
                    return client.exchange(proxied("192.0.2.1") + get("/v1/models")).status == 200
            wait_until(let_in, what="the place is free again")

    def test_it_needs_to_know_its_proxies(self):
        with self.assertRaises(AssertionError), Server("--proxy-protocol"):
            pass


if __name__ == "__main__":
    unittest.main(verbosity=2)
