"""A crash leaves a trace: one line and a backtrace on stderr, and the process dies as it would have."""

import ctypes
import json
import os
import signal
import unittest
from pathlib import Path

from harness import BINARY, Server, post, wait_until

SANITIZED = b"__asan_init" in BINARY.read_bytes() or b"__tsan_init" in BINARY.read_bytes()


def kill_thread(pid, tid, number):
    tgkill = 234  # on x86-64
    if os.uname().machine != "x86_64":
        tgkill = 131
    if ctypes.CDLL(None, use_errno=True).syscall(tgkill, pid, tid, number) != 0:
        raise OSError(ctypes.get_errno(), "tgkill")


def busy_executor(server):
    """The thread id of an executor that is at work, by its name and its time."""
    for task in Path(f"/proc/{server.pid}/task").iterdir():
        if (task / "comm").read_text().strip() == "executor":
            ran = (task / "stat").read_text().rsplit(")", 1)[1].split()
            if int(ran[11]) > 10:  # ticks of user time: it burns
                return int(task.name)
    return None


@unittest.skipIf(SANITIZED, "the sanitizer tells of crashes itself")
class Crash(unittest.TestCase):
    def crash_of(self, server, number):
        server.told_to_stop = True
        server.exit_code = -number
        self.assertEqual(server.wait_exit(), -number)
        lines = [line for line in server.log_text().splitlines() if '"event":"crash"' in line]
        self.assertEqual(len(lines), 1, server.log_text()[-4000:])
        return json.loads(lines[0])

    def test_a_crash_of_an_executor_names_model_and_request(self):
        with Server("--executors", "1") as server, server.raw() as client:
            client.send(post("/infer?cpu_ms=10000", b"", [("X-Request-Id", "the-last-one")]))
            tid = wait_until(lambda: busy_executor(server), what="a run")
            kill_thread(server.pid, tid, signal.SIGSEGV)
            line = self.crash_of(server, signal.SIGSEGV)
            self.assertEqual((line["signal"], line["thread"], line["model"], line["request_id"]),
                             ("SIGSEGV", "executor", "simulated", "the-last-one"))
            self.assertRegex(line["build"], r"^podsense \d+\.\d+\.\d+ \(\w+\)$")
            self.assertIn("/podsense(", server.log_text())  # frames of the backtrace

    def test_every_fatal_signal_is_told_and_keeps_its_exit_status(self):
        for number in (signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL):
            with Server() as server:
                os.kill(server.pid, number)
                self.assertEqual(self.crash_of(server, number)["signal"], number.name)

    def test_time_in_which_the_process_is_stopped_is_not_run_time(self):
        with Server("--executors", "1", "--stuck-timeout", "8s") as server, server.raw() as client:
            client.send(post("/infer?cpu_ms=2000", b""))
            wait_until(lambda: server.metric("podsense_in_flight", model="simulated") == 1, what="a run")
            os.kill(server.pid, signal.SIGSTOP)
            try:
                wait_until(lambda: "T" in Path(f"/proc/{server.pid}/stat").read_text(), what="a stop")
                wait_until(self.passed(10), what="ten seconds", timeout=30)
            finally:
                os.kill(server.pid, signal.SIGCONT)
            self.assertEqual(client.read().status, 200)
            self.assertEqual(server.log_lines("executor_stuck"), [])
            self.assertEqual(server.get("/livez").status, 200)

    @staticmethod
    def passed(seconds):
        """A stop has no other end than a time."""
        import time
        end = time.monotonic() + seconds
        return lambda: time.monotonic() > end


if __name__ == "__main__":
    unittest.main(verbosity=2)
