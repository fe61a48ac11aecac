"""A table of bad requests, each with its exact answer; after each the server serves a good one."""

import json
import sys
import unittest

from bad_image_cases import IMAGE_CASES
from bad_value_cases import VALUE_CASES
from harness import RawClient, ServerCase, post

CASES = IMAGE_CASES + VALUE_CASES
CODES = {400: "INVALID_ARGUMENT", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
         405: "METHOD_NOT_ALLOWED", 413: "PAYLOAD_TOO_LARGE", 415: "UNSUPPORTED_MEDIA_TYPE",
         422: "UNPROCESSABLE_CONTENT", 504: "DEADLINE_EXCEEDED"}
GOOD = post("/predict-single", json.dumps({"features": [0.5] * 20}).encode(),
            [("Content-Type", "application/json")])


def raw(case):
    _, method, path, declared, body, _, _ = case
    lines = [f"{method} {path} HTTP/1.1", "Host: test", "Connection: close"]
    if declared:
        lines.append(f"Content-Type: {declared}")
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")


class BadInput(ServerCase):
    FLAGS = ("--max-body-bytes", "300000", "--max-json-bytes", "400000")

    def ask(self, case):
        with self.server.raw() as client:
            return client.exchange(raw(case))

    def test_every_case_has_its_exact_answer(self):
        self.assertGreaterEqual(len(CASES), 150)
        with RawClient(self.server.http_port) as good:
            for case in CASES:
                what, status, message = case[0], case[5], case[6]
                with self.subTest(what):
                    self.assert_error(self.ask(case), status, CODES[status], message)
                    self.assertEqual(good.exchange(GOOD).status, 200)

    def test_no_message_repeats_what_was_sent_at_length(self):
        for case in CASES:
            self.assertLess(len(case[6]), 300, case[0])

    def test_names_are_unique(self):
        names = [(case[0], case[2].split("?")[0]) for case in CASES]
        self.assertEqual(len(names), len(set(names)))

    def test_nothing_is_logged_as_a_fault_of_the_server(self):
        for line in self.server.log_lines("request"):
            self.assertNotEqual(line["status"], 500, line)

    @classmethod
    def show(cls):
        """`test_bad_input.py --show` prints the table's answers, to read and to bring it up."""
        cls.setUpClass()
        for case in CASES:
            answer = cls().ask(case)
            print(json.dumps([case[0], answer.status, answer.json.get("error")],
                             ensure_ascii=False))
        cls.doClassCleanups()


if __name__ == "__main__":
    if sys.argv[1:] == ["--show"]:
        BadInput.show()
    else:
        unittest.main(verbosity=2)
