"""The command line itself: help, versions, completion, man pages, errors, where output goes."""

import contextlib
import fcntl
import json
import os
import pty
import re
import shutil
import struct
import subprocess
import tempfile
import termios
import unittest
from pathlib import Path

from harness import BINARY, LIMIT, MODELS, ServerCase, clean_environment, wait_until

COMMANDS = ["serve", "load", "bench", "simulate", "plan", "check", "top", "config-reference", "metrics-reference", "completion", "man", "version"]


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
        for words in (["help", "help"], ["help", "--help"], ["--help"], ["-h"]):
            self.assertEqual(podsense(*words).stdout, podsense("help").stdout, words)
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

    def test_flags_say_what_they_take_in_the_words_of_this_program(self):
        for command in (*([command] for command in COMMANDS), ["load", "merge"], ["simulate", "hpa"]):
            for line in podsense(*command, "--help", columns=120).stdout.splitlines():
                names = re.match(r"  (-[^ ]+(?:, -[^ ]+)*)(?: ([^ ]+))?", line)
                self.assertNotRegex(names and names[2] or "", r"^(TEXT|INT|UINT|FLOAT|BOOLEAN)\b(?!\|)", (command, line))

    def test_commands_that_take_durations_say_how_they_are_written(self):
        for command in (*([command] for command in COMMANDS), ["simulate", "hpa"]):
            text = podsense(*command, "--help", columns=200).stdout
            if " DURATION " in text:
                self.assertRegex(text, r"a bare number is seconds|DURATION: 30 \(seconds\)", command)

    def test_no_line_is_wider_than_the_terminal(self):
        for command in ([command, "--help"] for command in COMMANDS):
            for columns in (48, 80, 110):
                text = podsense(*command, columns=columns).stdout
                wide = [line for line in text.split("\n") if len(line) > columns and " " in line.strip()]
                self.assertEqual(wide, [], (command, columns))
                self.assertFalse([line for line in text.split("\n") if line.endswith(" ")], command)


    def test_a_terminal_is_asked_for_its_width(self):
        outside, inside = pty.openpty()
        try:
            fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 56, 0, 0))
            # COLUMNS is for where there is no terminal.
            with subprocess.Popen([BINARY, "version", "--help"], stdout=inside, env={**clean_environment(), "COLUMNS": "100"}):
                os.close(inside)
                inside = -1
                shown = b""
                with contextlib.suppress(OSError):  # what a terminal whose other end is closed reads as
                    while more := os.read(outside, 65536):
                        shown += more
        finally:
            os.close(outside)
            if inside >= 0:
                os.close(inside)
        lines = shown.decode().splitlines()
        self.assertGreater(len(lines), 5)
        self.assertLessEqual(max(map(len, lines)), 56, shown)


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
        for arguments, said in ((["simulate", "--nonsense"], "unknown flag '--nonsense'; see podsense simulate --help"),
                                (["check", "--timeot", "5s"], "unknown flag '--timeot'; did you mean --timeout?"),
                                (["bench", "--htm=x"], "unknown flag '--htm'; did you mean --html?"),
                                (["simulate", "hpa", "--tolerance", "-1"], "accepted: a number from 0"),
                                (["simulate", "hpa", "--initial-readiness-delay", "soon"], "written as 250us, 50ms")):
            done = podsense(*arguments)
            self.assertEqual((done.returncode, done.stderr.count("\n")), (2, 1), done)
            self.assertIn(said, done.stderr)
        done = podsense("--models", "x")
        self.assertEqual((done.returncode, done.stderr), (2, "podsense: '--models' comes before any command; did you mean "
                                                             "podsense serve --models?; see podsense help\n"))
        for words in (["help", "laod"], ["help", "load", "merg"]):
            self.assertTrue(podsense(*words).stderr.startswith(f"podsense: there is no command '{' '.join(words[1:])}'"), words)
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
        for what in (["http://127.0.0.1:1/"], ["--models", "/nowhere"]):
            failed = podsense("check", *what, "--json")  # JSON was asked for
            answer = json.loads(failed.stdout)
            self.assertEqual((failed.returncode, answer["ok"]), (1, False), failed)
            self.assertEqual(failed.stderr, f"podsense check: {answer['error']}\n")

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

    def test_what_would_cost_a_server_something_silently(self):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            shutil.copytree(MODELS / "random-forest", root / "models/forest")
            (root / "models/forest/labels.txt").write_bytes("crème\nthé\n".encode("latin-1"))
            manifest = root / "models/forest/model.yaml"
            text, count = re.subn(r"(?ms)^labels:.*?(?=^\w|\Z)", "labels: labels.txt\n", manifest.read_text())
            self.assertEqual(count, 1, text)
            manifest.write_text(text)
            (root / "keys").mkdir()
            (root / "keys/ci").write_text("0123456789abcdef\nfedcba9876543210\n")
            (root / "cache").mkdir()
            profile = root / "cache/forest-1.podsense-profile"
            profile.write_text("podsense profile 1\n")
            done = podsense("check", "--models", root / "models", "--model-cache", root / "cache",
                            "--auth-api-keys", root / "keys")
            self.assertEqual(done.returncode, 1, done)
            self.assertRegex(done.stdout, r"(?m)^refused .*keys/ci: key 'ci' can never match")
            self.assertRegex(done.stdout, r"(?m)^ok .*/cache  can be used$")
            self.assertIn(f"{profile}: another version of PodSense has written it", done.stdout)
            self.assertIn("2 of the labels of 'labels.txt' are not UTF-8", done.stdout)
            (root / "keys/ci").write_text("0123456789abcdef\n")
            fine = podsense("check", "--auth-api-keys", root / "keys", "--json")
            self.assertEqual((fine.returncode, json.loads(fine.stdout)["files"]),
                             (0, [{"file": str(root / "keys"), "ok": True}]), fine)
            nowhere = podsense("check", "--model-cache", root / "keys/ci/cache")
            self.assertEqual(nowhere.returncode, 1, nowhere)
            self.assertIn("the model cache cannot be written", nowhere.stdout)


class Bench(unittest.TestCase):
    def bench(self, *words):
        done = podsense("bench", *words, "--seconds", 4)
        self.assertEqual(done.returncode, 0, done)
        return done.stdout

    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="podsense-models-"))
        self.addCleanup(shutil.rmtree, self.root)

    def test_it_says_what_a_model_does_here(self):
        page = self.root / "bench.html"
        text = self.bench(MODELS, "--model", "random-forest", "--html", page)
        self.assertTrue(text.startswith("random-forest: tabular-classification, onnxruntime, 1 thread a run, runs on "), text)
        self.assertRegex(text, r"\n  1 row: \S+ .?s a run")
        self.assertEqual(len(re.findall(r"(?m)^ +[\d.,]+/s +\S+ .?s +\S+ .?s", text)), 6, text)
        picture = text.split("╌ objective\n")[1].split("└")[0]
        self.assertIn("●", picture)
        self.assertRegex(text, r"at most [\d.,]+/s")
        self.assertRegex(text, r"memory \S+ MB before, \S+ MB after, \S+ MB at most; \d+ executors")
        self.assertRegex(text, r"\n  (requests share runs of up to \d+ rows|each request runs alone)")
        report = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text(), re.DOTALL)[1]
        self.assertEqual(len(json.loads(report)["search"]["steps"]), 6)

    def test_a_file_is_enough(self):
        forest = MODELS / "random-forest/1/model.onnx"
        shutil.copy(forest, self.root / "my trees.onnx")
        shutil.copy(forest, self.root / "other.onnx")  # is not asked for
        self.assertTrue(self.bench(self.root / "my trees.onnx").startswith("my-trees: "))
        (self.root / "forest/2").mkdir(parents=True)
        shutil.copy(forest, self.root / "forest/2/model.onnx")
        self.assertTrue(self.bench(self.root / "forest/2/model.onnx").startswith("forest: "))

    def test_the_only_model_with_a_file_needs_no_name(self):
        shutil.copytree(MODELS / "random-forest", self.root / "forest")
        shutil.copytree(MODELS / "simulated", self.root / "simulated")
        self.assertTrue(self.bench(self.root).startswith("forest: "), "the other has no file")
        (self.root / "forest/model.yaml").write_text("task: tensor\n")
        self.assertTrue(self.bench("--models", self.root).startswith("forest: tensor, "))
        shutil.rmtree(self.root / "forest")
        self.assertTrue(self.bench(self.root).startswith("simulated: simulated, podsense_simulated, "))

    def test_requests_of_your_own(self):
        body = self.root / "body.json"
        row = {"name": "features", "shape": [1, 20], "datatype": "FP32", "data": [1] * 20}
        body.write_text(json.dumps({"inputs": [row]}))
        self.bench(MODELS, "--model", "random-forest", "--body", body)
        body.write_text(json.dumps({"inputs": []}))
        done = podsense("bench", MODELS, "--model", "random-forest", "--body", body, "--seconds", 4)
        self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), done)
        self.assertIn("no request succeeded: ", done.stderr)

    def test_nothing_stays_behind(self):
        environment = {**clean_environment(), "TMPDIR": str(self.root)}
        for arguments, code in (([MODELS, "--model", "random-forest", "--seconds", "4"], 0), ([MODELS], 2), (["/nowhere"], 2)):
            done = subprocess.run([BINARY, "bench", *arguments], capture_output=True, text=True, timeout=LIMIT, check=False,
                                  env=environment)
            self.assertEqual((done.returncode, list(self.root.iterdir())), (code, []), done)

    def test_its_server_ends_with_it(self):
        environment = {**clean_environment(), "TMPDIR": str(self.root)}
        bench = subprocess.Popen([BINARY, "bench", "--models", MODELS, "--model", "random-forest"], env=environment,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            children = Path(f"/proc/{bench.pid}/task/{bench.pid}/children")
            wait_until(children.read_text, what="its server")
            server = Path("/proc") / children.read_text().split()[0]
        finally:
            bench.kill()
            bench.wait()
        wait_until(lambda: not server.exists(), what="the server's end")

    def test_what_is_wrong_is_said_in_one_line(self):
        broken = self.root / "broken.onnx"
        broken.write_bytes(b"no model")
        (self.root / "text.txt").write_text("no model")
        (self.root / "empty").mkdir()
        named = [MODELS, "--model", "random-forest"]
        for arguments, code, said in (
                ([*named, "--html", "/nowhere/page.html"], 2, "cannot write /nowhere/page.html: No such file or directory"),
                ([MODELS, "--model", "nothing"], 2, f"there is no model 'nothing'; the repository '{MODELS}' has efficientnet-lite0"),
                ([MODELS], 2, "say which model with --model; "),
                ([MODELS, "--models", MODELS], 2, "give only one"),
                ([self.root / "empty"], 2, "no model; accepted: a file *.onnx or *.ort"),
                ([self.root / "text.txt"], 2, "accepted: a file *.onnx or *.ort"),
                ([self.root / "text.txt", "--model", "x"], 2, "leave it out"),
                (["/nowhere"], 2, "there is no '/nowhere'"),
                ([*named, "--body", "/nowhere"], 2, "--body: cannot read /nowhere"),
                ([*named, "--body", "/nowhere", "--batch", "2"], 2, "give one of --batch, --image and --body"),
                ([broken], 1, "the server ended: nothing can be served: broken/1: model.onnx: not an ONNX model")):
            done = podsense("bench", *arguments)
            self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (code, "", 1), done)
            self.assertIn(said, done.stderr)


class Install(unittest.TestCase):
    def test_binary_man_pages_and_completion_are_put_in_place(self):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(["cmake", "--install", Path(BINARY).resolve().parent, "--prefix", folder], capture_output=True,
                                  text=True, timeout=LIMIT, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            root = Path(folder)
            installed = subprocess.run([root / "bin/podsense", "version"], capture_output=True, text=True, timeout=LIMIT,
                                       check=False)
            self.assertEqual(installed.stdout, podsense("version").stdout, installed.stderr)
            self.assertEqual((root / "share/man/man1/podsense-load.1").read_text(), podsense("man", "load").stdout)
            for file, shell in (("bash-completion/completions/podsense", "bash"), ("zsh/site-functions/_podsense", "zsh"),
                                ("fish/vendor_completions.d/podsense.fish", "fish")):
                self.assertEqual((root / "share" / file).read_text(), podsense("completion", shell).stdout, file)


class ManPages(unittest.TestCase):
    def test_there_is_one_for_every_command(self):
        with tempfile.TemporaryDirectory() as folder:
            done = podsense("man", "--output", folder)
            self.assertEqual((done.returncode, done.stderr), (0, ""), done)
            names = sorted(path.name for path in Path(folder).iterdir())
            self.assertEqual(names, sorted(["podsense.1", "podsense-load-merge.1",
                                            *(f"podsense-{command}.1" for command in COMMANDS),
                                            "podsense-simulate-hpa.1",
                                            *(f"podsense-plan-{one}.1" for one in ("explain", "measure", "traffic", "verify"))]))
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
        for command in (*([command] for command in COMMANDS), ["load", "merge"], ["simulate", "hpa"], []):
            done = subprocess.run(check, input=podsense("man", *command).stdout, capture_output=True, text=True,
                                  timeout=LIMIT, check=False)
            # A date would make each build another page.
            said = [line for line in (done.stdout if "mandoc" in check[0] else done.stderr).splitlines()
                    if "missing date" not in line]
            self.assertEqual(said, [], command)


if __name__ == "__main__":
    unittest.main()
