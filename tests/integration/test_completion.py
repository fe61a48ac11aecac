"""What the shells complete, asked of the shells themselves: bash always, zsh and fish where they are installed."""

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from harness import BINARY, LIMIT, clean_environment
from test_cli import COMMANDS, podsense

FILES = ("report.json", "two words.csv")
FOLDER = "folder"
PROMPT = "your-turn> "
# What each line offers at its end, and what it must not.
OFFERS = (
    ("podsense lo", ["load"], []),
    ("podsense ", ["serve", "load", "bench", "help", "version"], ["merge", "report.json"]),
    ("podsense load --find-m", ["--find-max-qps"], []),
    ("podsense load --oip ", ["json", "binary"], ["report.json"]),
    ("podsense load --oip=b", ["binary"], []),
    ("podsense load --json rep", ["report.json"], []),
    ("podsense load --qps ", [], ["report.json", "merge"]),
    ("podsense load mer", ["merge"], []),
    ("podsense load merge --fa", ["--fail-if"], []),
    ("podsense load merge --find-m", [], ["--find-max-qps"]),
    ("podsense load merge rep", ["report.json"], []),
    ("podsense serve ", [], ["report.json"]),
    ("podsense serve --http-p", ["--http-port"], []),
    ("podsense serve --log-level ", ["trace", "warning", "off"], ["report.json"]),
    ("podsense serve --models ", ["folder"], ["report.json"]),
    ("podsense simulate hpa --kubernetes 1.3", ["1.34", "1.37"], []),
    ("podsense completion z", ["zsh"], []),
    ("podsense help lo", ["load"], []),
    ("podsense help load ", ["merge"], ["serve"]),
    ("podsense man simulate ", ["hpa"], ["serve"]),
    ("podsense bench rep", ["report.json"], []),
    ("podsense version ", [], ["report.json"]),
)


class Shell:
    """An interactive shell on a terminal of its own, in a folder with some files."""

    def __init__(self, arguments, set_up):
        self.count = 0
        self.folder = tempfile.mkdtemp(prefix="podsense-completion-")
        for name in FILES:
            Path(self.folder, name).touch()
        Path(self.folder, FOLDER).mkdir()
        home = Path(self.folder, ".home")
        home.mkdir()
        words = {**clean_environment(), "HOME": str(home), "TERM": "xterm", "COLUMNS": "200", "LINES": "100",
                 "PS1": PROMPT, "PATH": f"{Path(BINARY).resolve().parent}:{os.environ['PATH']}"}
        self.process, self.terminal = pty.fork()
        if self.process == 0:
            os.chdir(self.folder)
            os.execvpe(arguments[0], arguments, words)
        self.read_until(PROMPT)
        for line in set_up:
            self.run(line)

    def end(self):
        os.kill(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)
        os.close(self.terminal)
        shutil.rmtree(self.folder)

    def read_until(self, *wanted):
        """What the terminal shows, up to the last of these texts, which come one after the other."""
        shown, at, until = "", 0, time.monotonic() + LIMIT
        for text in wanted:
            while (found := shown.find(text, at)) < 0:
                ready, _, _ = select.select([self.terminal], [], [], max(0, until - time.monotonic()))
                if not ready:
                    raise AssertionError(f"the shell did not show {text!r}: {shown!r}")
                shown += re.sub(r"\x1b\[[\d;?]*[a-zA-Z]|\x1b[=>]", "", os.read(self.terminal, 65536).decode("utf-8", "replace"))
            at = found + len(text)
        return shown

    def run(self, line, end="\r"):
        """Types it, and what the terminal shows until the shell asks for more. Marks the end by a sum, which the shell
        works out and its echo of the line does not have; no key is typed before the prompt is there."""
        self.count += 1
        os.write(self.terminal, (line + end).encode())
        shown = self.read_until(PROMPT) if end == "\r" else ""
        os.write(self.terminal, f'echo "<$((1000+{self.count}))>"\r'.encode())
        return shown + self.read_until(f"<{self.count + 1000}>", PROMPT)

    def offered(self, line):
        """What is shown for the line and its completion."""
        return self.run(line + "\t\t", end="\x15")


class Completion(unittest.TestCase):
    def check(self, shell):
        self.addCleanup(shell.end)
        for line, offered, not_offered in OFFERS:
            with self.subTest(line=line):
                shown = shell.offered(line)
                words = set(re.split(r"[\s=]+", shown))
                self.assertEqual([word for word in offered if not any(w.startswith(word) for w in words)], [], shown)
                typed = set(line.split())
                self.assertEqual([word for word in not_offered if word in words - typed], [], shown)

    def test_bash(self):
        shell = Shell(["bash", "--norc", "--noprofile", "-i"],
                      ["bind 'set show-all-if-ambiguous on'", "bind 'set page-completions off'",
                       "bind 'set completion-query-items 0'", "bind 'set enable-bracketed-paste off'",
                       "source <(podsense completion bash)"])
        self.check(shell)
        # A name with a blank stays one word.
        self.assertIn(r"two\ words.csv", shell.offered("podsense load --rows two"))

    @unittest.skipUnless(shutil.which("zsh"), "no zsh")
    def test_zsh(self):
        for made in (["source <(podsense completion zsh)"],
                     ["mkdir .functions", "podsense completion zsh > .functions/_podsense", "fpath=(.functions $fpath)"]):
            first, last = (["autoload -Uz compinit", "compinit -u -D"], made)
            if "source" not in made[0]:
                first, last = made, ["autoload -Uz compinit", "compinit -u -D"]
            with self.subTest(made=made[0]):
                self.check(Shell(["zsh", "-f", "-i"],
                                 ["unsetopt zle_bracketed_paste 2>/dev/null; unset zle_bracketed_paste", "LISTMAX=10000",
                                  "setopt no_always_last_prompt bash_auto_list", *first, *last]))

    @unittest.skipUnless(shutil.which("fish"), "no fish")
    def test_fish(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in FILES:
                Path(folder, name).touch()
            Path(folder, FOLDER).mkdir()
            script = Path(folder, ".podsense.fish")
            script.write_text(podsense("completion", "fish").stdout)
            for line, offered, not_offered in OFFERS:
                done = subprocess.run(["fish", "--no-config", "-c", 'source $argv[1]; complete -C "$argv[2]"', script, line],
                                      capture_output=True, text=True, timeout=LIMIT, check=False, cwd=folder,
                                      env={**clean_environment(), "HOME": folder})
                self.assertEqual((done.returncode, done.stderr), (0, ""), line)
                words = {word.split("\t")[0].rstrip("/").split("=")[-1] for word in done.stdout.splitlines()}
                with self.subTest(line=line):
                    self.assertEqual([word for word in offered if word not in words], [], done.stdout)
                    self.assertEqual([word for word in not_offered if word in words], [], done.stdout)

    def test_every_flag_of_the_help_is_there(self):
        for shell in ("bash", "zsh", "fish"):
            script = podsense("completion", shell)
            self.assertEqual((script.returncode, script.stderr), (0, ""))
            for command in COMMANDS:
                flags = re.findall(r"(?m)^  (?:-\w, )?--([a-z][a-z-]+)", podsense(command, "--help").stdout)
                self.assertGreater(len(flags), 1)
                missing = [flag for flag in flags if not re.search(rf"(--|-l ){flag}\b", script.stdout)]
                self.assertEqual(missing, [], (shell, command))


if __name__ == "__main__":
    unittest.main()
