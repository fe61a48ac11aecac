"""A table of bad requests to /v2, each with its exact answer; after each a good one is served."""

import json
import sys
import tempfile
import unittest
from pathlib import Path

from harness import RawClient, ServerCase, post
from oip_cases import GOOD, INFER, OIP_CASES
from oip_models import make_repository

GOOD_REQUEST = post(INFER, json.dumps({"inputs": [GOOD]}).encode())


def raw(case):
    _, method, path, headers, body, _, _ = case
    lines = [f"{method} {path} HTTP/1.1", "Host: test", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")


class OipBadInput(ServerCase):
    FLAGS = ("--max-tensor-bytes", "300000", "--max-json-bytes", "100000")

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="podsense-oip-")
        cls.addClassCleanup(folder.cleanup)
        cls.MODELS = make_repository(Path(folder.name))
        super().setUpClass()

    def ask(self, case):
        with self.server.raw() as client:
            return client.exchange(raw(case))

    def test_every_case_has_its_exact_answer(self):
        self.assertGreaterEqual(len(OIP_CASES), 120)
        with RawClient(self.server.http_port) as good:
            for case in OIP_CASES:
                what, status, message = case[0], case[5], case[6]
                with self.subTest(what):
                    answer = self.ask(case)
                    self.assertEqual(answer.status, status, answer)
                    self.assertEqual(answer.json, {"error": message})
                    self.assertEqual(answer.headers["content-type"], "application/json")
                    self.assertTrue(answer.headers["x-request-id"])
                    self.assertEqual(good.exchange(GOOD_REQUEST).status, 200)

    def test_names_are_unique(self):
        names = [case[0] for case in OIP_CASES]
        doubled = {name for name in names if names.count(name) > 1}
        self.assertLessEqual(doubled, {"beyond a float (FP32)"})

    def test_nothing_is_logged_as_a_fault_of_the_server(self):
        for line in self.server.log_lines("request"):
            self.assertNotEqual(line["status"], 500, line)

    @classmethod
    def show(cls):
        """`test_oip_bad_input.py --show` prints answers that differ from the table's."""
        cls.setUpClass()
        for case in OIP_CASES:
            answer = cls().ask(case)
            if (answer.status, answer.json) != (case[5], {"error": case[6]}):
                print(json.dumps([case[0], answer.status, answer.json.get("error")],
                                 ensure_ascii=False), f"\n    not {case[5]} {case[6]!r}")
        cls.doClassCleanups()


if __name__ == "__main__":
    if sys.argv[1:] == ["--show"]:
        OipBadInput.show()
    else:
        unittest.main(verbosity=2)
