"""SIGTERM: what is asked is answered, nothing is ready any more, the exit code is 0."""

import json
import os
import signal
import threading
import time
import unittest

from harness import RawClient, Server, post, wait_until

SHIM = os.environ.get("PODSENSE_FAILING_THREADS")
ROW = json.dumps({"features": [0.5] * 20}).encode()
SINGLE = post("/predict-single", ROW, [("Content-Type", "application/json")])


class Traffic(threading.Thread):
    """A keep-alive client in a closed loop, as well behaved as a proxy: it opens a new connection
    after `Connection: close`, and ends when none is accepted any more."""

    def __init__(self, port):
        super().__init__()
        self.port = port
        self.answered = 0
        self.told_to_close = 0
        self.failures = []
        self.first = threading.Event()

    def run(self):
        try:
            while True:
                try:
                    client = RawClient(self.port, connect_timeout=0.3)
                except ConnectionRefusedError:
                    return
                except TimeoutError:
                    continue  # a listener that closes takes no part in handshakes
                with client:
                    self.use(client)
        except Exception as error:  # a failure in a thread must reach the test
            self.failures.append(repr(error))

    def use(self, client):
        while True:
            answer = client.exchange(SINGLE)
            if answer.status != 200:
                self.failures.append(repr(answer))
            self.answered += 1
            self.first.set()
            if answer.headers.get("connection") == "close":
                self.told_to_close += 1
                return


class Drain(unittest.TestCase):
    def draining(self, server):
        wait_until(lambda: server.admin("GET", "/health").json["draining"], what="draining")

    @staticmethod
    def refuses(server):
        try:
            RawClient(server.http_port, connect_timeout=0.3).socket.close()
        except ConnectionRefusedError:
            return True
        except TimeoutError:
            pass  # closing
        return False

    def test_no_request_fails_while_pods_go(self):
        for repetition in range(20):
            with Server("--drain-delay", "150ms", "--access-log", "errors") as server:
                threads = [Traffic(server.http_port) for _ in range(4)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    self.assertTrue(thread.first.wait(60))
                server.signal(signal.SIGTERM)
                self.assertEqual(server.wait_exit(), 0)
                for thread in threads:
                    thread.join()
                    self.assertEqual(thread.failures, [], f"repetition {repetition}")
                    self.assertGreater(thread.told_to_close, 0)

    READINESS = ("/readyz", "/v2/health/ready", "/v2/models/random-forest/ready", "/health", "/ping",
                 "/health?probe=readiness")

    def test_not_ready_but_accepting_during_the_delay(self):
        with Server("--drain-delay", "120s", "--drain-timeout", "240s", exit_code=1) as server:
            self.assertEqual({server.get(path).status for path in self.READINESS}, {200})
            server.signal(signal.SIGTERM)
            self.draining(server)
            for path in self.READINESS:
                self.assertEqual(server.get(path).status, 503, path)
            self.assertEqual(server.admin("GET", "/readyz").status, 503)
            self.assertEqual(server.admin("GET", "/livez").status, 200)
            self.assertEqual(server.get("/v2/health/live").status, 200)
            self.assertEqual(server.metric("podsense_ready"), 0)
            health = server.admin("GET", "/health")
            self.assertEqual((health.json["status"], health.json["problems"]),
                             ("unavailable", ["shutting down"]))
            with server.raw() as client:
                answer = client.exchange(SINGLE)
                self.assertEqual((answer.status, answer.headers["connection"]), (200, "close"))
                self.assertTrue(client.is_closed())
            server.signal(signal.SIGINT)  # enough of it

    def test_still_ready_during_the_delay_where_that_is_wanted(self):
        with Server("--drain-delay", "120s", "--drain-timeout", "240s", "--ready-while-draining",
                    exit_code=1) as server:
            server.signal(signal.SIGTERM)
            self.draining(server)
            for path in self.READINESS:
                self.assertEqual(server.get(path).status, 200, path)
            health = server.admin("GET", "/health")
            self.assertEqual((health.json["status"], health.json["problems"]),
                             ("degraded", ["shutting down"]))
            with server.raw() as client:
                answer = client.exchange(SINGLE)
                self.assertEqual((answer.status, answer.headers["connection"]), (200, "close"))
                self.assertTrue(client.is_closed())
            server.signal(signal.SIGINT)  # enough of it

    def test_readiness_ends_and_liveness_does_not(self):
        with Server() as server, server.raw() as client:
            client.send(SINGLE[:-5])  # in flight for as long as this test likes
            wait_until(lambda: server.metric("podsense_requests_in_flight") == 1, what="request")
            server.signal(signal.SIGTERM)
            wait_until(lambda: server.admin("GET", "/readyz").status == 503, what="not ready")
            self.assertEqual(server.admin("GET", "/livez").status, 200)
            wait_until(lambda: self.refuses(server), what="refusal of new connections")
            self.assertEqual(server.admin("GET", "/livez").status, 200)
            client.send(SINGLE[-5:])
            answer = client.read()
            self.assertEqual((answer.status, answer.headers["connection"]), (200, "close"))
            self.assertEqual(server.wait_exit(), 0)

    def test_exits_soon_after_the_last_answer_whoever_is_idle(self):
        with Server() as server:
            idle = [server.raw() for _ in range(20)]
            for client in idle[:10]:
                self.assertEqual(client.exchange(SINGLE).status, 200)
            with server.raw() as busy:
                busy.send(post("/infer?cpu_ms=600", b""))
                wait_until(lambda: server.metric("podsense_requests_in_flight") == 1,
                           what="request")
                server.signal(signal.SIGTERM)
                self.assertEqual(busy.read().status, 200)
                answered = time.monotonic()
            self.assertEqual(server.wait_exit(), 0)
            self.assertLess(time.monotonic() - answered, 5)
            for client in idle:
                self.assertTrue(client.is_closed())
                client.socket.close()

    def test_exits_at_once_when_nothing_is_in_flight(self):
        with Server() as server, server.raw() as idle:
            self.assertEqual(idle.exchange(SINGLE).status, 200)
            begun = time.monotonic()
            server.signal(signal.SIGTERM)
            self.assertEqual(server.wait_exit(), 0)
            self.assertLess(time.monotonic() - begun, 5)

    def test_queued_requests_are_answered_too(self):
        with Server("--executors", "1") as server:
            clients = [server.raw() for _ in range(6)]
            for client, cpu_ms in zip(clients, (3000, 20, 20, 20, 20, 20)):
                client.send(post(f"/infer?cpu_ms={cpu_ms}", b""))
            wait_until(lambda: server.metric("podsense_requests_in_flight") == 6, what="requests")
            server.signal(signal.SIGTERM)
            for client in clients:
                self.assertEqual(client.read().status, 200)
                client.socket.close()
            self.assertEqual(server.wait_exit(), 0)

    def test_pipelined_requests_are_answered_or_never_begun(self):
        flags = ("--drain-delay", "120s", "--drain-timeout", "240s")
        with Server(*flags, exit_code=1) as server, server.raw() as client:
            client.send(post("/infer?cpu_ms=300", b"") + SINGLE * 3)
            wait_until(lambda: server.metric("podsense_requests_in_flight") == 1, what="request")
            server.signal(signal.SIGTERM)
            self.draining(server)
            answers = [client.read()]
            while "connection" not in answers[-1].headers:
                answers.append(client.read())
            self.assertEqual({answer.status for answer in answers}, {200})
            self.assertTrue(client.is_closed())  # and said so: the rest may be asked again
            server.signal(signal.SIGINT)

    def test_a_request_that_is_still_being_sent_is_finished(self):
        with Server() as server, server.raw() as client:
            client.send(SINGLE[:-5])
            wait_until(lambda: server.metric("podsense_requests_in_flight") == 1, what="request")
            server.signal(signal.SIGTERM)
            wait_until(lambda: server.admin("GET", "/readyz").status == 503, what="not ready")
            client.send(SINGLE[-5:])
            self.assertEqual(client.read().status, 200)
            self.assertEqual(server.wait_exit(), 0)

    def test_the_drain_timeout_ends_it(self):
        with Server("--drain-timeout", "500ms", exit_code=1) as server, server.raw() as client:
            client.send(post("/infer?cpu_ms=20000", b""))
            wait_until(lambda: server.metric("podsense_requests_in_flight") == 1, what="request")
            begun = time.monotonic()
            server.signal(signal.SIGTERM)
            self.assertEqual(server.wait_exit(), 1)
            self.assertLess(time.monotonic() - begun, 10)
            (line,) = server.log_lines("shutdown_ended")
            self.assertEqual((line["drained"], line["cut_off"]), (False, 1))

    def test_sigint_is_the_same(self):
        with Server() as server, server.raw() as client:
            client.send(post("/infer?cpu_ms=400", b""))
            wait_until(lambda: server.metric("podsense_requests_in_flight") == 1, what="request")
            server.signal(signal.SIGINT)
            self.assertEqual(client.read().status, 200)
            self.assertEqual(server.wait_exit(), 0)
            self.assertEqual(server.log_lines("shutdown_began")[0]["signal"], "SIGINT")

    @staticmethod
    def insists(server):
        """SIGTERM once more; True: it has ended."""
        if server.process.poll() is None:
            server.signal(signal.SIGTERM)
        return server.process.poll() is not None

    def test_another_signal_exits_at_once(self):
        with Server("--drain-delay", "60s", "--drain-timeout", "120s", exit_code=1) as server:
            server.signal(signal.SIGTERM)
            self.draining(server)
            server.signal(signal.SIGINT)
            self.assertEqual(server.wait_exit(), 1)

    def test_a_second_signal_exits_at_once(self):
        for flags, work in ((("--drain-delay", "60s", "--drain-timeout", "120s"), None),
                            (("--drain-timeout", "120s"), "/infer?cpu_ms=20000")):
            with Server(*flags, exit_code=1) as server, server.raw() as client:
                if work:
                    client.send(post(work, b""))
                    wait_until(lambda: server.metric("podsense_requests_in_flight") == 1,
                               what="request")
                server.signal(signal.SIGTERM)
                self.draining(server)
                if work:
                    wait_until(lambda: server.admin("GET", "/readyz").status == 503, what="drain")
                begun = time.monotonic()
                # The same one within a second is the first.
                wait_until(lambda s=server: self.insists(s), what="the end")
                self.assertEqual(server.wait_exit(), 1)
                self.assertLess(time.monotonic() - begun, 5)

    @unittest.skipUnless(SHIM, "PODSENSE_FAILING_THREADS names no library")
    def test_a_filter_that_the_system_refuses_is_no_news_where_nobody_was_hurt(self):
        with Server(env={"LD_PRELOAD": SHIM, "FAIL_FILTERS": "1"}) as server:
            server.signal(signal.SIGTERM)
            self.assertEqual(server.wait_exit(), 0)
            self.assertEqual([line for line in server.log_lines() if line["level"] != "info"], [])

    def test_a_signal_while_models_load_is_obeyed(self):
        with Server(ready=False) as server:
            server.signal(signal.SIGTERM)
            self.assertEqual(server.wait_exit(), 0)

    def test_a_reload_that_is_under_way_does_no_harm(self):
        for _ in range(5):
            with Server() as server, RawClient(server.admin_port) as admin:
                admin.send(post("/v1/reload", b""))
                server.signal(signal.SIGTERM)
                self.assertEqual(server.wait_exit(), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
