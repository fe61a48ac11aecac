"""`podsense top` as somebody at a terminal sees it."""

import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
import threading
import unittest

import prometheus

harness = prometheus.harness
ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"


class Terminal:
    """Runs a program on a terminal of its own; `frames` are the screens that it has drawn."""

    def __init__(self, columns, lines, *words):
        self.ours, self.theirs = pty.openpty()
        self.resize(columns, lines)
        self.before = termios.tcgetattr(self.theirs)
        # A shell makes the terminal its controlling one, without which no size change is reported.
        self.process = subprocess.Popen(["setsid", "--ctty", "--wait", *map(str, words)], stdin=self.theirs,
                                        stdout=self.theirs, stderr=self.theirs)
        self.written = ""
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.type("\x03")
        self.process.wait(timeout=harness.LIMIT)
        os.close(self.theirs)
        self.reader.join(timeout=harness.LIMIT)
        os.close(self.ours)

    def read(self):
        try:
            while data := os.read(self.ours, 65536):
                self.written += data.decode()
        except OSError:
            pass  # nobody writes any more

    def resize(self, columns, lines):
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def type(self, keys):
        os.write(self.ours, keys.encode())

    @property
    def frames(self):
        whole = self.written.rpartition("\x1b[J")[0]
        return [[line.rstrip("\r") for line in part.replace("\x1b[K", "").split("\n")] for part in whole.split("\x1b[H")[1:]]

    def wait_for(self, wanted, what):
        """The first frame of those to come that is as wanted."""
        seen = len(self.frames)

        def found():
            return [frame for frame in self.frames[seen:] if wanted("\n".join(frame))]

        return harness.wait_until(found, what=what)[0]


class Top(unittest.TestCase):
    def top(self, *ports, columns=80, lines=24):
        pods = [f"127.0.0.1:{port}" for port in ports]
        return Terminal(columns, lines, harness.BINARY, "top", *pods, "--interval=0.2")

    def test_it_fits_the_screen_whatever_its_size_becomes(self):
        with harness.Server() as server, self.top(server.admin_port, 1) as terminal:
            frame = terminal.wait_for(lambda text: "simulated" in text, "models")
            self.assertIn(" SAT ", frame[2])
            self.assertNotIn("INFLIGHT", frame[2])
            terminal.resize(120, 40)
            frame = terminal.wait_for(lambda text: "INFLIGHT" in text, "more columns")
            terminal.resize(40, 7)
            frame = terminal.wait_for(lambda text: "INFLIGHT" not in text, "fewer lines")
            self.assertEqual(len(frame), 7)
            self.assertIn("all ", frame[3])
            self.assertLessEqual(max(map(len, frame)), 40, frame)

    def test_a_server_that_goes_is_named_and_is_there_again_when_it_comes_back(self):
        with harness.Server() as stays, harness.Server() as goes:
            port = goes.admin_port
            with self.top(stays.admin_port, port) as terminal:
                terminal.wait_for(lambda text: "2/2" in text, "both")
                goes.signal(signal.SIGTERM)
                goes.wait_exit()
                frame = terminal.wait_for(lambda text: "1/2" in text, "one")
                self.assertIn(f"cannot connect to 127.0.0.1:{port}", "\n".join(frame))
                with harness.Server("--admin-port", str(port)):
                    terminal.wait_for(lambda text: "2/2" in text, "both again")

    def test_the_terminal_is_left_as_it_was_found(self):
        for what in ("q", "Ctrl-C", "SIGTERM"):
            with self.subTest(end=what), harness.Server() as server:
                with self.top(server.admin_port) as terminal:
                    terminal.wait_for(lambda text: "POD" in text, "a frame")
                    self.assertTrue(terminal.written.startswith(ENTER))
                    self.assertFalse(termios.tcgetattr(terminal.theirs)[3] & termios.ECHO)
                    if what == "SIGTERM":
                        os.kill(self.child(terminal), signal.SIGTERM)
                    else:
                        terminal.type({"q": "q", "Ctrl-C": "\x03"}[what])
                    self.assertEqual(terminal.process.wait(timeout=harness.LIMIT), 0)
                    harness.wait_until(lambda: terminal.written.endswith(LEAVE), what="the screen left")
                    self.assertEqual(termios.tcgetattr(terminal.theirs), terminal.before)

    def child(self, terminal):
        """Of setsid, if that has forked, as it does for the leader of a process group."""
        pid = terminal.process.pid
        with open(f"/proc/{pid}/task/{pid}/children") as children:
            return int((children.read().split() or [pid])[0])

    def test_who_answers_nobody_is_told_after_the_screen_has_gone(self):
        with self.top(1) as terminal:
            terminal.wait_for(lambda text: "cannot connect" in text, "the error")
            terminal.type("q")
            self.assertEqual(terminal.process.wait(timeout=harness.LIMIT), 1)
            harness.wait_until(lambda: "podsense top: 127.0.0.1:1: " in terminal.written.split(LEAVE)[-1],
                               what="the reason")


if __name__ == "__main__":
    unittest.main()
