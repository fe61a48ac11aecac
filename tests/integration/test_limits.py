"""Time limits, size limits, the bounded queue, and clients that misbehave or leave."""

import gzip
import json
import threading
import time
import unittest

from harness import LIMIT, TESTDATA, Server, ServerCase, get, post, wait_until

ROW = json.dumps({"features": [0.5] * 20}).encode()
JSON = ("Content-Type", "application/json")
SINGLE = post("/predict-single", ROW, [JSON])


class SlowClients(ServerCase):
    FLAGS = ("--header-timeout", "300ms", "--body-timeout", "300ms", "--idle-timeout", "300ms",
             "--write-timeout", "500ms")

    def assert_408(self, sent, message):
        with self.server.raw() as client:
            client.send(sent)
            self.assert_error(client.read(), 408, "REQUEST_TIMEOUT", message)
            self.assertTrue(client.is_closed())

    def test_slow_headers_are_408(self):
        for sent in (b"G", b"GET /livez HTTP/1.1\r\n", b"GET /livez HTTP/1.1\r\nHost: x\r\nX: "):
            self.assert_408(sent, "the request's headers did not come in time")

    def test_a_slow_body_is_408(self):
        message = "the request's body did not come in time"
        self.assert_408(SINGLE[:-1], message)
        self.assert_408(post("/predict", b"")[:-2].replace(b"Length: 0", b"Length: 9") + b"\r\n",
                        message)
        chunked = b"POST /predict-single HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        self.assert_408(chunked, message)
        self.assert_408(chunked + b"5\r\nhe", message)
        self.assert_408(chunked + b"5\r\nhello\r\n0\r\n", message)

    def test_dripping_does_not_extend_the_time(self):
        with self.server.raw() as client:
            client.send(b"GET /livez HTTP/1.1\r\n")
            begun = time.monotonic()
            client.socket.settimeout(0.05)
            while True:
                try:
                    answer = client.read()
                    break
                except TimeoutError:
                    client.send(b"X-Drip: drop\r\n")
                self.assertLess(time.monotonic() - begun, LIMIT)
            self.assertEqual(answer.status, 408)

    def test_an_idle_connection_is_closed_silently(self):
        with self.server.raw() as fresh, self.server.raw() as used:
            self.assertEqual(used.exchange(SINGLE).status, 200)
            self.assertTrue(fresh.is_closed())
            self.assertTrue(used.is_closed())

    def test_a_client_that_takes_no_answer_is_disconnected(self):
        before = self.server.metric("podsense_connections")
        with self.server.raw() as client:
            client.socket.setblocking(False)
            request = get("/openapi.json") * 100
            try:
                while True:  # until the server takes no more, since its answers do not go out
                    client.socket.send(request)
            except BlockingIOError:
                pass
            except ConnectionError:
                return
            wait_until(lambda: self.server.metric("podsense_connections") <= before,
                       what="the end of the connection")


class Sizes(ServerCase):
    FLAGS = ("--max-body-bytes", "200000", "--max-json-bytes", "100000",
             "--max-inflated-bytes", "50000", "--max-header-bytes", "4096",
             "--max-pixels", "100000", "--max-side", "1000")

    def test_too_large_bodies_are_answered_while_the_client_still_sends(self):
        size = 30_000_000
        head = post("/predict", b"").replace(b"Length: 0", b"Length: %d" % size)
        answers = []
        for _ in range(5):
            with self.server.raw() as client:
                client.send(head)
                sender = threading.Thread(target=self.send_all, args=(client, size))
                sender.start()
                answer = client.read()
                answers.append(answer)
                self.assert_error(answer, 413, "PAYLOAD_TOO_LARGE",
                                  f"the body has {size} bytes; accepted are up to 200000 of a picture as it is "
                                  "(limits.max_body_bytes), 100000 of JSON (limits.max_json_bytes)")
                sender.join()
        self.assertEqual(len(answers), 5)

    @staticmethod
    def send_all(client, size):
        try:
            client.send(b"x" * size)
        except OSError:
            pass  # after the answer the server may stop reading

    def test_a_slow_client_that_writes_before_it_reads_gets_its_answer(self):
        head = (b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\n"
                b"Content-Length: 8000000\r\n\r\n")
        with self.server.raw() as client:
            client.send(head)
            late = time.monotonic() + 3  # only time says that it was longer than a short linger

            def sent_for_long():
                client.send(b"x" * 10_000)
                return time.monotonic() > late
            wait_until(sent_for_long, what="3 seconds")
            self.assertEqual(client.read().status, 413)

    def test_limits_belong_to_the_endpoint(self):
        answer = self.server.post("/predict-single", b" " * 100_001, "application/json")
        self.assert_error(answer, 413, "PAYLOAD_TOO_LARGE",
                          "the body has 100001 bytes; accepted are up to 100000 (limits.max_json_bytes)")
        answer = self.server.post("/predict-single", b" " * 100_000, "application/json")
        self.assert_error(answer, 400, "INVALID_ARGUMENT")
        answer = self.server.post("/predict", b"\xff\xd8\xff" + b"x" * 199_999, "image/jpeg")
        self.assert_error(answer, 413, "PAYLOAD_TOO_LARGE")

    def test_chunks_are_counted_together(self):
        piece = b"%x\r\n%s\r\n" % (30_000, b" " * 30_000)
        request = (b"POST /predict-single HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                   + piece * 4 + b"0\r\n\r\n")
        with self.server.raw() as client:
            answer = client.exchange(request)
            self.assert_error(answer, 413, "PAYLOAD_TOO_LARGE", "the body is over 100000 bytes (limits.max_json_bytes)")
            self.assertTrue(client.is_closed())

    def test_inflated_bodies_are_counted(self):
        answer = self.server.post("/predict-single", gzip.compress(b" " * 50_001),
                                  "application/json", {"Content-Encoding": "gzip"})
        self.assert_error(answer, 413, "PAYLOAD_TOO_LARGE",
                          "the body is larger than 50000 bytes when its gzip is undone")

    def test_pixels_are_counted_before_decoding(self):
        answer = self.server.post("/predict", (TESTDATA / "jpeg_large_420.jpg").read_bytes())
        self.assert_error(answer, 413, "PAYLOAD_TOO_LARGE")
        self.assertRegex(answer.json["error"],
                         r"^the picture is \d+ x \d+ pixels; at most (100000 in all|1000 a side) "
                         r"are accepted \(limits\.max_(pixels|side)\)$")

    def test_headers_have_the_configured_limit(self):
        answer = self.server.get("/livez", {"X-Long": "y" * 4100})
        self.assert_error(answer, 431, "HEADERS_TOO_LARGE",
                          "request line and headers are over 4096 bytes")

    def test_headers_in_pieces_have_the_configured_limit(self):
        with self.server.raw() as client:
            client.send(b"GET /livez HTTP/1.1\r\nHost: x\r\nX")
            try:
                for _ in range(60):
                    client.wait_until_read()
                    client.send(b"-A: " + b"b" * 93 + b"\r\nX")
                client.send(b": y\r\n\r\n")
            except OSError:
                pass  # refused by then: the answer is there
            self.assert_error(client.read(), 431, "HEADERS_TOO_LARGE",
                              "request line and headers are over 4096 bytes")
            self.assertTrue(client.is_closed())


class OneExecutor(ServerCase):
    """So that one long request holds up all others."""

    FLAGS = ("--executors", "1", "--io-threads", "1")

    def cancelled(self):
        return self.server.metric("podsense_requests_total", code="CANCELLED")

    def occupied(self, cpu_ms):
        """A connection whose request the executor is running."""
        client = self.server.raw()
        self.addCleanup(client.socket.close)
        client.send(post(f"/infer?cpu_ms={cpu_ms}"))
        wait_until(lambda: self.server.metric("podsense_in_flight", model="simulated") == 1,
                   what="the run")
        return client

    def wait_queued(self, count):
        wait_until(lambda: self.server.metric("podsense_queue_depth", model="simulated") == count,
                   what=f"{count} in the queue")


class GoneClients(OneExecutor):
    def test_work_of_clients_that_have_gone_is_dropped_and_counted(self):
        for leave in ("close", "reset"):
            before = self.cancelled()
            cpu_before = self.server.cpu_seconds()
            busy = self.occupied(600)
            gone = [self.server.raw() for _ in range(3)]
            for client in gone:
                self.addCleanup(client.socket.close)
            for client in gone:
                client.send(post("/infer?cpu_ms=700"))
            self.wait_queued(3)
            for client in gone:
                client.reset() if leave == "reset" else client.socket.close()
            self.assertEqual(busy.read().status, 200)
            wait_until(lambda: self.cancelled() == before + 3, what=f"3 cancelled by {leave}")
            self.assertLess(self.server.cpu_seconds() - cpu_before, 0.6 + 0.7 * 2)


class Deadlines(OneExecutor):
    FLAGS = (*OneExecutor.FLAGS, "--request-timeout", "6s")

    def test_a_deadline_the_queue_cannot_meet_is_503_with_retry_after(self):
        while self.server.metric("podsense_service_seconds", model="simulated") < 0.5:
            self.assertEqual(self.server.post("/infer?cpu_ms=700").status, 200)
        busy = self.occupied(1000)
        waiting = []
        refused = None
        for _ in range(24):
            client = self.server.raw()
            self.addCleanup(client.socket.close)
            client.send(post("/infer?cpu_ms=1000"))
            client.socket.settimeout(0.2)
            try:
                refused = client.read()
                break
            except TimeoutError:
                waiting.append(client)
        self.assertIsNotNone(refused, "all were admitted")
        self.assert_error(refused, 503, "OVERLOADED",
                          "the queue is too long to answer within the deadline; ask again later "
                          "or elsewhere")
        self.assertGreaterEqual(int(refused.headers["retry-after"]), 1)
        self.assertNotIn("connection", refused.headers)  # it may be asked again on the same one
        for client in [busy, *waiting]:
            client.socket.settimeout(LIMIT)
            self.assertIn(client.read().status, (200, 503, 504))

    def test_more_work_than_the_deadline_allows_is_504(self):
        answer = self.server.post("/infer?cpu_ms=9000")
        self.assert_error(answer, 504, "DEADLINE_EXCEEDED",
                          "the work asked for takes longer than the deadline allows")

    def test_inline_models_do_not_wait_for_the_queue(self):
        busy = self.occupied(300)
        with self.server.raw() as client:
            self.assertEqual(client.exchange(SINGLE).status, 200)
        self.assertEqual(self.server.get("/livez").status, 200)
        self.assertEqual(self.server.metric("podsense_in_flight", model="simulated"), 1)
        self.assertEqual(busy.read().status, 200)

    def test_the_time_to_send_a_body_does_not_count_against_the_deadline(self):
        with self.server.raw() as client:
            head, body = post("/infer", b'{"cpu_ms": 20}', [JSON]).split(b"\r\n\r\n")
            client.send(head + b"\r\n\r\n")
            late = time.monotonic() + 6.5  # only time says that the time of a whole request has passed
            wait_until(lambda: time.monotonic() > late, what="6.5 seconds")
            self.assertEqual(client.exchange(body).status, 200)


class Leaving(ServerCase):
    def test_a_half_closed_client_gets_its_answer(self):
        with self.server.raw() as client:
            client.send(SINGLE)
            client.half_close()
            self.assertEqual(client.read().status, 200)
            self.assertTrue(client.is_closed())

    def test_a_half_closed_client_gets_all_pipelined_answers(self):
        with self.server.raw() as client:
            client.send(SINGLE * 5)
            client.half_close()
            self.assertEqual([client.read().status for _ in range(5)], [200] * 5)

    def test_closing_inside_a_request_harms_nobody(self):
        with self.server.raw() as bystander:
            for cut in (1, 20, 60, len(SINGLE) - 1):
                for leave in ("close", "reset", "half"):
                    with self.server.raw() as client:
                        client.send(SINGLE[:cut])
                        if leave == "reset":
                            client.reset()
                        elif leave == "half":
                            client.half_close()
                            self.assertTrue(client.is_closed())
                    self.assertEqual(bystander.exchange(SINGLE).status, 200)
        wait_until(lambda: self.server.metric("podsense_requests_in_flight") == 0,
                   what="no request in flight")

    def test_leaving_while_a_picture_is_classified_harms_nobody(self):
        picture = (TESTDATA / "jpeg_420.jpg").read_bytes()
        for leave in ("close", "reset"):
            for _ in range(10):
                with self.server.raw() as client:
                    client.send(post("/predict", picture))
                    if leave == "reset":
                        client.reset()
        self.assertEqual(self.server.post("/predict", picture).status, 200)
        wait_until(lambda: self.server.metric("podsense_requests_in_flight") == 0,
                   what="no request in flight")


class Connections(unittest.TestCase):
    def test_connections_of_one_address_are_limited(self):
        with Server("--max-connections-per-address", "3") as server:
            def refused():
                return server.metric("podsense_connections_refused_total", reason="per_address")

            # Readiness was asked for on connections that may not all be gone yet.
            wait_until(lambda: server.metric("podsense_connections") <= 1, what="idle")
            before = refused()
            clients = [server.raw() for _ in range(3)]
            for client in clients:
                self.assertEqual(client.exchange(SINGLE).status, 200)
            with server.raw() as more:
                answer = more.exchange(SINGLE)
                self.assertEqual((answer.status, answer.json["code"]), (503, "OVERLOADED"))
                self.assertEqual(answer.headers["retry-after"], "1")
                self.assertTrue(more.is_closed())
            self.assertEqual(refused(), before + 1)
            clients.pop().socket.close()
            wait_until(lambda: self.serves(server), what="a place for another")
            for client in clients:
                self.assertEqual(client.exchange(SINGLE).status, 200)
                client.socket.close()

    def test_all_connections_are_limited(self):
        with Server("--max-connections", "5") as server:
            wait_until(lambda: server.metric("podsense_connections") <= 1, what="idle")
            clients = [server.raw() for _ in range(5)]
            for client in clients:
                self.assertEqual(client.exchange(SINGLE).status, 200)
            with server.raw() as more:
                answer = more.exchange(SINGLE)
                self.assertEqual((answer.status, answer.json["code"]), (503, "OVERLOADED"))
                self.assertEqual(answer.headers["retry-after"], "1")
                self.assertTrue(more.is_closed())
            self.assertEqual(server.get("/readyz").status, 200)  # a probe finds a place
            for client in clients:
                client.socket.close()
            wait_until(lambda: self.serves(server), what="places")

    @staticmethod
    def serves(server):
        try:
            with server.raw() as client:
                return client.exchange(SINGLE).status == 200
        except (OSError, EOFError):
            return False


if __name__ == "__main__":
    unittest.main(verbosity=2)
