"""A real Prometheus for a test, and an exporter of recorded samples."""

import http.server
import json
import re
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.parse
import urllib.request
from pathlib import Path

import built
import panels

sys.path.insert(0, str(panels.ROOT / "tests/integration"))
import harness  # noqa: E402

RECORDED = Path(__file__).parent / "recorded"


class Exporter:
    """Serves recorded samples on /NAME; counters and histograms rise from scrape to scrape."""

    def __enter__(self):
        self.scrapes = 0
        exporter = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = exporter.text(self.path.strip("/")).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def text(self, name):
        self.scrapes += 1
        recorded = (RECORDED / f"{name}.prom").read_text()
        rising = re.findall(r"^# TYPE (\w+) (?:counter|histogram)$", recorded, re.MULTILINE)
        lines = []
        for line in recorded.splitlines():
            metric = re.match(r"(\w+?)(?:_bucket|_sum|_count)?(?:\{.*\})? (\S+)$", line)
            if metric and (metric.group(1) in rising or line.split("{")[0] in rising):
                value = float(metric.group(2)) * (1 + self.scrapes / 100)
                line = line[: metric.start(2)] + repr(value)
            lines.append(line)
        return "\n".join(lines) + "\n"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Prometheus:
    """`jobs`: name → (port, path, labels) on this machine; `more`: whole scrape configurations. Scrapes and
    evaluates the project's rules each second."""

    def __init__(self, jobs, rules, features=(), more=()):
        self.jobs, self.rules, self.features, self.more = jobs, rules, ["exemplar-storage", *features], more

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="podsense-prometheus-")
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(rules) for rules in self.rules],
            "scrape_configs": [
                {
                    "job_name": name,
                    "metrics_path": path,
                    "honor_labels": True,
                    "static_configs": [{"targets": [f"127.0.0.1:{port}"], "labels": labels}],
                }
                for name, (port, path, labels) in self.jobs.items()
            ] + list(self.more),
        }
        (Path(self.folder.name) / "prometheus.yml").write_text(json.dumps(config))
        self.port = free_port()
        self.log = open(Path(self.folder.name) / "log", "w+")
        self.process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={self.folder.name}/prometheus.yml",
                f"--storage.tsdb.path={self.folder.name}/data",
                f"--web.listen-address=127.0.0.1:{self.port}",
                f"--enable-feature={','.join(self.features)}",
            ],
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )
        harness.wait_until(self.is_ready, what="Prometheus is ready")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=harness.LIMIT)
        self.log.close()
        self.folder.cleanup()

    def is_ready(self):
        return built.answers(self.process, self.log, f"http://127.0.0.1:{self.port}/-/ready")

    def api(self, path, **parameters):
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=harness.LIMIT) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from None

    def values(self, query):
        """Of an instant query, those that are numbers."""
        found = [float(one["value"][1]) for one in self.api("query", query=query)["result"]]
        return [value for value in found if value == value]
