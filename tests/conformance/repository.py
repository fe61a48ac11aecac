"""A server of tiny models for the clients of this folder."""

import tempfile
import unittest
from pathlib import Path

from harness import Server
from oip_models import make_repository


class ConformanceCase(unittest.TestCase):
    """Tests that share one server with the models of oip_models.py."""

    FLAGS = ("--repository-api",)

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="podsense-conformance-")
        cls.addClassCleanup(folder.cleanup)
        cls.repository = make_repository(Path(folder.name))
        cls.server = Server(*cls.FLAGS, models=cls.repository)
        cls.server.__enter__()
        cls.addClassCleanup(cls.server.__exit__, None, None, None)

    @property
    def url(self):
        return f"127.0.0.1:{self.server.http_port}"

    @property
    def grpc_url(self):
        return f"127.0.0.1:{self.server.grpc_port}"
