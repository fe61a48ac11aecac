"""The CPU quota changes while the server works, as Kubernetes does it for a pod resized in place."""

import os
import threading
import unittest
from pathlib import Path

from harness import Server, wait_until

PERIOD = 100_000


class CpuGroup:
    """A cgroup of our own below the one we are in, v2 or v1; None where we may not make one."""

    @classmethod
    def make(cls):
        for root, quota in ((Path("/sys/fs/cgroup"), "cpu.max"),
                            (Path("/sys/fs/cgroup/cpu"), "cpu.cfs_quota_us"),
                            (Path("/sys/fs/cgroup/cpu,cpuacct"), "cpu.cfs_quota_us")):
            folder = root / f"podsense-test-{os.getpid()}"
            try:
                folder.mkdir()
            except OSError:
                continue
            if (folder / quota).exists():
                return cls(folder, quota)
            folder.rmdir()
        return None

    def __init__(self, folder, quota):
        self.folder = folder
        self.quota = folder / quota

    def set_cores(self, cores):
        text = str(int(cores * PERIOD))
        self.quota.write_text(f"{text} {PERIOD}" if self.quota.name == "cpu.max" else text)

    def enter_command(self):
        return ["sh", "-c", f'echo $$ > {self.folder}/cgroup.procs && exec "$@"', "sh"]


class Quota(unittest.TestCase):
    def setUp(self):
        self.group = CpuGroup.make()
        if self.group is None:
            self.skipTest("needs root and a writable cgroup with the cpu controller")
        if os.cpu_count() < 2:
            self.skipTest("needs two cores")
        self.addCleanup(self.group.folder.rmdir)

    def test_executors_follow_the_quota_without_a_failed_request(self):
        self.group.set_cores(1)
        statuses = []
        done = threading.Event()
        # exec: the server is the process that was started, no child of a wrapper
        with Server(executable=self.group.enter_command()) as server:
            self.assertEqual(server.log_lines("serving")[0]["executors"], 1)

            def ask():
                while not done.is_set():
                    statuses.append(server.get("/infer?cpu_ms=2").status)

            client = threading.Thread(target=ask)
            client.start()
            for cores, executors in ((2, 2), (0.5, 1), (2, 2)):
                self.group.set_cores(cores)
                wait_until(lambda wanted=executors:
                           self.last(server) == wanted, what=f"{executors} executors")
            done.set()
            client.join()
            self.assertEqual(server.metric("podsense_cpu_cores"), 2)
        self.assertEqual(set(statuses), {200})

    @staticmethod
    def last(server):
        lines = server.log_lines("threads_replanned")
        return lines[-1]["executors"] if lines else 1


if __name__ == "__main__":
    unittest.main()
