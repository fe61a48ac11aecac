"""Weights in files beside a model belong to the version that was loaded, whatever becomes of the files."""

import os
import shutil
import struct
import tempfile
import unittest
from pathlib import Path

from harness import SANITIZER, Server
from onnx_writer import BOOL, FLOAT, INT64, floats, graph, model, node, put, tensor, value

ROWS, COLUMNS = 500_000, 4
BYTES = ROWS * COLUMNS * 4


def embedding():
    """y = w[x]: an answer is a row of the weights."""
    weights = tensor("w", FLOAT, [ROWS, COLUMNS], external={"location": "weights.bin", "offset": "0",
                                                            "length": str(BYTES)})
    return model([node("Gather", ["w", "x"], ["y"])], [value("x", INT64, ["n"])],
                 [value("y", FLOAT, ["n", COLUMNS])], [weights])


def weights(first):
    return struct.pack(f"<{COLUMNS}f", *(first + i for i in range(COLUMNS))) * ROWS


class ExternalData(unittest.TestCase):
    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="podsense-external-"))
        self.addCleanup(shutil.rmtree, self.root)
        self.file = put(self.root, "emb", embedding()) / "weights.bin"
        self.file.write_bytes(weights(1.0))

    def assert_rows(self, server, first):
        for row in (0, ROWS // 2, ROWS - 1):
            answer = server.post_json("/v2/models/emb/infer", {"inputs": [
                {"name": "x", "shape": [1], "datatype": "INT64", "data": [row]}]})
            self.assertEqual(answer.status, 200, answer)
            self.assertEqual(answer.json["outputs"][0]["data"], [first + i for i in range(COLUMNS)])

    def test_overwritten_cut_short_and_removed_while_served(self):
        with Server(models=self.root) as server:
            self.assert_rows(server, 1.0)
            with open(self.file, "r+b") as file:  # as cp does: into the same file
                file.write(weights(7.0))
            self.assert_rows(server, 1.0)
            os.truncate(self.file, 0)
            self.assert_rows(server, 1.0)
            # A reload refuses what is there now, and what serves goes on.
            self.assertEqual(server.admin("POST", "/v1/reload").status, 409)
            self.assert_rows(server, 1.0)
            self.file.unlink()
            self.assertEqual(server.admin("POST", "/v1/reload").status, 409)
            self.assert_rows(server, 1.0)
            self.file.write_bytes(weights(3.0))
            self.assertEqual(server.admin("POST", "/v1/reload").status, 200)
            self.assert_rows(server, 3.0)

    def test_a_nested_graph_s_are_mapped_and_the_warning_says_so(self):
        weights_of_branch = tensor("w", FLOAT, [2, 2], external={"location": "weights.bin", "offset": "0",
                                                                 "length": "16"})
        branch = graph([node("Identity", ["w"], ["b"])], [], [value("b")], [weights_of_branch])
        other = graph([node("Identity", ["v"], ["c"])], [], [value("c")], [floats("v", [0.0] * 4, [2, 2])])
        put(self.root, "emb", model([node("If", ["x"], ["y"], then_branch=branch, else_branch=other)],
                                    [value("x", BOOL, [])], [value("y")]))
        with Server(models=self.root) as server:
            self.assertIn("mapped from its file", server.health()["warnings"][0])

    def private_bytes(self, server):
        status = Path(f"/proc/{server.pid}/status").read_text()
        return int(status.split("RssAnon:")[1].split()[0]) << 10

    @unittest.skipIf(SANITIZER,
                     "sanitizers keep memory of their own")
    def test_what_they_cost_in_memory(self):
        """Their size, and nothing where they are mapped: as the setting's reference says."""
        with Server(models=self.root) as server:
            self.assert_rows(server, 1.0)
            private = self.private_bytes(server)
        with Server("--map-weights", models=self.root) as server:
            self.assert_rows(server, 1.0)
            mapped = self.private_bytes(server)
        self.assertGreater(private - mapped, 0.8 * BYTES)
        self.assertLess(private - mapped, 1.5 * BYTES)


if __name__ == "__main__":
    unittest.main()
