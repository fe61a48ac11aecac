"""The life of gRPC connections: keep-alive, age, limits, drain. Clients are gRPC's own, or a few
frames of HTTP/2 by hand where a client has to misbehave."""

import json
import signal
import struct
import unittest

from clients import Caller, channel_to, infer

# isort: split
import grpc
from harness import RawClient, Server, wait_until

SETTINGS, PING, GOAWAY = 4, 6, 7
ACK = 1
MAX_CONCURRENT_STREAMS = 3
ENHANCE_YOUR_CALM = 11


class FrameClient(RawClient):
    """RFC 9113, no further than these tests need."""

    def __init__(self, port):
        super().__init__(port)
        self.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        self.send_frame(SETTINGS)

    def send_frame(self, kind, payload=b"", flags=0):
        self.send(struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + bytes(4) + payload)

    def frame(self):
        """(kind, flags, payload) of the next one; EOFError where the server has closed."""
        def take(count):
            while len(self.buffer) < count:
                try:
                    more = self._more()
                except ConnectionError:
                    more = False
                if not more:
                    raise EOFError
            part, self.buffer = self.buffer[:count], self.buffer[count:]
            return part
        head = take(9)
        payload = take(int.from_bytes(head[:3], "big"))
        return head[3], head[4], payload

    def next(self, kind, flags=0):
        while True:
            found, its_flags, payload = self.frame()
            if (found, its_flags) == (kind, flags):
                return payload


def slow(server, milliseconds):
    """Every run takes this long; 0: as usual."""
    faults = {"models": {"": {"slow_ms": milliseconds}}} if milliseconds else {}
    answer = server.request("POST", "/v1/faults", json.dumps(faults).encode(),
                            {"Content-Type": "application/json"}, server.admin_port)
    assert answer.status == 200, answer


def peers(server):
    """The addresses that calls came from, in order, without repetition; a call's line may be written
    just after its answer."""
    return list(dict.fromkeys((line["peer"], line["peer_port"]) for line in server.log_lines("request")
                              if line["server"] == "grpc"))


class Life(unittest.TestCase):
    def serve(self, *flags, **options):
        return self.enterContext(Server(*flags, **options))

    def channel(self, server, **options):
        return self.enterContext(channel_to(server.grpc_port, **options))

    def test_clients_are_asked_to_connect_anew_and_lose_no_call(self):
        server = self.serve("--grpc-max-connection-age", "300ms")
        callers = [Caller(self.channel(server)) for _ in range(3)]
        for caller in callers:
            caller.start()
        try:
            wait_until(lambda: len(peers(server)) >= 9 or any(c.failures for c in callers),
                       what="new connections")
        finally:
            for caller in callers:
                caller.done.set()
                caller.join()
        self.assertEqual([caller.failures for caller in callers], [[], [], []])

    def test_a_call_outlives_its_connections_age(self):
        server = self.serve("--grpc-max-connection-age", "500ms", "--fault-api")
        channel = self.channel(server)
        infer(channel)
        states = []
        channel.subscribe(states.append)
        slow(server, 3000)
        self.assertEqual(infer(channel).model, "random-forest")  # GOAWAY came meanwhile
        slow(server, 0)
        wait_until(lambda: grpc.ChannelConnectivity.IDLE in states, what="the connection's end")
        infer(channel)
        wait_until(lambda: len(peers(server)) >= 2, what="a line of a second connection")

    def test_the_grace_after_the_age_is_kept(self):
        server = self.serve("--grpc-max-connection-age", "300ms", "--grpc-max-connection-age-grace",
                            "500ms", "--fault-api")
        channel = self.channel(server, enable_retries=0)
        infer(channel)
        slow(server, 20_000)
        with self.assertRaises(grpc.RpcError) as caught:
            infer(channel)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.UNAVAILABLE)
        slow(server, 0)

    def test_idle_connections_are_closed(self):
        server = self.serve("--grpc-max-connection-idle", "300ms")
        channel = self.channel(server)
        states = []
        channel.subscribe(states.append)
        infer(channel)
        wait_until(lambda: states and states[-1] == grpc.ChannelConnectivity.IDLE, what="the end")
        infer(channel)
        wait_until(lambda: len(peers(server)) >= 2, what="a line of a second connection")
        self.assertEqual(len(peers(server)), 2)

    def test_silent_connections_are_asked_for_a_sign_of_life(self):
        server = self.serve("--grpc-keepalive-time", "1s", "--grpc-keepalive-timeout", "1s")
        with FrameClient(server.grpc_port) as dead, FrameClient(server.grpc_port) as alive:
            pings = 0
            while pings < 3:
                kind, flags, payload = alive.frame()
                if kind == PING and not flags & ACK:
                    alive.send_frame(PING, payload, ACK)
                    pings += 1
            dead.next(PING)  # and no answer
            with self.assertRaises(EOFError):
                while True:
                    dead.frame()
            alive.send_frame(PING, b"alive!!!")
            self.assertEqual(alive.next(PING, ACK), b"alive!!!")

    def test_clients_that_ping_too_often_are_cut(self):
        server = self.serve("--grpc-min-ping-interval", "1h")
        with FrameClient(server.grpc_port) as client:
            for number in range(10):
                client.send_frame(PING, struct.pack(">Q", number))
            goaway = client.next(GOAWAY)
            self.assertEqual(int.from_bytes(goaway[4:8], "big"), ENHANCE_YOUR_CALM)
            self.assertEqual(goaway[8:], b"too_many_pings")
            with self.assertRaises(EOFError):
                while True:
                    client.frame()

    def test_clients_are_told_how_many_calls_a_connection_takes(self):
        server = self.serve("--grpc-max-streams", "7")
        with FrameClient(server.grpc_port) as client:
            payload = client.next(SETTINGS)
            settings = dict(struct.iter_unpack(">HI", payload))
            self.assertEqual(settings[MAX_CONCURRENT_STREAMS], 7)


class Drain(unittest.TestCase):
    # As docs/how-to/grpc.md tells clients to have it. gRPC's own shutdown ends calls that cross its
    # GOAWAY with CANCELLED before any of our code sees them: they never began, so that it is safe to
    # ask again, but clients do so only where they are told.
    POLICY = {"loadBalancingConfig": [{"round_robin": {}}],
              "methodConfig": [{"name": [{}], "retryPolicy": {
                  "maxAttempts": 4, "initialBackoff": "0.05s", "maxBackoff": "1s",
                  "backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"]}}]}

    def test_no_call_is_lost_with_a_retry_policy(self):
        with Server("--access-log", "errors") as stays:
            for repetition in range(5):
                with Server("--access-log", "errors") as goes:
                    target = f"ipv4:127.0.0.1:{stays.grpc_port},127.0.0.1:{goes.grpc_port}"
                    channels = [grpc.insecure_channel(target, options=[
                        ("grpc.use_local_subchannel_pool", 1),
                        ("grpc.service_config", json.dumps(self.POLICY))]) for _ in range(4)]
                    callers = [Caller(channel) for channel in channels for _ in range(4)]
                    for caller in callers:
                        caller.start()
                    try:
                        wait_until(lambda goes=goes: goes.metric(
                            "podsense_requests_total", protocol="grpc", code="OK") > 100,
                            what="calls to both")
                        goes.signal(signal.SIGTERM)
                        self.assertEqual(goes.wait_exit(), 0)
                        before = [caller.answered for caller in callers]
                        wait_until(lambda: all(c.answered > seen or c.failures for c, seen in
                                               zip(callers, before)), what="calls to the other")
                    finally:
                        for caller in callers:
                            caller.done.set()
                            caller.join()
                        for channel in channels:
                            channel.close()
                    failures = [failure for caller in callers for failure in caller.failures]
                    self.assertEqual(failures, [], f"repetition {repetition}")


if __name__ == "__main__":
    unittest.main(verbosity=2)
