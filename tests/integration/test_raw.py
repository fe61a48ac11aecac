"""Requests as no client should send them, byte by byte: each has the answer that the RFCs want, and what
follows on the connection is never taken for something else."""

import re
import sys
import unittest

from harness import RawClient, ServerCase
from raw_cases import CASES


class Raw(ServerCase):
    def ask(self, data):
        """The statuses of all answers, until the server closes."""
        with RawClient(self.server.http_port) as client:
            try:
                client.send(data)
                client.half_close()
            except ConnectionError:
                pass  # refused before all was sent: the answer is there
            text = b""
            try:
                while data := client.socket.recv(65536):
                    text += data
            except ConnectionError:
                pass
        return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", text)], text

    def test_every_case_has_its_answers(self):
        self.assertGreaterEqual(len(CASES), 159)
        for name, data, statuses in CASES:
            with self.subTest(name):
                got, text = self.ask(data)
                self.assertEqual(got, statuses, text[:600])

    def test_nothing_is_echoed_into_headers(self):
        for name, data, _ in CASES:
            head = self.ask(data)[1].split(b"\r\n\r\n")[0]
            self.assertNotRegex(head, rb"(?i)set-cookie|<script|[\x00-\x09\x0b\x0c\x0e-\x1f\x7f]", name)

    def test_the_server_goes_on(self):
        for _, data, _ in CASES:
            self.ask(data)
        self.assertEqual(self.server.get("/readyz").status, 200)
        self.assertEqual([line for line in self.server.log_lines("request") if line["status"] == 500], [])

    def test_names_are_unique(self):
        self.assertEqual(len({case[0] for case in CASES}), len(CASES))

    @classmethod
    def show(cls):
        """`test_raw.py --show` prints what is answered now."""
        cls.setUpClass()
        for name, data, statuses in CASES:
            got, text = cls().ask(data)
            body = text.split(b"\r\n\r\n")[1][:120] if b"\r\n\r\n" in text else text[:80]
            print("  " if got == statuses else "! ", name, got, statuses, body)
        cls.doClassCleanups()


if __name__ == "__main__":
    if sys.argv[1:] == ["--show"]:
        Raw.show()
    else:
        unittest.main(verbosity=2)
