"""The command line itself: help, versions, completion, man pages, errors, where output goes."""

import json
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from harness import BINARY, LIMIT, MODELS, ServerCase, clean_environment, wait_until

COMMANDS = ["serve", "load", "bench", "simulate", "check", "top", "config-reference", "metrics-reference", "completion", "man", "version"]


def podsense(*arguments, columns=None, **options):
    environment = clean_environment()
    environment.pop("COLUMNS", None)
    if columns:
        environment["COLUMNS"] = str(columns)
    return subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=LIMIT,
                          check=False, env=environment, **options)


class Help(unittest.TestCase):
    def test_every_way_of_asking_says_the_same(self):
        for command in COMMANDS:
            asked = podsense(command, "--help")
            self.assertEqual((asked.returncode, asked.stderr), (0, ""), command)
            self.assertIn(f"usage: podsense {command}", asked.stdout)
            for other in (("help", command), (command, "help"), (command, "-h")):
                self.assertEqual(podsense(*other).stdout, asked.stdout, other)
        merge = podsense("load", "merge", "--help")
        self.assertIn("usage: podsense load merge", merge.stdout)
        self.assertEqual(podsense("help", "load", "merge").stdout, merge.stdout)

    def test_the_overview_names_every_command(self):
        overview = podsense("help")
        self.assertEqual(overview.returncode, 0)
        for command in COMMANDS:
            self.assertRegex(overview.stdout, rf"\n  {command} ")
        bare = podsense()
        self.assertEqual((bare.returncode, bare.stdout, bare.stderr), (2, "", overview.stdout))

    def test_no_line_is_wider_than_the_terminal(self):
        for command in ([command, "--help"] for command in COMMANDS):
            for columns in (48, 80, 110):
                text = podsense(*command, columns=columns).stdout
                wide = [line for line in text.split("\n") if len(line) > columns and " " in line.strip()]
                self.assertEqual(wide, [], (command, columns))
                self.assertFalse([line for line in text.split("\n") if line.endswith(" ")], command)


class Versions(unittest.TestCase):
    def test_every_command_has_one(self):
        version = podsense("version").stdout
        self.assertRegex(version, r"^podsense \d+\.\d+\.\d+\S* \(.+\)\n$")
        for command in ([], *([command] for command in COMMANDS), ["load", "merge"]):
            for flag in ("-v", "--version"):
                self.assertEqual(podsense(*command, flag).stdout, version, (command, flag))

    def test_as_json(self):
        version = json.loads(podsense("version", "--json").stdout)
        self.assertEqual(set(version), {"version", "commit", "compiler"})
        self.assertIn(version["version"], podsense("version").stdout)


class Errors(unittest.TestCase):
    def test_one_prefix_and_one_line(self):
        for arguments in (["serve", "--http-prot", "1"], ["serve", "--http-port", "99999"], ["load"],
                          ["load", "--nonsense"], ["load", "merge"], ["load", "merge", "/nowhere"],
                          ["check", "--timeout", "-1"], ["check", "--timeout", "soon"], ["check", "--nonsense"],
                          ["check", "ftp://h/"], ["check", "--models", "/a", "http://h/"],
                          ["top", "--interval", "0"], ["top", "--frames", "-1"], ["completion"],
                          ["completion", "tcsh"], ["man", "nothing"], ["version", "--xml"]):
            done = podsense(*arguments)
            self.assertEqual((done.returncode, done.stdout), (2, ""), (arguments, done))
            self.assertEqual(done.stderr.count("\n"), 1, (arguments, done))
            self.assertTrue(done.stderr.startswith(f"podsense {arguments[0]}"), (arguments, done))
        done = podsense("laod")
        self.assertEqual((done.returncode, done.stderr),
                         (2, "podsense: there is no command 'laod'; did you mean load?; see podsense help\n"))

    def test_a_full_disk_is_an_error(self):
        for arguments in (["help"], ["load", "--help"], ["version"], ["completion", "bash"], ["config-reference"]):
            with open("/dev/full", "w") as full:
                done = subprocess.run([BINARY, *arguments], stdout=full, stderr=subprocess.PIPE, text=True,
                                      timeout=LIMIT, check=False)
            self.assertEqual(done.returncode, 1, arguments)
            self.assertIn("cannot write", done.stderr)


class Check(ServerCase):
    def test_durations_are_durations(self):
        url = f"http://127.0.0.1:{self.server.admin_port}/readyz"
        for timeout in ("5", "5s", "5000ms", "0.1m"):
            self.assertEqual(podsense("check", url, "--timeout", timeout).returncode, 0, timeout)

    def test_results_go_to_stdout_errors_to_stderr(self):
        url = f"http://127.0.0.1:{self.server.admin_port}/readyz"
        good = json.loads(podsense("check", url, "--json").stdout)
        self.assertEqual((good["ok"], good["status"], good["url"]), (True, 200, url))
        missing = podsense("check", url + "/nothing", "--json")
        self.assertEqual((missing.returncode, json.loads(missing.stdout)["ok"]), (1, False))
        nobody = podsense("check", "http://127.0.0.1:1/")
        self.assertEqual((nobody.returncode, nobody.stdout), (1, ""))
        self.assertTrue(nobody.stderr.startswith("podsense check: http://127.0.0.1:1/: "), nobody)

    def test_models_as_json(self):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            shutil.copytree(MODELS / "random-forest", root / "forest")
            (root / "broken/1").mkdir(parents=True)
            (root / "broken/1/model.onnx").write_bytes(b"no model")
            done = podsense("check", "--models", root, "--json")
            self.assertEqual(done.returncode, 1, done)
            models = {model["model"]: model for model in json.loads(done.stdout)["models"]}
            self.assertEqual([model["ok"] for _, model in sorted(models.items())], [False, True], done)
            plain = podsense("check", "--models", root)
            self.assertRegex(plain.stdout, r"(?m)^ok +forest/1 ")
            self.assertRegex(plain.stdout, r"(?m)^refused +broken/1: ")
            self.assertFalse([line for line in plain.stdout.splitlines() if line.startswith("{")],
                             "logs are on stderr")


class Bench(unittest.TestCase):
    def test_it_says_what_a_model_does_here(self):
        with tempfile.TemporaryDirectory() as folder:
            page = Path(folder) / "bench.html"
            done = podsense("bench", "--models", MODELS, "--model", "random-forest", "--seconds", 4, "--html", page)
            self.assertEqual(done.returncode, 0, done)
            html = page.read_text()
        self.assertTrue(done.stdout.startswith("random-forest, tabular-classification, runs "), done)
        self.assertRegex(done.stdout, r"\n  1 row: \S+ .?s a run")
        self.assertEqual(len(re.findall(r"(?m)^ +[\d.,]+/s +\S+ .?s +\S+ .?s  [█░]", done.stdout)), 6, done)
        self.assertRegex(done.stdout, r"at most [\d.,]+/s")
        self.assertRegex(done.stdout, r"memory \S+ MB before, \S+ MB after; \d+ executors")
        report = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)[1]
        self.assertEqual(len(json.loads(report)["search"]["steps"]), 6)

    def test_its_server_ends_with_it(self):
        bench = subprocess.Popen([BINARY, "bench", "--models", MODELS, "--model", "random-forest"], env=clean_environment(),
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            children = Path(f"/proc/{bench.pid}/task/{bench.pid}/children")
            wait_until(children.read_text, what="its server")
            server = Path("/proc") / children.read_text().split()[0]
        finally:
            bench.kill()
            bench.wait()
        wait_until(lambda: not server.exists(), what="the server's end")

    def test_wrong_models_are_named(self):
        done = podsense("bench", "--models", MODELS, "--model", "random-forest", "--html", "/nowhere/page.html")
        self.assertEqual((done.returncode, done.stdout), (2, ""), done)
        self.assertIn("cannot write /nowhere/page.html: No such file or directory", done.stderr)
        done = podsense("bench", "--models", MODELS, "--model", "nothing")
        self.assertEqual((done.returncode, done.stdout), (2, ""), done)
        self.assertIn("there is no model 'nothing'; the repository has efficientnet-lite0", done.stderr)


class Completion(unittest.TestCase):
    def bash(self, line):
        """What bash offers at the end of the line."""
        script = r"""
            source "$1"
            COMP_LINE=$2 COMP_POINT=${#2}
            read -r -a COMP_WORDS <<< "$2"
            [[ $2 != *" " ]] || COMP_WORDS+=("")
            COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
            compopt() { :; }
            _podsense
            printf '%s\n' "${COMPREPLY[@]}"
        """
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "completion"
            path.write_text(podsense("completion", "bash").stdout)
            done = subprocess.run(["bash", "-c", script, "bash", path, line], capture_output=True, text=True,
                                  timeout=LIMIT, check=True, cwd=folder)
            self.assertEqual(done.stderr, "")
            return done.stdout.split()

    def test_bash_completes_commands_flags_choices_and_files(self):
        self.assertEqual(self.bash("podsense lo"), ["load"])
        self.assertIn("help", self.bash("podsense "))
        self.assertEqual(self.bash("podsense load --find-m"), ["--find-max-qps"])
        self.assertEqual(self.bash("podsense load --oip "), ["json", "binary"])
        self.assertEqual(self.bash("podsense load --oip b"), ["binary"])
        self.assertEqual(self.bash("podsense load --qps "), [])
        self.assertEqual(self.bash("podsense load --json com"), ["completion"])
        self.assertEqual(self.bash("podsense load mer"), ["merge"])
        self.assertEqual(self.bash("podsense load merge --fa"), ["--fail-if"])
        self.assertEqual(self.bash("podsense serve --http-p"), ["--http-port"])
        self.assertEqual(self.bash("podsense completion z"), ["zsh"])
        self.assertIn("load", self.bash("podsense help l"))

    def test_every_flag_of_the_help_is_there(self):
        for shell in ("bash", "zsh", "fish"):
            script = podsense("completion", shell)
            self.assertEqual((script.returncode, script.stderr), (0, ""))
            for command in ("serve", "load", "check", "top"):
                flags = re.findall(r"(?m)^  (?:-\w, )?--([a-z][a-z-]+)", podsense(command, "--help").stdout)
                self.assertGreater(len(flags), 2)
                missing = [flag for flag in flags if not re.search(rf"(--|-l ){flag}\b", script.stdout)]
                self.assertEqual(missing, [], (shell, command))

    def test_the_shells_take_their_scripts(self):
        for shell, check in (("bash", ["bash", "-n"]), ("zsh", ["zsh", "-n"]), ("fish", ["fish", "--no-execute"])):
            if shutil.which(shell):
                with tempfile.NamedTemporaryFile("w", suffix="." + shell) as script:
                    script.write(podsense("completion", shell).stdout)
                    script.flush()
                    done = subprocess.run([*check, script.name], capture_output=True, text=True, timeout=LIMIT,
                                          check=False)
                self.assertEqual((done.returncode, done.stderr), (0, ""), shell)


class ManPages(unittest.TestCase):
    def test_there_is_one_for_every_command(self):
        with tempfile.TemporaryDirectory() as folder:
            done = podsense("man", "--output", folder)
            self.assertEqual((done.returncode, done.stderr), (0, ""), done)
            names = sorted(path.name for path in Path(folder).iterdir())
            self.assertEqual(names, sorted(["podsense.1", "podsense-load-merge.1",
                                            *(f"podsense-{command}.1" for command in COMMANDS),
                                            "podsense-simulate-hpa.1"]))
            for path in Path(folder).iterdir():
                text = path.read_text()
                self.assertRegex(text, r"^\.TH PODSENSE")
                self.assertIn(".SH NAME\npodsense", text)
                # A line of text that begins with a dot or a quote would be a request to roff.
                requests = {line.split()[0] for line in text.splitlines() if line[:1] in (".", "'")}
                self.assertLessEqual(requests, {".TH", ".SH", ".TP", ".PP", ".B", ".I", ".BR", ".nf", ".fi"}, path)
        page = podsense("man", "load").stdout
        for flag in ("qps", "find\\-max\\-qps", "fail\\-if"):
            self.assertIn(f"\\fB\\-\\-{flag}\\fR", page)

    @unittest.skipUnless(shutil.which("groff") or shutil.which("mandoc"), "no program that reads man pages")
    def test_they_are_roff(self):
        check = ["mandoc", "-T", "lint", "-W", "warning"] if shutil.which("mandoc") else ["groff", "-man", "-ww", "-z"]
        for command in (["load"], ["serve"], []):
            done = subprocess.run(check, input=podsense("man", *command).stdout, capture_output=True, text=True,
                                  timeout=LIMIT, check=False)
            self.assertEqual(done.stderr + (done.stdout if "mandoc" in check[0] else ""), "", command)


if __name__ == "__main__":
    unittest.main()
