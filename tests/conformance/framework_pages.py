"""Runs a page of docs/how-to/models as a reader would: its programs, its manifests, its questions; and holds the server's
answers against those that the page shows."""

import json
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from harness import GOLDEN, Server, wait_until

PAGES = Path(__file__).resolve().parents[2] / "docs/how-to/models"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
ADDRESS = "http://localhost:8080"


def differs(shown, answered, where="answer"):
    """What the page shows that the answer has not, in words; nothing where it has all of it. Numbers as precise as a page's."""
    if isinstance(shown, dict):
        return next(filter(None, (f"{where} has no {key}" if key not in answered else
                                  differs(value, answered[key], f"{where}.{key}") for key, value in shown.items())), None)
    if isinstance(shown, list):
        if len(shown) != len(answered):
            return f"{where} has {len(answered)} elements, not {len(shown)}"
        return next(filter(None, (differs(one, other, f"{where}[{at}]")
                                  for at, (one, other) in enumerate(zip(shown, answered, strict=True)))), None)
    same = abs(shown - answered) < 1e-4 if isinstance(shown, float) else shown == answered
    return None if same else f"{where} is {answered!r}, not {shown!r}"


class Page:
    """@param replace texts of the page, and what stands for them here"""

    def __init__(self, name, replace=()):
        text = (PAGES / f"{name}.md").read_text("utf-8")
        for theirs, ours in replace:
            assert theirs in text, theirs
            text = text.replace(theirs, ours)
        self.blocks = BLOCK.findall(text)

    def questions(self):
        """[(curl's command, the answer shown or None)]"""
        found = []
        for at, (kind, text) in enumerate(self.blocks):
            for command in re.findall(r"^curl .*?(?=^\w|\Z)", text if kind == "sh" else "", re.DOTALL | re.MULTILINE):
                shown = self.blocks[at + 1] if at + 1 < len(self.blocks) else ("", "")
                found.append((command, json.loads(shown[1]) if shown[0] == "json" else None))
        return found


class FrameworkPage(unittest.TestCase):
    """A test of one page says which in `page`; programs that ask the server run after it has started."""

    page = None

    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        shutil.copy(GOLDEN / "photos/chelsea.png", self.folder / "cat.jpg")

    def run_program(self, text):
        done = subprocess.run([sys.executable, "-c", text], cwd=self.folder, capture_output=True, text=True, timeout=600, check=False)
        self.assertEqual(0, done.returncode, f"{text}\n{done.stderr}")
        return done.stdout

    def make_models(self):
        for kind, text in self.page.blocks:
            if kind == "python" and ADDRESS not in text:
                self.run_program(text)
            manifest = re.match(r"# (models/\S+)\n", text) if kind == "yaml" else None
            if manifest:
                (self.folder / manifest[1]).write_text(text, "utf-8")

    def start(self):
        server = self.enterContext(Server(models=self.folder / "models"))
        wait_until(lambda: json.loads(server.get("/health").body)["status"] == "ok", what="every model serves")
        return f"http://localhost:{server.http_port}"

    def ask_everything(self):
        questions = self.page.questions()
        self.assertTrue(questions)
        address = self.start()
        for command, shown in questions:
            done = subprocess.run(["bash", "-c", "curl --silent --show-error --fail-with-body " +
                                   command.removeprefix("curl").replace(ADDRESS, address)],
                                  cwd=self.folder, capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual(0, done.returncode, f"{command}\n{done.stdout}{done.stderr}")
            if shown:
                self.assertIsNone(differs(shown, json.loads(done.stdout)), command)
        self.ask_programs(address)

    def ask_programs(self, address=None):
        """What the page's programs that ask the server print."""
        address = address or self.start()
        return "".join(self.run_program(text.replace(ADDRESS, address))
                       for kind, text in self.page.blocks if kind == "python" and ADDRESS in text)
