"""What `podsense load` shows while it runs: on a terminal, drawn by a real emulator, and elsewhere."""

import codecs
import fcntl
import os
import re
import signal
import struct
import subprocess
import tempfile
import termios
import unittest
from pathlib import Path

from harness import BINARY, LIMIT, wait_until
from load_double import Double, constant
from load_venv import use_packages

use_packages()
import pyte  # noqa: E402  from the environment made just now


class Terminal:
    """A run whose stderr (and Ctrl-C) is a terminal of `columns`; stdout goes to a file."""

    def __init__(self, *arguments, columns=80, rows=24, environment=None):
        self.master, slave = os.openpty()
        self.screen = pyte.HistoryScreen(columns, rows, history=1000)
        self.stream = pyte.Stream(self.screen)
        self.decoder = codecs.getincrementaldecoder("utf-8")()
        self.bytes = b""
        self.resize(columns)
        self.out = tempfile.TemporaryFile(mode="w+")
        env = os.environ | {"TERM": "xterm", "LC_ALL": "C.UTF-8"} | (environment or {})

        def own_terminal():
            os.setsid()
            fcntl.ioctl(2, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen([BINARY, "load", *map(str, arguments)], stdin=slave,
                                        stdout=self.out, stderr=slave, env=env,
                                        preexec_fn=own_terminal)
        os.close(slave)
        os.set_blocking(self.master, False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)
        self.out.close()

    def resize(self, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.screen.resize(24, columns)

    def read(self):
        """Everything that has come; the screen's lines that are not empty."""
        while True:
            try:
                got = os.read(self.master, 65536)
            except (BlockingIOError, OSError):
                break
            if not got:
                break
            self.bytes += got
            self.stream.feed(self.decoder.decode(got))
        return [line.rstrip() for line in self.screen.display if line.strip()]

    def drawings(self):
        self.read()
        return self.bytes.count(b"\x1b[J")

    def wait_for(self, pattern, drawings=0):
        """The lines that match, not before so many drawings."""
        def seen():
            text = "\n".join(self.read())
            return self.drawings() >= drawings and re.search(pattern, text) and text.split("\n")

        return wait_until(seen)

    def interrupt(self):
        os.write(self.master, b"\x03")  # as Ctrl-C does it

    def end(self):
        wait_until(lambda: (self.read(), self.process.poll())[1] is not None)
        self.out.seek(0)
        return self.process.returncode, self.out.read(), self.read()


class Live(unittest.TestCase):
    def test_a_bar_and_the_figures_are_drawn_over_themselves(self):
        with Double(constant(0.01)) as double, \
                Terminal("--host", double.url, "--qps", 50, "--seconds", 600) as terminal:
            terminal.wait_for(r"s offered")
            drawings = terminal.drawings()
            lines = terminal.wait_for("offered", drawings=drawings + 2)
            self.assertEqual(len(lines), 2, lines)
            self.assertRegex(lines[0], r"^[█░]{10,40} 0 %  [\d.]+ of 600 s$")
            self.assertRegex(lines[1], r"^\S+/s offered  \S+/s ok  p50 \S+ m?s  p99 \S+ m?s  \d+ in flight$")
            # Nothing is wiped before it is written anew: that would flicker.
            self.assertNotRegex(terminal.bytes, rb"\r(\x1b\[\d+A)?\x1b\[[0-2]?[JK][^\x1b]")
            terminal.interrupt()
            code, out, left = terminal.end()
        self.assertEqual((code, left), (130, []), out)
        self.assertTrue(out.startswith("INTERRUPTED"), out)

    def test_a_narrow_terminal_gets_whole_fields_in_more_lines(self):
        for columns in (40, 24, 18):
            with self.subTest(columns), Double(status=500) as double, \
                    Terminal("--host", double.url, "--qps", 50, "--seconds", 600, columns=columns) as terminal:
                terminal.wait_for(r"\d failed")
                lines = terminal.wait_for(r"\d failed", drawings=terminal.drawings() + 2)
                text = " ".join(lines)
                for part in ("offered", "ok", "p50 –", "p99 –", "in flight", "failed"):
                    self.assertEqual(text.count(part), 1, lines)
                self.assertFalse(terminal.screen.history.top, "the screen has not scrolled")
                terminal.interrupt()
                self.assertEqual(terminal.end()[2], [])

    def test_a_terminal_made_narrow_meanwhile(self):
        with Double() as double, \
                Terminal("--host", double.url, "--qps", 50, "--seconds", 600) as terminal:
            terminal.wait_for("offered")
            terminal.resize(30)
            lines = terminal.wait_for(r"(?s)offered.*\n.*p50.*\n.*in flight")
            self.assertTrue(all(len(line) <= 30 for line in lines), lines)
            terminal.interrupt()
            self.assertEqual(terminal.end()[0], 130)

    def test_drops_and_a_search(self):
        with Double(constant(0.5)) as double, \
                Terminal("--host", double.url, "--qps", 50, "--seconds", 600,
                         "--max-connections", 2) as terminal:
            terminal.wait_for(r"\d dropped")
            terminal.process.send_signal(signal.SIGTERM)
            self.assertEqual(terminal.end()[0], 130)
        with Double() as double, \
                Terminal("--host", double.url, "--find-max-qps", "--search-from", 20, "--search-to", 40,
                         "--window", "200ms", "--slo", "p99=10s") as terminal:
            terminal.wait_for(r"trying 20/s")
            code, out, left = terminal.end()
        self.assertIn(code, (0, 3), out)
        self.assertTrue(left[0].startswith("finding the highest rate"), left)
        self.assertTrue(left[1:] and all(re.match(r"[\d.]+/s: p99 ", line) for line in left[1:]), left)

    def test_plain_characters_where_the_locale_has_no_others(self):
        with Double() as double, \
                Terminal("--host", double.url, "--qps", 50, "--seconds", 600,
                         environment={"LC_ALL": "C", "NO_COLOR": "1"}) as terminal:
            lines = terminal.wait_for("offered")
            self.assertRegex(lines[0], r"^[#-]{10,40} ")
            self.assertNotIn(b"\x1b[32m", terminal.bytes)
            terminal.interrupt()
            terminal.end()

    def test_lines_where_there_is_no_terminal(self):
        with Double() as double, tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "log"
            with log.open("wb") as sink:
                process = subprocess.Popen([BINARY, "load", "--host", double.url, "--qps", "50",
                                            "--seconds", "600"], stdout=subprocess.DEVNULL, stderr=sink)
                wait_until(lambda: b"\n" in log.read_bytes())
                process.send_signal(signal.SIGINT)
                self.assertEqual(process.wait(LIMIT), 130)
            text = log.read_text()
        self.assertRegex(text, r"^[\d.]+ of 600 s: \S+/s offered, \S+/s ok, p50 .*, p99 .*, \d+ in flight\n")
        self.assertNotIn("\x1b", text)


if __name__ == "__main__":
    unittest.main()
