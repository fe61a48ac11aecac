"""`podsense load`: numbers and verdicts that are exact, and numbers that are refused."""

import csv
import io
import json
import resource
import socket
import subprocess
import tempfile
import threading
import unittest
from pathlib import Path

from harness import BINARY, LIMIT, without_descriptors
from load_double import Double, constant
from load_venv import schema_faults
from test_load import Run

URL = "http://127.0.0.1:1/"  # nobody is there: a wrong flag is reported before that


class Rates(unittest.TestCase):
    def test_a_closed_loop_ends_with_its_last_answer(self):
        with Double() as double:
            run = Run(double.url, "-n", 20, "-c", 1)
            answered = max(done for _, done in double.log) - min(came for came, _ in double.log)
        measured = run.report["measured_seconds"]
        self.assertGreaterEqual(measured, answered * 0.99, run)
        self.assertLess(measured, 0.095 + answered, "not at a tick of 100 ms")
        self.assertAlmostEqual(run.report["rates"]["achieved"], 20 / measured, delta=0.01 * 20 / measured)
        self.assertEqual(run.report["last_answer_seconds"], measured)

    def test_an_open_loop_with_a_number_lasts_as_long_as_that_many_take(self):
        with Double() as double:
            run = Run(double.url, "-n", 50, "--qps", 100)
        self.assertEqual((run.counts["ok"], run.report["measured_seconds"]), (50, 0.5), run)
        self.assertAlmostEqual(run.report["rates"]["offered"], 100)

    def test_a_number_of_requests_may_have_a_cool_down_where_its_length_is_known(self):
        with Double() as double:
            run = Run(double.url, "-n", 50, "--qps", 100, "--warmup", "100ms", "--cooldown", "200ms")
        self.assertEqual((run.counts["ok"], run.counts["outside_window"]), (20, 30), run)
        self.assertAlmostEqual(run.report["measured_seconds"], 0.2)
        self.assertEqual(run.report["plan"]["seconds"], 0.5)

    def test_no_worker_is_idle_while_there_are_requests(self):
        with Double(constant(0.06)) as double:  # three workers on two threads
            run = Run(double.url, "-n", 30, "-c", 3, "--threads", 2)
        self.assertEqual(run.counts["ok"], 30, run)
        self.assertLess(run.report["measured_seconds"], 0.75, "0.6, or 0.9 where threads have fixed shares")

    def test_there_are_no_more_threads_than_work(self):
        with Double() as double:
            run = Run(double.url, "-z", "300ms", "-c", 2, "--threads", 8)
            self.assertEqual((run.code, run.report["plan"]["threads"], double.connections), (0, 2, 2), run)
            self.assertFalse(run.report["interrupted"])
        with Double(constant(0.05)) as double:
            run = Run(double.url, "-n", 40, "--qps", 100, "--threads", 4, "--max-connections", 2)
            self.assertEqual(double.connections, 2, run)

    def test_workers_keep_their_rate(self):
        with Double() as double, tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "log.csv"
            Run(double.url, "-n", 30, "-c", 1, "-q", 50, "--log", path)
            due = sorted(float(row["due_s"]) for row in csv.DictReader(path.read_text().splitlines()))
        gaps = [after - before for before, after in zip(due, due[1:])]
        self.assertEqual(len(gaps), 29)
        self.assertLess(min(gaps), 0.02, "a late request is followed by one at its time: nothing adds up")

    def test_a_short_run_has_a_length(self):
        with Double() as double:
            run = Run(double.url, "-n", 1, "-c", 1)
        self.assertRegex(run.out, r"answered well, over [\d.]+ (µs|ms)\n")

    def test_there_are_no_more_workers_than_requests(self):
        with Double() as double:
            run = Run(double.url, "-n", 3)
            self.assertEqual((run.counts["ok"], double.connections), (3, 3), run)
        self.assertEqual(run.report["plan"]["connections"], 3)


class Ranges(unittest.TestCase):
    """Every number out of range is exit code 2, with what is accepted."""

    def test_every_numeric_flag(self):
        whole = {"-n": (1, 10**12), "-c": (1, 10**6), "--max-connections": (1, 10**6),
                 "--streams": (1, 10000), "--threads": (0, 64), "--cpus": (0, 64),
                 "--batch": (1, 4096), "--seed": (0, 2**64 - 1)}
        for flag, (low, high) in whole.items():
            for value in (low - 1, high + 1, -4, "99999999999999999999", "1.5", "0x10", "", "many", "1e3"):
                self.refused([flag, value], "accepted: a whole number from")
        reals = {"--qps": [], "--rate": [], "-q": [], "--search-from": ["--find-max-qps"],
                 "--search-to": ["--find-max-qps"], "--trace-speed": ["--trace", "x"],
                 "--trace-scale": ["--trace", "x"]}
        for flag, needed in reals.items():
            for value in (-1, "1e300", "nan", "inf", "-inf", "", "fast", "1e400"):
                self.refused([*needed, flag, value], "accepted: a number from")
        for flag in ("--qps", "--search-from", "--trace-speed"):
            self.refused([*reals[flag], flag, 0], "accepted: a number from")
        durations = {"--seconds": [], "--duration": [], "-z": [], "--warmup": [], "--cooldown": [],
                     "-t": [], "--timeout": [], "--wait": [], "--window": ["--find-max-qps"]}
        for flag, needed in durations.items():
            for value in (-1, "-5s", "1e30", "5000h", "soon", "", "nan", "5 parsecs"):
                self.refused([*needed, flag, value], "accepted: a duration from")
        for value in ("0", "0s"):
            self.refused(["--seconds", value], "accepted: a duration from 1ms")
        self.refused(["--find-max-qps", "--window", "99ms"], "accepted: a duration from 100ms")

    def test_numbers_within_other_flags(self):
        for flags in (["--shape", "constant:-1"], ["--shape", "constant:1e300"], ["--shape", "ramp:0..1e300"],
                      ["--shape", "steps:1,-1"], ["--shape", "steps:1,1e9"], ["--shape", "sine:1e9,1,1s"],
                      ["--shape", "sine:1,1,0s"], ["--shape", "burst:0,1s"], ["--shape", "burst:1e12,1s"],
                      ["--shape", "burst:10,1ns"], ["--shape", "burst:1.5,1s"],
                      ["--fail-if", "p101>1s"], ["--fail-if", "p0>1s"], ["--fail-if", "p99>-5ms"],
                      ["--fail-if", "errors>-1%"], ["--fail-if", "errors>101%"], ["--fail-if", "rps<nan"],
                      ["--find-max-qps", "--slo", "p99=-1s"], ["--find-max-qps", "--slo", "errors=200%"],
                      ["--prometheus", "127.0.0.1:99999"], ["--prometheus", "127.0.0.1:-1"],
                      ["--connect-to", "::h:99999"], ["--target", "a:0=http://h/", "--target", "b=http://h/"]):
            with self.subTest(flags):
                self.refused(flags, "accepted", url=() if "--target" in flags else (URL,))

    def test_flags_that_would_do_nothing_are_refused(self):
        for flags, needs in ((["--slo", "p99=1s"], "--find-max-qps"), (["--window", "1s"], "--find-max-qps"),
                             (["--search-to", 5], "--find-max-qps"), (["--trace-speed", 2], "--trace"),
                             (["--keep-offset"], "--trace"), (["--max-connections", 5], "-c N"),
                             (["--shape", "burst:5,1s", "--arrivals", "poisson"], "a rate"),
                             (["--csv-header"], "--rows"), (["--no-header"], "--rows"),
                             (["-n", 5, "--cooldown", "1s"], "--seconds"),
                             (["-n", 5, "--qps", 1, "--arrivals", "poisson", "--cooldown", "1s"], "--seconds"),
                             (["-n", 5, "--shape", "ramp:1..9"], "--seconds"),
                             (["-n", 5, "--shape", "steps:1,9"], "--seconds")):
            self.refused(flags, needs)

    def refused(self, flags, said, url=(URL,)):
        done = subprocess.run([BINARY, "load", *url, *map(str, flags)], capture_output=True, text=True,
                              timeout=LIMIT, check=False)
        self.assertEqual((done.returncode, done.stdout), (2, ""), (flags, done))
        self.assertEqual(done.stderr.count("\n"), 1, done)
        self.assertTrue(done.stderr.startswith("podsense load: "), done)
        self.assertIn(said, done.stderr, flags)

    def test_a_time_limit_of_nought_is_none(self):
        with Double() as double:
            run = Run(double.url, "-n", 2, "-c", 1, "-t", 0)
        self.assertEqual((run.code, run.counts["ok"], run.report["plan"]["timeout_seconds"]), (0, 2, 0), run)


class EarlyAnswers(unittest.TestCase):
    def test_a_connection_with_half_a_request_on_it_takes_no_other(self):
        def serve(client):
            with client, client.makefile("rb") as stream:
                while stream.readline():
                    length = 0
                    while (line := stream.readline()) != b"\r\n":
                        if line.lower().startswith(b"content-length:"):
                            length = int(line.split(b":")[1])
                    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")  # before the body is read
                    answered.wait(LIMIT)
                    stream.read(length)

        answered = threading.Event()
        with socket.create_server(("127.0.0.1", 0)) as listener, tempfile.NamedTemporaryFile() as body:
            body.write(b"x" * 20_000_000)  # more than sockets hold
            body.flush()

            def accept():
                for _ in range(3):
                    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

            threading.Thread(target=accept, daemon=True).start()
            run = Run(f"http://127.0.0.1:{listener.getsockname()[1]}/", "-D", body.name, "-n", 3, "-c", 1, "-t", "5s")
            answered.set()
        self.assertEqual((run.code, run.counts["ok"], run.counts["failed"]), (0, 3, 0), run)


class Verdicts(unittest.TestCase):
    """What failed has its part in what is said of latency."""

    def test_time_outs_count_as_long_as_they_waited(self):
        with Double(lambda number: 30 if number % 10 == 9 else 0.0) as double:
            run = Run(double.url, "-n", 60, "-c", 6, "-t", "400ms", "--fail-if", "p99>300ms",
                      "--fail-if", "p50>300ms")
        self.assertEqual(run.code, 3, run)
        self.assertEqual([t["failed"] for t in run.report["thresholds"]], [True, False])
        self.assertLess(run.report["latency"]["max"], 0.3)
        self.assertGreaterEqual(run.report["latency_of_all"]["percentiles"]["p99"], 0.4)
        self.assertIn("p99", run.report["latency_of_all"]["at_least"])
        self.assertRegex(run.out, r"FAIL +p99>300ms +≥ \d+ ms of all, \S+ .s of the answered \(6 failed\)")
        self.assertRegex(run.out, r"ok +p50>300ms +.* of the answered \(6 failed\)")
        self.assertIn("of all", run.out.splitlines()[8] + run.out.splitlines()[7] + run.out.splitlines()[9])
        self.assertEqual(schema_faults(run.report), "")

    def test_an_answer_after_the_time_limit_is_none(self):
        # Overdue requests are looked for every 10 ms: these come before that, or soon after.
        with Double(constant(0.003)) as double:
            run = Run(double.url, "-n", 40, "-c", 4, "-t", "1ms", "--fail-if", "errors<100%")
        self.assertEqual((run.code, run.counts["ok"], run.report["errors"]), (1, 0, {"timeout": 40}), run)
        self.assertGreaterEqual(run.report["failed_latency"]["min"], 0.001)

    def test_a_search_does_not_end_above_what_times_out(self):
        # One of three, so that every window has one, also at the lowest rate.
        with Double(lambda number: 30 if number % 3 == 1 else 0.0) as double:
            run = Run(double.url, "--find-max-qps", "--slo", "p99=100ms,errors=50%", "--window", "300ms",
                      "--search-from", 50, "--search-to", 100, "--seconds", 8, "-t", "200ms")
        self.assertEqual(run.code, 3, run)
        self.assertEqual(run.report["search"]["max_qps"], 0)

    def test_a_search_waits_for_what_may_still_time_out(self):
        # One of 40 hangs for longer than the windows that decide: there all answers are quick.
        with Double(lambda number: 30 if number % 40 == 39 else 0.0) as double:
            run = Run(double.url, "--find-max-qps", "--slo", "p99=200ms,errors=1%", "--window", "400ms",
                      "--search-from", 100, "--search-to", 100, "--seconds", 5, "-t", "2500ms")
        step = run.report["search"]["steps"][0]
        self.assertEqual((run.code, step["rate"], step["met"]), (3, 100, False), run)
        self.assertIn("still under way", step["reason"])
        self.assertEqual(schema_faults(run.report), "")


class Generator(unittest.TestCase):
    def run_with_descriptors(self, limit, *flags):
        def shorten():
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
        return subprocess.run([BINARY, "load", *map(str, flags), "--json", "-"], capture_output=True,
                              text=True, timeout=LIMIT, check=False, preexec_fn=shorten)

    @without_descriptors
    def test_a_shortage_of_descriptors_is_its_own(self):
        with Double(constant(1)) as double:
            done = self.run_with_descriptors(64, double.url, "--qps", 200, "--seconds", 1, "-c", 4)
        report = json.loads(done.stdout)
        counts = report["requests"]
        self.assertGreater(counts["ok"], 0, done)
        self.assertEqual(counts["failed"], 0, report["errors"])
        self.assertGreater(report["errors"]["descriptors"], 0)
        self.assertEqual(counts["dropped"], report["errors"]["descriptors"])
        limits = {limit["name"]: limit["text"] for limit in report["generator"]["limits"]}
        self.assertIn("the limit is 64 (ulimit -n)", limits["descriptors"])
        self.assertEqual(schema_faults(report), "")

    @without_descriptors
    def test_a_shortage_before_the_run_says_so(self):
        with Double() as double:
            done = self.run_with_descriptors(64, double.url, "-n", 500, "-c", 100)
        self.assertEqual(done.returncode, 1, done)
        self.assertIn("no file descriptors left: the limit is 64", done.stderr)


class Outputs(unittest.TestCase):
    def load(self, *flags, **options):
        options = options or {"capture_output": True}
        if "pass_fds" in options:
            options["capture_output"] = True
        return subprocess.run([BINARY, "load", *map(str, flags), "--quiet"], text=True, timeout=LIMIT,
                              check=False, **options)

    def test_a_dash_is_standard_output(self):
        with Double() as double:
            for flag, begin in (("--csv", "start_seconds,"), ("--json", '{"format"'), ("--html", "<!"),
                                ("--log", "request,target,")):
                done = self.load(double.url, "-n", 5, "-c", 1, flag, "-")
                self.assertEqual(done.returncode, 0, done)
                self.assertTrue(done.stdout.startswith(begin), done.stdout[:200])
            done = self.load(double.url, "-n", 5, "--csv", "-", "--json", "-")
        self.assertEqual(done.returncode, 2, done)
        self.assertIn("only one of", done.stderr)

    def test_redirected_output_is_appended_to(self):
        with Double() as double, tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "out"
            for flags in (("-o", "csv"), ("--csv", "/dev/stdout"), ("--json", "-"), ("--csv", "/dev/fd/1"),
                          ("--log", "/proc/self/fd/1"), ("--html", "-")):
                path.write_text("before\n")
                with path.open("a") as out:
                    subprocess.run([BINARY, "load", double.url, "-n", "4", "-c", "1", "--quiet", *flags],
                                   stdout=out, timeout=LIMIT, check=True)
                self.assertTrue(path.read_text().startswith("before\n"), flags)
                self.assertGreater(path.read_text().count("\n"), 1)

    def test_other_descriptors_are_written_on_too(self):
        with Double() as double, tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "log"
            path.write_text("before\n")
            with path.open("a") as log:
                done = self.load(double.url, "-n", 4, "--csv", "/dev/stderr", stdout=subprocess.PIPE, stderr=log)
                other = self.load(double.url, "-n", 4, "--csv", f"/dev/fd/{log.fileno()}", pass_fds=[log.fileno()])
            self.assertEqual((done.returncode, other.returncode), (0, 0), other)
            self.assertEqual(path.read_text().splitlines()[0], "before")
            self.assertEqual(path.read_text().count("start_seconds,"), 2)
            done = self.load(double.url, "-n", 4, "--csv", "/dev/fd/99")
        self.assertEqual((done.returncode, done.stderr.count("\n")), (2, 1), done)
        self.assertIn("cannot write /dev/fd/99: Bad file descriptor", done.stderr)

    def test_two_results_in_one_file_are_refused(self):
        with Double() as double, tempfile.TemporaryDirectory() as folder:
            path, link = Path(folder) / "out", Path(folder) / "link"
            path.write_text("kept")
            link.symlink_to(path)
            done = self.load(double.url, "-n", 4, "--csv", path, "--json", link)
            self.assertEqual((done.returncode, done.stderr.count("\n")), (2, 1), done)
            self.assertIn("one file", done.stderr)
            with path.open("a") as out:
                done = self.load(double.url, "-n", 4, "--csv", path, stdout=out, stderr=subprocess.PIPE)
            self.assertEqual(done.returncode, 2, done)
            self.assertEqual(path.read_text(), "kept")
            self.assertEqual(double.connections, 0)
            done = self.load(double.url, "-n", 4, "--csv", "/dev/null", "--json", "/dev/null")
            self.assertEqual(done.returncode, 0, done)

    def test_heys_rows_are_a_request_a_line(self):
        with Double(constant(0.02)) as double:
            done = self.load(double.url, "-n", 7, "-c", 2, "-o", "csv")
        rows = list(csv.DictReader(io.StringIO(done.stdout)))
        self.assertEqual(list(rows[0]), ["response-time", "DNS+dialup", "DNS", "Request-write",
                                         "Response-delay", "Response-read", "status-code", "offset"])
        self.assertEqual([row["status-code"] for row in rows], ["200"] * 7)
        self.assertTrue(all(0.0199 <= float(row["response-time"]) for row in rows), rows)

    def test_the_log_has_every_request(self):
        with Double(lambda number: 30 if number == 3 else 0.0) as double, tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "log.csv"
            self.load(double.url, "--qps", 50, "-n", 20, "-t", "300ms", "--log", path)
            rows = list(csv.DictReader(path.read_text().splitlines()))
        self.assertEqual(sorted(int(row["request"]) for row in rows), list(range(20)))
        self.assertEqual(sorted(row["outcome"] for row in rows), ["ok"] * 19 + ["timeout"])
        late = next(row for row in rows if row["outcome"] == "timeout")
        self.assertEqual((late["first_byte_ms"], late["status"]), ("", ""))
        self.assertGreaterEqual(float(late["latency_ms"]), 300)
        for row in rows:
            self.assertAlmostEqual(float(row["due_s"]), int(row["request"]) / 50, places=5)

    def test_a_slice_without_answers_is_empty(self):
        with Double(status=503) as double:
            done = self.load(double.url, "-n", 5, "-c", 1, "--csv", "-")
        row = next(csv.DictReader(io.StringIO(done.stdout)))
        self.assertEqual((row["failed"], row["p50_ms"], row["max_ms"]), ("5", "", ""))

    def test_files_are_opened_before_the_load(self):
        with Double() as double:
            for flag in ("--json", "--csv", "--html", "--log"):
                done = self.load(double.url, "-n", 5, flag, "/nowhere/at/all")
                self.assertEqual((done.returncode, done.stderr.count("\n")), (2, 1), done)
                self.assertIn("cannot write /nowhere/at/all: No such file", done.stderr)
            self.assertEqual(double.connections, 0)

    def test_a_run_that_does_not_come_about_leaves_files_alone(self):
        with tempfile.TemporaryDirectory() as folder:
            old, new = Path(folder) / "old", Path(folder) / "new"
            old.write_text("kept")
            done = self.load(URL, "-n", 1, "--json", old, "--csv", new)
            self.assertEqual((done.returncode, old.read_text(), new.exists()), (1, "kept", False), done)

    def test_a_full_disk_is_an_error(self):
        with Double() as double:
            for flag in ("--json", "--csv", "--html", "--log"):
                done = self.load(double.url, "-n", 5, flag, "/dev/full")
                self.assertEqual(done.returncode, 1, done)
                self.assertIn("cannot write /dev/full: No space left on device", done.stderr)
                self.assertIn("OK=5", done.stdout, "the table is there all the same")
            with open("/dev/full", "w") as full:
                done = subprocess.run([BINARY, "load", double.url, "-n", "5"], stdout=full,
                                      stderr=subprocess.PIPE, text=True, timeout=LIMIT, check=False)
        self.assertEqual(done.returncode, 1, done)
        self.assertIn("cannot write standard output: No space left", done.stderr)


if __name__ == "__main__":
    unittest.main()
