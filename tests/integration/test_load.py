"""`podsense load` against the real server, and against a double whose latencies are known.

What is asserted of times holds on a busy machine too: a lower bound that the double enforces, or what
the double itself saw; tests/bench hold the figures of a calm one."""

import csv
import json
import re
import signal
import ssl
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from harness import BINARY, LIMIT, ROOT, TESTDATA, Server, ServerCase, wait_until
from load_double import Double, constant, exponential
from load_venv import schema_faults, use_packages

FEATURES = ",".join(["0.5"] * 20)


class Run:
    """One `podsense load`, and what it left behind."""

    def __init__(self, *arguments, report=True, cwd=None):
        with tempfile.TemporaryDirectory(prefix="podsense-load-") as folder:
            path = Path(folder) / "report.json"
            command = [str(BINARY), "load", *map(str, arguments)]
            command += ["--json", str(path)] if report else []
            done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT * 2,
                                  check=False, cwd=cwd)
            self.code, self.out, self.err = done.returncode, done.stdout, done.stderr
            self.report = json.loads(path.read_text()) if path.exists() else None
            self.text = path.read_text() if path.exists() else ""

    @property
    def counts(self):
        return self.report["requests"]

    def __repr__(self):
        return f"<exit {self.code}\n{self.out}\n{self.err}>"


class Running:
    """A `podsense load` of ten minutes that is looked at meanwhile; it ends with the block."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen([BINARY, "load", *map(str, arguments), "--seconds", "600",
                                         "--prometheus", "127.0.0.1:0"],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stderr.readline()
        self.port = int(re.search(r"port (\d+)", line)[1])

    def metrics(self):
        return Server.request(None, "GET", "/metrics", port=self.port).text

    def ok(self):
        """Good answers that it has counted; None before there is a count."""
        found = re.search(r'podsense_load_requests_total\{outcome="ok"\} (\d+)', self.metrics())
        return found and int(found[1])

    def interrupt(self):
        """What it prints when it is told to end."""
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=LIMIT)
        assert self.process.returncode == 130, (self.process.returncode, out, err)
        return out

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


class RealServer(ServerCase):
    def setUp(self):
        self.url = f"http://127.0.0.1:{self.server.http_port}"

    def ok(self, run, count):
        self.assertEqual(run.code, 0, run)
        self.assertEqual((run.counts["planned"], run.counts["ok"], run.counts["failed"]),
                         (count, count, 0), run)
        return run

    def test_host_qps_seconds_drive_infer(self):
        before = self.server.metric("podsense_requests_total", model="simulated")
        run = self.ok(Run("--host", f"http://localhost:{self.server.http_port}", "--qps", 5,
                          "--seconds", 2), 10)
        self.assertIn("OK=10 failed=0", run.out)
        self.assertEqual(self.server.metric("podsense_requests_total", model="simulated") - before, 10)

    def test_the_flags_of_hey(self):
        run = self.ok(Run("-disable-keepalive", "-n", 50, "-c", 10, "-m", "POST",
                          "-H", "Content-Type: application/json",
                          "-d", json.dumps({"features": [0.5] * 20}),
                          f"{self.url}/predict-single"), 50)
        self.assertGreaterEqual(run.report["connections_opened"], 50)
        self.assertEqual(run.report["plan"]["mode"], "closed")

    def test_features_pictures_and_templates(self):
        self.ok(Run("--host", self.url, "--features", FEATURES, "--qps", 50, "--seconds", 0.4), 20)
        picture = TESTDATA / "jpeg_420.jpg"
        self.ok(Run("--host", self.url, "--image", picture, "-n", 4, "-c", 2), 4)
        self.ok(Run("--host", self.url, "--image", picture, "--multipart", "-n", 4, "-c", 2), 4)
        with tempfile.TemporaryDirectory() as folder:
            rows = Path(folder) / "rows.csv"
            rows.write_text("\n".join([FEATURES] * 3))
            self.ok(Run("--host", self.url, "--features", rows, "-n", 6, "-c", 1), 6)
            body = Path(folder) / "body.json"
            body.write_text('{"features": [{{random 0 1}}, {{random_int 0 9}}, {{counter}}'
                            + ", 1" * 17 + "]}")
            self.ok(Run(self.url + "/predict-single", "--body-file", body, "-n", 5, "-c", 1), 5)

    def test_refusals_are_counted_by_status_with_what_they_said(self):
        run = Run(self.url + "/nothing", "-n", 6, "-c", 2)
        self.assertEqual(run.code, 1, run)
        self.assertEqual(run.report["status"]["404"]["count"], 6)
        self.assertIn("there is no /nothing", run.report["samples"]["404"])
        self.assertIn("there is no /nothing", run.out)

    def test_tls_where_there_is_none(self):
        run = Run(self.url.replace("http:", "https:"), "-n", 1, "-c", 1)
        self.assertEqual((run.code, run.err.count("\n")), (1, 1), run)
        self.assertIn("TLS handshake failed", run.err)

    def test_a_draining_server_loses_no_request(self):
        with Server("--drain-delay", "1500ms") as server:
            process = subprocess.Popen(
                [BINARY, "load", f"http://127.0.0.1:{server.http_port}/predict-single",
                 "-d", json.dumps({"features": [0.5] * 20}), "--qps", "100", "--seconds", "1",
                 "--json", "-", "--quiet"], stdout=subprocess.PIPE, text=True)
            wait_until(lambda: server.metric("podsense_requests_total", model="random-forest") > 10)
            server.signal(signal.SIGTERM)  # from now on every answer says Connection: close
            report = json.loads(process.communicate(timeout=LIMIT)[0])
        self.assertEqual((process.returncode, report["requests"]["failed"]), (0, 0), report["errors"])


class Known(unittest.TestCase):
    """Against the double."""

    def test_what_the_server_did_is_what_is_reported(self):
        for name, latency in (("constant", constant(0.05)), ("exponential", exponential(0.04))):
            with self.subTest(name), Double(latency) as double:
                run = Run("--host", double.url, "--qps", 100, "--seconds", 2, "--connections", 30)
                self.assertEqual((run.code, run.counts["ok"]), (0, 200), run)
                truth = double.served()
                service = run.report["service_latency"]["percentiles"]
                for percent, seen in service.items():
                    rank = max(0, min(199, round(float(percent[1:]) / 100 * 200) - 1))
                    # The client cannot see less than the server spent, to the histogram's width.
                    self.assertGreater(seen, truth[rank] * 0.998, (percent, run))
                if name == "constant":
                    self.assertGreaterEqual(run.report["latency"]["min"], 0.0499)

    def test_a_stall_shows_in_an_open_loop_and_hides_in_a_closed_one(self):
        """The coordinated omission test: two seconds of silence in the middle of the run."""
        with Double(constant(0.005), stall=(1.0, 2.0)) as double:
            run = Run("--host", double.url, "--qps", 100, "--seconds", 4)
        self.assertEqual(run.counts["ok"], 400, run)
        # Request k was due k * 10 ms after the first, which came no earlier than it was due. So its
        # latency is at least what the double's own record says (bench/load_figures.py has the other
        # side: how near it is when the machine is calm).
        came = min(came for came, _ in double.log)
        truth = sorted(done - came - k / 100
                       for k, (_, done) in enumerate(sorted(double.log)))
        for percent, seen in run.report["latency"]["percentiles"].items():
            rank = round(float(percent[1:]) / 100 * 400) - 1
            self.assertGreater(seen, truth[rank] * 0.99, percent)
        # Those due in the stall's first half waited 1 s and more: about 100 of 400.
        self.assertGreaterEqual(run.report["latency"]["percentiles"]["p90"], 1.2, run)
        self.assertGreaterEqual(run.report["latency"]["max"], 1.9, run)
        with Double(constant(0.005), stall=(1.0, 2.0)) as double:
            run = Run(double.url, "-c", 1, "-z", "4s")
        self.assertGreaterEqual(run.report["latency"]["max"], 1.9, run)
        slow = sum(1 for came, done in double.log if done and done - came > 0.5)
        self.assertEqual(slow, 1, "a closed loop meets the stall once")

    def test_slow_answers_do_not_delay_what_is_due(self):
        with Double(constant(1.0)) as double:
            run = Run("--host", double.url, "--qps", 50, "--seconds", 1, "-c", 1)
        self.assertEqual(run.counts["ok"], 50, run)
        came = sorted(came for came, _ in double.log)
        self.assertLess(came[-1] - came[0], 5, "one connection would have taken 50 s")
        self.assertGreaterEqual(double.connections, 10)

    def test_what_cannot_be_sent_is_dropped_and_said_first(self):
        with Double(constant(0.5)) as double:
            run = Run("--host", double.url, "--qps", 50, "--seconds", 1, "--max-connections", 5)
        counts = run.counts
        self.assertGreater(counts["dropped"], 0)
        self.assertEqual(counts["sent"] + counts["dropped"], 50)
        self.assertEqual(len(double.log), counts["sent"])
        self.assertRegex(run.out, rf"^RATE NOT APPLIED: {counts['dropped']} of 50 requests")
        self.assertFalse(run.report["rate_applied"])

    def test_connection_close_loses_nothing(self):
        with Double(close="announce") as double:
            run = Run("--host", double.url, "--qps", 200, "--seconds", 1)
        self.assertEqual((run.counts["ok"], run.counts["failed"]), (200, 0), run)
        self.assertEqual(len(double.log), 200)

    def test_a_request_is_never_sent_twice(self):
        with Double(close="silent") as double:
            run = Run(double.url, "-n", 40, "-c", 4)
        self.assertEqual(run.counts["ok"] + run.counts["failed"], 40, run)
        self.assertEqual(len(double.log), 40)
        self.assertEqual(run.report["errors"].get("closed", 0) + run.report["errors"].get("reset", 0),
                         run.counts["failed"], run)
        self.assertGreater(run.counts["failed"], 0)

    def test_time_limit(self):
        with Double(constant(30)) as double:
            run = Run(double.url, "-n", 3, "-c", 3, "-t", "300ms")
        self.assertEqual(run.report["errors"], {"timeout": 3}, run)
        self.assertEqual(run.code, 1)

    def test_warm_up_and_cool_down_are_left_out(self):
        with Double() as double:
            run = Run("--host", double.url, "--qps", 100, "--seconds", 2, "--warmup", "500ms",
                      "--cooldown", "500ms")
        self.assertEqual((run.counts["planned"], run.counts["outside_window"]), (100, 100), run)
        self.assertEqual(len(double.log), 200)

    def test_bodies_follow_the_template(self):
        with Double() as double, tempfile.TemporaryDirectory() as folder:
            body = Path(folder) / "body"
            rows = Path(folder) / "rows.csv"
            body.write_text('{"n": {{counter}}, "city": "{{row name}}"}')
            rows.write_text("id,name\n1,Bonn\n2,Ulm\n")
            Run(double.url, "--body-file", body, "--rows", rows, "-n", 4, "-c", 1)
        self.assertEqual([json.loads(text) for text in double.bodies],
                         [{"n": n, "city": ("Bonn", "Ulm")[n % 2]} for n in range(4)])

    def test_urls_follow_the_template(self):
        with Double() as double, tempfile.TemporaryDirectory() as folder:
            rows = Path(folder) / "rows.csv"
            rows.write_text("id,name\n1,Bad Ems\n2,a/b&c\n")
            run = Run(double.url + "/{{row id}}?n={{counter}}&city={{row name}}&x={{random_int 7 7}}",
                      "--rows", rows, "-n", 4, "-c", 1, "-d", "same")
        self.assertEqual(run.code, 0, run)
        self.assertEqual(double.targets, [f"/{n % 2 + 1}?n={n}&city={('Bad%20Ems', 'a/b%26c')[n % 2]}&x=7"
                                          for n in range(4)])
        self.assertEqual(double.bodies, [b"same"] * 4)

    def test_open_inference_requests_follow_the_metadata(self):
        metadata = {"name": "m", "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}]}
        with Double(body=json.dumps(metadata).encode()) as double:
            for form in ("json", "binary"):
                run = Run("--host", double.url, "--oip", form, "--model", "m", "--batch", 2,
                          "-n", 3, "-c", 1)
                self.assertEqual((run.code, run.counts["ok"]), (0, 3), run)
                self.assertTrue(run.report["target"]["url"].endswith("/v2/models/m/infer"))
        as_json, binary = double.bodies[1], double.bodies[-1]  # the first asks for the metadata
        self.assertEqual(json.loads(as_json)["inputs"][0]["shape"], [2, 3])
        self.assertEqual(len(json.loads(as_json)["inputs"][0]["data"]), 6)
        self.assertTrue(binary.startswith(b'{"inputs":[{"name":"x"'))

    def test_arrivals_of_every_kind(self):
        with Double() as double, tempfile.TemporaryDirectory() as folder:
            trace = Path(folder) / "trace.csv"
            trace.write_text("0\n0.1\n0.1\n0.4\n")
            for flags, count in ((("--shape", "ramp:0..100", "--seconds", 1), 50),
                                 (("--shape", "steps:20,60", "--seconds", 1), 40),
                                 (("--shape", "burst:5,200ms", "--seconds", "900ms"), 25),
                                 (("--shape", "sine:50,50,1s", "--seconds", 1), 50),
                                 (("--trace", trace), 4),
                                 (("--trace", trace, "--trace-speed", 2), 4)):
                run = Run("--host", double.url, *flags)
                self.assertEqual((run.code, run.counts["ok"]), (0, count), (flags, run))
            run = Run("--host", double.url, "--qps", 100, "--seconds", 1, "--arrivals", "poisson")
            again = Run("--host", double.url, "--qps", 100, "--seconds", 1, "--arrivals", "poisson")
            self.assertEqual(run.counts["planned"], again.counts["planned"])
            self.assertNotEqual(run.counts["planned"], 100)

    def test_merged_reports_are_the_sum(self):
        with Double(constant(0.001)) as double, tempfile.TemporaryDirectory() as folder:
            files = []
            for number in range(3):
                run = Run("--host", double.url, "--qps", 50, "--seconds", 1, "--seed", number)
                files.append(Path(folder) / f"{number}.json")
                files[-1].write_text(run.text)
            merged = Run("merge", *files, "--fail-if", "p50<1ms")
            self.assertEqual((merged.code, merged.counts["ok"]), (0, 150), merged)
            self.assertEqual(merged.report["plan"]["generators"], 3)
            parts = [json.loads(file.read_text()) for file in files]
            self.assertEqual(merged.report["latency"]["max"], max(p["latency"]["max"] for p in parts))
            buckets = {}
            for part in parts:
                for bucket, count in part["histograms"]["latency"]["buckets"]:
                    buckets[bucket] = buckets.get(bucket, 0) + count
            self.assertEqual(merged.report["histograms"]["latency"]["buckets"],
                             [list(pair) for pair in sorted(buckets.items())])
            files[0].write_text("{}")
            broken = Run("merge", *files)
            self.assertEqual(broken.code, 2)
            self.assertIn("0.json: not a report", broken.err)

    def test_the_jobs_pods_leave_reports_that_merge(self):
        """What k8s/load/job.yaml says, for a moment instead of minutes."""
        text = (ROOT / "k8s/load/job.yaml").read_text()
        words = re.findall(r"^ +- (load|--\S+)$", text, re.MULTILINE)
        self.assertEqual(words[0], "load")
        with Double() as double, tempfile.TemporaryDirectory() as folder:
            files = []
            for index in range(2):
                values = {"TARGET": double.url, "JOB_COMPLETION_INDEX": str(index)}
                flags = [re.sub(r"\$\((\w+)\)", lambda name: values[name[1]], word)
                         for word in words[1:] if not re.match("--(seconds|warmup)=", word)]
                flags += ["--seconds=1", "--warmup=200ms"]
                done = subprocess.run([BINARY, "load", *flags], capture_output=True, text=True,
                                      timeout=LIMIT, check=True)
                self.assertEqual((done.stdout.count("\n"), done.stderr), (1, ""), "a log of one line")
                files.append(Path(folder) / f"{index}.json")
                files[-1].write_text(done.stdout)
            merged = Run("merge", *files)
            parts = [json.loads(file.read_text())["requests"]["ok"] for file in files]
        self.assertEqual((merged.report["plan"]["generators"], merged.counts["ok"]), (2, sum(parts)))
        self.assertNotEqual(parts[0], parts[1], "every pod has arrivals of its own")


class Schema(unittest.TestCase):
    """Real reports against docs/reference/load-report.schema.json."""

    def test_every_kind_of_report_follows_it(self):
        with Double(constant(0.001)) as double, Double(status=503) as refusing:
            for flags in (("--host", double.url, "--qps", 100, "--seconds", 1, "--fail-if", "p99>1us"),
                          (double.url, "-n", 20, "-c", 2),
                          (refusing.url, "-n", 5, "-c", 1),
                          ("--host", double.url, "--find-max-qps", "--window", "100ms",
                           "--search-from", 20, "--search-to", 40)):
                run = Run(*flags)
                self.assertEqual(schema_faults(run.report), "", flags)

    def test_it_refuses_what_is_none(self):
        with Double() as double:
            report = Run(double.url, "-n", 5, "-c", 1).report
        for key, value in (("format", "podsense.load/1"), ("requests", {}), ("extra", 1)):
            self.assertNotEqual(schema_faults(report | {key: value}), "", key)


class Interface(unittest.TestCase):
    """Exit codes, single lines of error, files."""

    def one_line(self, run, code, pattern):
        self.assertEqual(run.code, code, run)
        self.assertEqual(run.out, "")
        self.assertEqual(run.err.count("\n"), 1, run)
        self.assertRegex(run.err, pattern)

    def test_nobody_there(self):
        self.one_line(Run("http://127.0.0.1:1/", "-n", 1, "-c", 1), 1,
                      "cannot connect to http://127.0.0.1:1/: Connection refused")
        self.one_line(Run("http://no-such-host.invalid/", "-n", 1, "-c", 1), 1,
                      "cannot resolve 'no-such-host.invalid'")

    def test_waits_for_the_target_where_asked(self):
        began = time.monotonic()
        run = Run("http://127.0.0.1:1/", "-n", 1, "-c", 1, "--wait", "600ms")
        self.assertEqual(run.code, 1)
        self.assertGreaterEqual(time.monotonic() - began, 0.6)

    def test_a_public_host_is_refused(self):
        self.one_line(Run("http://192.0.2.1/", "-n", 1), 2, "--i-may-load-this-host")

    def test_bad_flags(self):
        for flags, pattern in (
                (("--qps", 5), "no target"),
                (("http://h:x/", "-n", 1), "port must be"),
                (("http://127.0.0.1/{{wor}}", "-n", 1), "{{wor}}: unknown placeholder"),
                (("http://127.0.0.1/{{row}}", "-n", 1), "give a CSV file with --rows"),
                (("http://127.0.0.1/a b", "-n", 1), "blanks"),
                (("http://127.0.0.1/", "--qps", 5, "--seconds", "soon"),
                 "--seconds, --duration, -z 'soon': accepted: a duration from 1ms to 1000h"),
                (("http://127.0.0.1/", "--qps", 5, "--shape", "ramp:1..2"), "exclude each other"),
                (("http://127.0.0.1/", "--shape", "wave:3"), "no shape"),
                (("http://127.0.0.1/", "--fail-if", "p99"), "no threshold"),
                (("http://127.0.0.1/", "-H", "nothing"), "no header"),
                (("http://127.0.0.1/", "--qps", 5, "--seconds", 1, "--warmup", "1s"), "leave nothing"),
                (("http://127.0.0.1/", "--body-file", "/nowhere"), "podsense load: --body-file /nowhere: No such file or directory"),
                (("http://127.0.0.1/", "--body-file", "/"), "podsense load: --body-file /: Is a directory"),
                (("http://127.0.0.1/", "--trace", "/nowhere"), "--trace /nowhere: No such file or directory"),
                (("http://127.0.0.1/{{row}}", "--rows", "/nowhere"), "--rows /nowhere: No such file or directory"),
                (("http://127.0.0.1/", "--image", "/nowhere"), "--image /nowhere: No such file or directory"),
                (("http://127.0.0.1/", "-d", "@/nowhere"), "-d @/nowhere: No such file or directory"),
                (("http://127.0.0.1/", "--find-max-qps", "-n", 5), "leave out -n, --warmup, --cooldown"),
                (("http://127.0.0.1/", "--find-max-qps", "--seconds", 5), "four times --window"),
                (("http://127.0.0.1/", "--vus", 5), "unknown flag '--vus'; here: -c N (closed loop), or --qps"),
                (("http://127.0.0.1/", "--conections=5"), "'--conections'; did you mean --connections?"),
                (("http://127.0.0.1/", "http://127.0.0.2/"), "unexpected argument 'http://127.0.0.2/'"),
                (("http://127.0.0.1/", "-n", "many"),
                 "-n, --requests 'many': accepted: a whole number from 1 to 1,000,000,000,000; see podsense load"),
                (("-t4", "-c8", "-d30s", "http://127.0.0.1/"), "'30s' is the body, as in hey; for a duration"),
                (("http://127.0.0.1/", "-D", "/nowhere"), "podsense load: -D /nowhere: No such file or directory"),
                (("http://127.0.0.1/", "-D", "/"), "podsense load: -D /: Is a directory"),
                (("http://127.0.0.1/", "-x", "p:1"), "not offered")):
            self.one_line(Run(*flags), 2, re.escape(pattern))
        self.one_line(Run("--nonsense"), 2, "unknown flag '--nonsense'; see podsense load --help")

    def test_thresholds_set_the_exit_code(self):
        with Double(constant(0.02)) as double:
            kept = Run(double.url, "-n", 5, "-c", 1, "--fail-if", "failed>0", "--fail-if", "rps>1000")
            failed = Run(double.url, "-n", 5, "-c", 1, "--fail-if", "p50>19ms", "--fail-if", "failed>0")
        self.assertEqual(kept.code, 0, kept)
        self.assertEqual(failed.code, 3, failed)
        self.assertEqual([t["failed"] for t in failed.report["thresholds"]], [True, False])
        self.assertRegex(failed.out, r"FAIL +p50>19ms")

    def test_an_interrupt_reports_what_was_measured(self):
        with Double() as double, tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "r.json"
            with Running("--host", double.url, "--qps", 100, "--json", path) as running:
                # What the server answered may not have been read: only the client can say.
                seen = wait_until(lambda: (running.ok() or 0) > 20 and running.ok())
                out = running.interrupt()
            report = json.loads(path.read_text())
        self.assertTrue(out.startswith("INTERRUPTED"), out)
        self.assertTrue(report["interrupted"])
        counts = report["requests"]
        self.assertGreaterEqual(counts["ok"], seen)
        self.assertEqual((counts["failed"], counts["planned"]),
                         (0, counts["ok"] + counts["canceled"]))
        self.assertLess(report["measured_seconds"], 500)

    def test_tls(self):
        with tempfile.TemporaryDirectory() as folder:
            key, certificate = Path(folder) / "key.pem", Path(folder) / "cert.pem"
            subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                            "-keyout", key, "-out", certificate, "-subj", "/CN=127.0.0.1",
                            "-addext", "subjectAltName=IP:127.0.0.1"], check=True,
                           capture_output=True)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            with Double(tls=context) as double:
                self.one_line(Run(double.url, "-n", 1, "-c", 1), 1, "certificate is refused")
                for flags in (["--cacert", certificate], ["--insecure"]):
                    run = Run(double.url, "-n", 20, "-c", 2, *flags)
                    self.assertEqual((run.code, run.counts["ok"]), (0, 20), run)

    def test_files_beside_the_report(self):
        with Double() as double, tempfile.TemporaryDirectory() as folder:
            table, page = Path(folder) / "r.csv", Path(folder) / "r.html"
            run = Run("--host", double.url, "--qps", 50, "--seconds", 1, "--csv", table, "--html", page)
            self.assertEqual(run.code, 0, run)
            rows = list(csv.DictReader(table.read_text().splitlines()))
            self.assertEqual(sum(int(row["offered"]) for row in rows), 50)
            html = page.read_text()
        self.assertNotRegex(html, r"""(src|href)=["']?https?:""")
        held = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
        self.assertEqual(json.loads(held[1])["requests"], run.counts)

    def test_what_a_server_says_cannot_break_the_page(self):
        with Double(status=500, body=b"</script><script>alert(1)</script>") as double, \
                tempfile.TemporaryDirectory() as folder:
            page = Path(folder) / "r.html"
            Run(double.url, "-n", 2, "-c", 1, "--html", page)
            self.assertNotIn("<script>alert", page.read_text())

    def check_metrics(self, text):
        """As Prometheus' own client reads them: types, and histograms that add up."""
        use_packages()
        from prometheus_client.parser import text_string_to_metric_families
        families = {family.name: family for family in text_string_to_metric_families(text)}
        self.assertEqual({name: family.type for name, family in families.items()},
                         {"podsense_load_requests": "counter", "podsense_load_offered": "counter",
                          "podsense_load_in_flight": "gauge",
                          "podsense_load_latency_seconds": "histogram",
                          "podsense_load_send_lag_seconds": "histogram"})
        self.assertTrue(all(family.documentation for family in families.values()))
        ok = next(s.value for s in families["podsense_load_requests"].samples
                  if s.labels == {"outcome": "ok"})
        samples = families["podsense_load_latency_seconds"].samples
        buckets = [(float(s.labels["le"]), s.value) for s in samples if s.name.endswith("_bucket")]
        self.assertEqual(buckets, sorted(buckets))
        self.assertEqual([count for _, count in buckets], sorted(count for _, count in buckets))
        count = next(s.value for s in samples if s.name.endswith("_count"))
        self.assertEqual((buckets[-1], count), ((float("inf"), ok), ok))

    def test_prometheus_can_scrape_meanwhile(self):
        with Double() as double, Running("--host", double.url, "--qps", 50) as running:
            wait_until(lambda: (running.ok() or 0) > 10)
            self.check_metrics(running.metrics())
            running.interrupt()


if __name__ == "__main__":
    unittest.main()
