#!/usr/bin/env python3
"""The commands of the documentation are told apart, and none is neither run nor listed."""

import importlib.util
import pathlib
import subprocess
import tempfile
import tomllib
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SPEC = importlib.util.spec_from_file_location("doc_commands", ROOT / "scripts/doc-commands.py")
doc = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(doc)
RULES = tomllib.loads(doc.RULES.read_text("utf-8"))


def rules(*some, **more):
    return {"rule": list(some), "replace": [], "fixtures": "true", **more}


class Pages(unittest.TestCase):
    """The repository's own."""

    def test_every_command_is_run_or_listed_with_a_reason(self):
        self.assertEqual(list(doc.faults(RULES)), [])

    def test_enough_are_run_on_the_pages_a_newcomer_reads_first(self):
        run = [one.page for one in doc.commands() if "skip" not in doc.rule_of(one, RULES)]
        self.assertGreater(len(run), 60)
        for page in ("README.md", "docs/tutorials/kind-in-ten-minutes.md", "docs/how-to/load-test.md", "docs/how-to/bench.md"):
            self.assertGreater(run.count(page), 3, page)

    def test_the_script_is_one_for_bash(self):
        made = doc.script([], RULES)
        done = subprocess.run(["bash", "-n"], input=made, capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertLess(len(made), 100_000, "an argument of a program has 128 KiB")


class Statements(unittest.TestCase):
    def texts(self, block):
        return [text for _, text in doc.statements(block)]

    def test_lines_that_belong_together(self):
        self.assertEqual(self.texts("a\nb \\\n  c\n"), ["a", "b \\\n  c"])
        self.assertEqual(self.texts("for i in 1 2; do\n  a $i\ndone\nb\n"), ["for i in 1 2; do\n  a $i\ndone", "b"])
        self.assertEqual(self.texts("a <<'EOF'\nb\nEOF\nc\n"), ["a <<'EOF'\nb\nEOF", "c"])
        self.assertEqual(self.texts("curl -d '{\n  1}'\n"), ["curl -d '{\n  1}'"])
        self.assertEqual(self.texts("# a remark\n\na\n"), ["a"])

    def test_what_a_session_prints_is_no_command(self):
        self.assertEqual(self.texts("$ a\nits answer\n$ b\n"), ["a", "b"])

    def test_programs(self):
        for text, found in (("a | b && c", ["a", "b", "c"]), ("X=1 a 'b | c'", ["a"]), ("a \\\n  -b", ["a"]),
                            ('b "$(c d)"', ["b", "c"]), ("a <(b c)", ["a", "b"]), ("a  # then b | c", ["a"])):
            self.assertEqual([word for word in doc.programs(text) if word in "abc"], found, text)


class Checks(unittest.TestCase):
    """What is noticed."""

    def setUp(self):
        self.commands = doc.commands
        self.addCleanup(setattr, doc, "commands", self.commands)

    def faults(self, text, *some):
        doc.commands = lambda: [doc.Command("docs/a.md", 1, text)]
        return list(doc.faults(rules(*some)))

    def test_programs_that_are_not_there(self):
        self.assertEqual(self.faults("curl localhost:8080 | grep x"), [])
        self.assertIn("a bare Debian has no kubectl", self.faults("curl localhost | kubectl apply -f -")[0])
        self.assertEqual(self.faults("kubectl apply", {"command": "kubectl *", "skip": "needs a cluster"}), [])

    def test_placeholders(self):
        for text in ("curl http://ADDRESS/", "podsense load URL …", "curl POD:8000"):
            self.assertIn("cannot be run as it stands", " ".join(self.faults(text)), text)

    def test_rules_without_use_or_reason(self):
        self.assertIn("no command of any page is 'helm *'", self.faults("curl x", {"command": "helm *", "skip": "no cluster"})[0])
        self.assertIn("no reason", self.faults("curl x", {"command": "curl *", "skip": ""})[0])


class Run(unittest.TestCase):
    """The script, run for pages made up here."""

    def run_page(self, lines, *some, **more):
        commands = doc.commands
        doc.commands = lambda: [doc.Command("docs/a.md", number, line) for number, line in enumerate(lines)]
        try:
            made = doc.script([], rules(*some, **more))
        finally:
            doc.commands = commands
        with tempfile.TemporaryDirectory() as folder:
            return subprocess.run(["bash", "-c", made], cwd=folder, capture_output=True, text=True, timeout=60, check=False)

    def test_commands_share_a_shell_and_a_fault_ends_the_page(self):
        done = self.run_page(["x=3; f() { echo got $x; }", "f", "false", "echo never"])
        self.assertEqual(done.returncode, 1, done)
        self.assertIn("got 3", done.stdout)
        self.assertNotIn("\nnever", done.stdout)
        self.assertIn("docs/a.md: FAILED", done.stdout)

    def test_other_exit_codes(self):
        rule = {"command": "(exit *", "exit": [0, 3]}
        self.assertEqual(self.run_page(["(exit 3)", "echo on"], rule).returncode, 0)
        self.assertEqual(self.run_page(["(exit 4)"], rule).returncode, 1)

    def test_what_does_not_end_is_waited_for_and_ended(self):
        server = ("python3 -c 'import http.server as h, pathlib; s = h.HTTPServer((\"127.0.0.1\", 0), h.SimpleHTTPRequestHandler);"
                  " pathlib.Path(\"port\").write_text(str(s.server_port)); s.serve_forever()'")
        rule = {"command": "python3 *", "background": "file:///dev/null"}
        done = self.run_page([server, "until [ -s port ]; do :; done; curl -s http://127.0.0.1:$(cat port)/port"], rule)
        self.assertEqual(done.returncode, 0, done)
        gone = self.run_page(["python3 -c 'raise SystemExit(\"no port\")'"], {"command": "python3 *", "background": "http://127.0.0.1:1/"})
        self.assertEqual(gone.returncode, 1, gone)
        self.assertIn("no port", gone.stdout)


if __name__ == "__main__":
    unittest.main()
