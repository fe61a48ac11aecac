"""`podsense load`: several targets, addresses in turn, expectations, merging."""

import collections
import http.server
import json
import socket
import ssl
import subprocess
import tempfile
import threading
import unittest
from pathlib import Path

from harness import BINARY, LIMIT
from load_double import Double, constant
from load_venv import schema_faults
from test_load import Run


class Targets(unittest.TestCase):
    def test_each_gets_its_share_and_a_report(self):
        with Double(constant(0.03)) as slow, Double(status=503) as bad:
            for flags in (("--qps", 100, "--seconds", 0.4), ("-n", 40, "-c", 4)):
                before = len(slow.log), len(bad.log)
                run = Run("--target", f"a:3={slow.url}/x", "--target", f"b={bad.url}/y", *flags)
                self.assertEqual(run.code, 0, run)
                self.assertEqual((len(slow.log) - before[0], len(bad.log) - before[1]), (30, 10), flags)
                one, other = run.report["targets"]
                self.assertEqual((one["name"], one["weight"], one["url"]), ("a", 3, f"{slow.url}/x"))
                self.assertEqual((one["requests"]["ok"], other["requests"]["failed"]), (30, 10))
                self.assertEqual((run.counts["ok"], run.counts["failed"]), (30, 10))
                self.assertGreaterEqual(one["latency"]["min"], 0.03)
                self.assertEqual(schema_faults(run.report), "")
                self.assertRegex(run.out, r"\n +a +30 +30 +0 %")
        self.assertEqual(set(slow.targets), {"/x"})

    def test_merged_reports_keep_them(self):
        with Double() as one, Double() as other, tempfile.TemporaryDirectory() as folder:
            files = []
            for number in range(2):
                run = Run("--target", f"a={one.url}", "--target", f"b={other.url}", "-n", 10, "-c", 1)
                files.append(Path(folder) / f"{number}.json")
                files[-1].write_text(run.text)
            merged = Run("merge", *files)
        self.assertEqual([t["requests"]["ok"] for t in merged.report["targets"]], [10, 10], merged)

    def test_wrong_ones_are_refused(self):
        for flags, said in ((("--target", "a=http://h/"), "is for several"),
                            (("--target", "a=http://h/", "--target", "a=http://i/"), "name of its own"),
                            (("--target", "a", "--target", "b=http://i/"), "NAME=URL"),
                            (("--target", "a=grpc://h", "--target", "b=http://i/"), "all HTTP or all gRPC"),
                            (("http://h/", "--target", "b=http://i/"), "give the target once")):
            run = Run(*flags)
            self.assertEqual(run.code, 2, run)
            self.assertIn(said, run.err)


class Addresses(unittest.TestCase):
    def test_connect_to_leads_elsewhere_and_leaves_the_host_alone(self):
        with Double() as double:
            run = Run("http://service.example:80/x", "--connect-to", f"service.example:80:127.0.0.1:{double.port}",
                      "-n", 3, "-c", 1)
        self.assertEqual((run.code, run.report["target"]["url"]), (0, "http://service.example/x"), run)
        self.assertEqual(double.hosts, ["service.example"] * 3)

    def test_a_name_with_several_addresses(self):
        with tempfile.TemporaryDirectory() as folder:
            hosts = Path(folder) / "hosts"
            hosts.write_text("".join(f"127.0.0.{number} pods.test\n" for number in (1, 2, 3)))
            inside = ["unshare", "-rm", "sh", "-c", f'mount --bind {hosts} /etc/hosts && exec "$@"', "sh"]
            if subprocess.run([*inside, "true"], capture_output=True, check=False).returncode != 0:
                self.skipTest("no mount namespace to give a name several addresses in")
            listeners = collections.Counter()

            class Noting(http.server.BaseHTTPRequestHandler):
                protocol_version = "HTTP/1.1"

                def do_GET(self):
                    listeners[self.connection.getsockname()[0]] += 1
                    self.send_response(200)
                    self.send_header("Content-Length", "0")
                    self.end_headers()

                def log_message(self, *_):
                    pass

            with http.server.ThreadingHTTPServer(("0.0.0.0", 0), Noting) as server:
                threading.Thread(target=server.serve_forever).start()
                try:
                    url = f"http://pods.test:{server.server_address[1]}/"
                    for flags, shares in ((("-z", "300ms", "-c", "9", "-q", "100"), 3), (("--qps", "60", "-n", "60"), 3),
                                          (("-n", "60", "-c", "9", "--disable-keepalive"), 3), (("-n", "60", "-c", "1"), 1)):
                        listeners.clear()
                        done = subprocess.run([*inside, BINARY, "load", url, "--threads", "2", *flags],
                                              capture_output=True, text=True, timeout=LIMIT, check=False)
                        self.assertEqual((done.returncode, len(listeners)), (0, shares), (flags, listeners, done))
                        self.assertLess(max(listeners.values()), 2 * min(listeners.values()), (flags, listeners))
                        said = "pods.test has 3 addresses, and 1 worker reaches one of them: -c 3 reaches all" in done.stderr
                        self.assertEqual(said, shares == 1, done)
                finally:
                    server.shutdown()

    def test_a_public_address_is_refused_there_too(self):
        run = Run("http://127.0.0.1/", "--connect-to", "::192.0.2.1:80", "-n", 1)
        self.assertEqual(run.code, 2, run)
        self.assertIn("--i-may-load-this-host", run.err)

    def test_the_name_in_tls_is_that_of_the_host_header(self):
        with tempfile.TemporaryDirectory() as folder:
            key, certificate = Path(folder) / "key.pem", Path(folder) / "cert.pem"
            subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                            "-keyout", key, "-out", certificate, "-subj", "/CN=model.example",
                            "-addext", "subjectAltName=DNS:model.example"], check=True, capture_output=True)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            asked = []
            context.sni_callback = lambda _, name, __: asked.append(name)
            with Double(tls=context) as double:
                run = Run(double.url, "--host-header", "model.example", "--cacert", certificate, "-n", 2, "-c", 1)
        self.assertEqual((run.code, run.counts["ok"]), (0, 2), run)
        self.assertEqual(set(asked), {"model.example"})

    def test_plain_http_to_a_tls_port_is_named(self):
        """As a server says it in TLS' own words."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(LIMIT)
            process = subprocess.Popen([BINARY, "load", f"http://127.0.0.1:{listener.getsockname()[1]}/", "-n", "1",
                                        "-c", "1", "--json", "-"], stdout=subprocess.PIPE, text=True)
            client, _ = listener.accept()
            with client:
                client.recv(4096)
                client.sendall(b"\x15\x03\x01\x00\x02\x02\x46")  # alert: fatal, protocol version
            report = json.loads(process.communicate(timeout=LIMIT)[0])
        self.assertIn("the server speaks TLS on this port", report["samples"]["protocol"])


class Redirecting(http.server.BaseHTTPRequestHandler):
    """/N leads to /N-1, by each kind of Location in turn; /0 is the answer."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.seen.append((self.command, self.path))
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = self.path.split("?")[0].strip("/")
        if path.isdigit() and int(path):
            host = f"http://127.0.0.1:{self.server.server_address[1]}"
            status = self.server.status
            self.send_response(status.pop(0) if isinstance(status, list) else status)
            self.send_header("Location", ["", "/0", "1", f"{host}/2"][int(path)] if int(path) < 4 else "http://other/")
            if path == "2":
                self.send_header("Connection", "close")
                self.close_connection = True
        else:
            self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_GET

    def log_message(self, *_):
        pass


class Redirects(unittest.TestCase):
    def setUp(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Redirecting)
        self.server.seen, self.server.status, self.server.daemon_threads = [], 302, True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        thread = threading.Thread(target=self.server.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)

    def test_they_are_followed_on_request(self):
        for status, method in ((302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")):
            self.server.seen, self.server.status = [], status
            run = Run(self.url + "/3", "-d", "{}", "-n", 2, "-c", 1, "-L")
            self.assertEqual((run.code, run.counts["ok"]), (0, 2), run)
            self.assertEqual(self.server.seen, [("POST", "/3"), (method, "/2"), (method, "/1"), (method, "/0")] * 2)

    def test_what_became_a_get_stays_one(self):
        self.server.status = [302, 307, 308]
        run = Run(self.url + "/3", "-d", "{}", "-n", 1, "-c", 1, "-L")
        self.assertEqual((run.code, run.counts["ok"]), (0, 1), run)
        self.assertEqual([command for command, _ in self.server.seen], ["POST", "GET", "GET", "GET"])

    def test_without_they_fail(self):
        run = Run(self.url + "/1", "-n", 2, "-c", 1)
        self.assertEqual((run.code, run.report["status"]["302"]["count"]), (1, 2), run)

    def test_none_leads_to_another_host(self):
        run = Run(self.url + "/9", "-n", 2, "-c", 1, "-L")
        self.assertEqual((run.code, len(self.server.seen)), (1, 2), run)
        self.assertIn("redirects to http://other/", run.out)


class Expectations(unittest.TestCase):
    def test_an_answer_without_what_is_expected_failed(self):
        body = json.dumps({"prediction": 1, "predictions": [{"label": "cat"}]}).encode()
        with Double(body=body) as double:
            good = Run(double.url, "-n", 4, "-c", 1, "--expect", "json:prediction=1", "--expect", "body:cat")
            bad = Run(double.url, "-n", 4, "-c", 1, "--expect", "json:predictions.0.label=dog")
        self.assertEqual((good.code, good.counts["ok"]), (0, 4), good)
        self.assertEqual((bad.code, bad.counts["failed"], bad.report["errors"]), (1, 4, {"unexpected": 4}), bad)
        self.assertIn('json:predictions.0.label=dog: it is "cat"', bad.out)
        self.assertEqual(schema_faults(bad.report), "")

    def test_bad_ones_are_refused(self):
        run = Run("http://127.0.0.1:1/", "--expect", "prediction=1")
        self.assertEqual(run.code, 2, run)
        self.assertIn("accepted: json:PATH=VALUE", run.err)


class Merging(unittest.TestCase):
    def test_the_same_report_is_not_counted_twice(self):
        with Double() as double, tempfile.TemporaryDirectory() as folder:
            file, copy, link = (Path(folder) / name for name in ("a.json", "b.json", "c.json"))
            file.write_text(Run(double.url, "-n", 5, "-c", 1).text)
            copy.write_text(file.read_text())
            link.symlink_to(file)
            for other in (file, copy, link):
                run = Run("merge", file, other)
                self.assertEqual((run.code, run.err.count("\n")), (2, 1), run)
                self.assertIn("counted twice", run.err)

    def test_different_targets_do_not_merge(self):
        with Double() as double, tempfile.TemporaryDirectory() as folder:
            files = [Path(folder) / "a.json", Path(folder) / "b.json"]
            for file, path in zip(files, ("/x", "/y")):
                file.write_text(Run(double.url + path, "-n", 5, "-c", 1).text)
            run = Run("merge", *files)
        self.assertEqual(run.code, 2, run)
        self.assertIn("different targets", run.err)


if __name__ == "__main__":
    unittest.main()
