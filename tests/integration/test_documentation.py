"""What README and docs/ name exists in this binary: metrics, settings, variables, commands and their flags. And the
README's table of what goes wrong, row by row."""

import functools
import re
import shlex
import socket
import unittest
from pathlib import Path

from harness import ROOT, Server
from test_cli import COMMANDS, podsense
from test_readiness import serve_to_its_end

README = ROOT / "README.md"
PAGES = [README, *sorted(path for path in (ROOT / "docs").rglob("*.md") if path.parent.name != "adr")]
# Looks like one.
NO_METRIC = {"podsense_simulated"}  # a backend
SUBCOMMANDS = {"load": ("merge",), "simulate": ("hpa",), "plan": ("explain", "measure", "traffic", "verify")}


def words_of(command):
    """Of a shell's line; nothing where it is no whole command."""
    try:
        return shlex.split(command, comments=True)
    except ValueError:
        return []


def code(page):
    """Each line of code: fenced ones, continued lines as one, and what stands in backticks."""
    text = page.read_text("utf-8")
    for block in re.findall(r"^ *```\w*\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE):
        yield from re.sub(r"\\\n\s*", " ", block).splitlines()
    yield from (re.sub(r"\s+", " ", one) for one in re.findall(r"(?<!`)`([^`]+)`(?!`)", re.sub(r"(?s)```.*?```", "", text)))


@functools.cache
def flags_of(*command):
    return set(re.findall(r"(?<![\w-])--?[A-Za-z][\w-]*", podsense(*command, "--help").stdout))


def commands_in(line):
    """(command, its further words) of each call of podsense in a line of code."""
    for part in re.split(r"\||&&|;|<\(|\$\(", line):
        words = words_of(part.strip().removeprefix("$ "))
        while words and re.fullmatch(r"\w+=.*", words[0]):
            words = words[1:]
        if len(words) > 1 and words[0] in ("podsense", "build/release/podsense") and words[1] in COMMANDS:
            command = [words[1]]
            if len(words) > 2 and words[2] in SUBCOMMANDS.get(words[1], ()):
                command.append(words[2])
            yield command, words[len(command) + 1:]


class Names(unittest.TestCase):
    """On every page."""

    def unknown(self, pattern, known, at_least=20):
        """What the pages name and nobody has, with its page."""
        seen, missing = 0, []
        for page in PAGES:
            for line in code(page):
                for name in re.findall(pattern, line):
                    seen += 1
                    if name not in known:
                        missing.append((str(page.relative_to(ROOT)), name))
        self.assertGreater(seen, at_least)
        return missing

    def test_metrics(self):
        known = set(re.findall(r"`((?:podsense|process)_\w+)`", podsense("metrics-reference").stdout))
        self.assertGreater(len(known), 40)
        known |= {name + suffix for name in known for suffix in ("_bucket", "_sum", "_count")}
        self.assertEqual(self.unknown(r"\bpodsense_[a-z_]+[a-z](?![\w:*…])", known | NO_METRIC), [])

    def test_recorded_metrics(self):
        rules = (ROOT / "monitoring/rules/podsense.rules.yaml").read_text()
        known = set(re.findall(r"record: (podsense\w*:[\w:]+)", rules))
        self.assertEqual(self.unknown(r"\bpodsense(?:_\w+|:\w+):[\w:]+", known, at_least=3), [])

    def test_settings(self):
        reference = podsense("config-reference").stdout
        keys = set(re.findall(r"`([a-z_]+\.[a-z_]+)`", reference))
        sections = "|".join({key.split(".")[0] for key in keys} - {"log"})
        self.assertGreater(len(keys), 60)
        missing = [(page, name) for page, name in self.unknown(rf"^((?:{sections})\.[a-z_]+)(?=$|[ :])", keys)]
        # Keys of the chart's values with the same beginning.
        values = (ROOT / "helm/podsense/values.yaml").read_text()
        self.assertEqual([one for one in missing if f"{one[1].split('.')[1]}:" not in values], [])

    def test_environment_variables(self):
        known = set(re.findall(r"PODSENSE_\w+", podsense("config-reference").stdout)) | {"PODSENSE_CONFIG"}
        files = (path for folder in ("scripts", "tests", "models") for path in (ROOT / folder).rglob("*")
                 if path.suffix in (".sh", ".py", ".txt") and path.is_file())
        ours = set().union(*(re.findall(r"PODSENSE_\w+", path.read_text("utf-8")) for path in files))
        self.assertEqual(self.unknown(r"\bPODSENSE_[A-Z_]+\b", known | ours), [])

    def test_commands_and_their_flags(self):
        seen, missing = 0, []
        for page in PAGES:
            for line in code(page):
                for command, rest in commands_in(line):
                    for word in rest:
                        flag = re.match(r"--?[A-Za-z][\w-]*", word)
                        if flag is None or re.fullmatch(r"-[a-zA-Z].+", word) and flag[0][:2] in flags_of(*command):
                            continue
                        seen += 1
                        # hey's long flags have one dash.
                        if not flags_of(*command) & {flag[0], "-" + flag[0]}:
                            missing.append((str(page.relative_to(ROOT)), " ".join(command), flag[0]))
        self.assertGreater(seen, 80)
        self.assertEqual(missing, [])


class WhenSomethingIsWrong(unittest.TestCase):
    """The README's table: each row is tried, or named as one that another test tries."""

    ROWS = dict(re.findall(r"(?m)^\| (.+?) \| (.+) \|$", README.read_text().split("## When something is wrong")[1].split("\n## ")[0]))

    def test_every_row_is_one_of_these(self):
        source = Path(__file__).read_text()
        for row in set(self.ROWS) - {"what you see", "---"}:
            self.assertIn(f'self.row("{row}"', source, "a row was added: test it here")

    def row(self, seen, *said):
        for words in said:
            self.assertIn(words, self.ROWS[seen])

    def test_a_port_that_is_taken(self):
        self.row("`cannot listen on [::]:8080: Address already in use`", "--http-port 0")
        with socket.socket() as other, Server() as server:
            other.bind(("0.0.0.0", 0))
            other.listen()
            port = other.getsockname()[1]
            code_, _, said = serve_to_its_end(server.models, "--host", "::", "--http-port", str(port))
            self.assertEqual(code_, 1)
            self.assertIn(f"cannot listen on [::]:{port}: Address already in use", said)

    def test_what_is_asked_of_a_server(self):
        self.row("`/readyz` says 503", "`curl localhost:8000/health` lists the problems")  # test_readiness.py
        self.row("415 for a picture", "none of JPEG, PNG, WebP, GIF, AVIF; the message says what they look like")
        self.row("422", "the picture is damaged")
        self.row("403 from `/predict/url`", "the address is private", "`fetch.*`")
        self.row("503 with `Retry-After`", "the queue is longer than the deadline")  # test_troubleshooting.py
        self.row("slow under a CPU limit", "`podsense_cpu_throttled_seconds_total` rises")
        self.row("slow without one", "leads from the metric to the cause")  # tests/monitoring/test_live.py
        self.row("the process takes 5 s to stop", "`--drain-delay`", "`0s`")  # test_drain.py
        with Server() as server:
            self.assertIn("problems", server.health())
            answer = server.post("/predict", b"BM" + bytes(60) + bytes(100), "image/jpeg")
            self.assertEqual(answer.status, 415)
            self.assertIn("GIF", answer.json["error"])
            picture = bytes.fromhex("89504e470d0a1a0a0000000d49484452000000100000001008020000009091683600000010")
            self.assertEqual(server.post("/predict", picture, "image/png").status, 422)
            self.assertEqual(server.post_json("/predict/url", {"url": "http://10.0.0.1/x.jpg"}).status, 403)
            self.assertIn("podsense_cpu_throttled_seconds_total", server.admin("GET", "/metrics").text)


if __name__ == "__main__":
    unittest.main()
