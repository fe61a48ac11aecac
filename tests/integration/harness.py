"""What all integration tests stand on: the real binary, real sockets, no third-party packages.

Environment (CMake sets it): PODSENSE_BINARY, PODSENSE_MODELS, PODSENSE_GOLDEN_DIR.
Nothing sleeps: tests wait for a condition, with a limit that is far above what is usual.
"""

import http.client
import http.server
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTDATA = ROOT / "src/image/testdata"
# Crowds of clients need a descriptor each.
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
LIMIT = 60.0  # seconds until a wait is given up: sanitizer builds on a busy machine are slow

# "address" or "thread" where the binary is instrumented: the presets asan and tsan say so.
SANITIZER = os.environ.get("PODSENSE_TEST_SANITIZER", "")

# UndefinedBehaviorSanitizer asks the kernel about an object's type by a pipe: without descriptors it
# takes every object for a wrong one.
without_descriptors = unittest.skipIf(SANITIZER == "address",
                                      "the sanitizer needs descriptors of its own")


def _folder(variable, default):
    return Path(os.environ.get(variable, ROOT / default)).resolve()


BINARY = _folder("PODSENSE_BINARY", "build/release/podsense")
MODELS = _folder("PODSENSE_MODELS", "build/models")
GOLDEN = _folder("PODSENSE_GOLDEN_DIR", "build/golden")


def wait_until(predicate, timeout=LIMIT, what="the condition"):
    """The first true value of predicate()."""
    pause = threading.Event()
    deadline = time.monotonic() + timeout
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {timeout} s")
        pause.wait(0.01)


def clean_environment():
    """Without the tests' own variables, which are no settings of the server."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PODSENSE_")}


class Answer:
    """A response: status, headers (names in lower case; of repeated ones the last), body."""

    def __init__(self, status, headers, body, reason=""):
        self.status = status
        self.all_headers = [(name.lower(), value) for name, value in headers]
        self.headers = dict(self.all_headers)
        self.body = body
        self.reason = reason

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def text(self):
        return self.body.decode()

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:300]!r}>"


class RawClient:
    """One connection on which a test sends exactly the bytes it wants."""

    def __init__(self, port, timeout=LIMIT, connect_timeout=LIMIT):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=connect_timeout)
        self.socket.settimeout(timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data.encode("latin-1") if isinstance(data, str) else data)

    def wait_until_read(self):
        """Until the server has read all that was sent, by the kernel's count, or has closed."""
        ports = [f":{port:04X}" for port in (self.socket.getpeername()[1], self.socket.getsockname()[1])]

        def all_read():
            for table in ("/proc/net/tcp", "/proc/net/tcp6"):
                for line in Path(table).read_text().splitlines()[1:]:
                    fields = line.split()
                    if [fields[1][-5:], fields[2][-5:]] == ports:
                        return int(fields[4].partition(":")[2], 16) == 0
            return True
        wait_until(all_read, what="the server's reading of what was sent")

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self):
        """Closes with RST instead of FIN."""
        linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.socket.close()

    def _more(self):
        data = self.socket.recv(65536)
        self.buffer += data
        return bool(data)

    def _until(self, mark):
        while mark not in self.buffer:
            if not self._more():
                raise EOFError(f"closed after {self.buffer[:200]!r}")
        head, self.buffer = self.buffer.split(mark, 1)
        return head

    def read(self, method="GET"):
        """One response, no byte more."""
        lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        version, status, reason = lines[0].split(" ", 2)
        assert version == "HTTP/1.1", lines[0]
        headers = [tuple(part.strip() for part in line.split(":", 1)) for line in lines[1:]]
        answer = Answer(int(status), headers, b"", reason)
        length = int(answer.headers.get("content-length", 0))
        if method == "HEAD" or answer.status in (100, 204, 304):
            length = 0
        while len(self.buffer) < length:
            if not self._more():
                raise EOFError("closed inside a body")
        answer.body, self.buffer = self.buffer[:length], self.buffer[length:]
        return answer

    def read_to_end(self):
        """What comes until the server closes."""
        while self._more():
            pass
        data, self.buffer = self.buffer, b""
        return data

    def is_closed(self):
        """Waits for the end of the stream; a reset counts, a byte does not."""
        if self.buffer:
            return False
        try:
            return self.socket.recv(1) == b""
        except ConnectionError:
            return True

    def exchange(self, data, method="GET"):
        self.send(data)
        return self.read(method)


def post(path, body=b"", headers=(), version="1.1"):
    """The bytes of a POST with Content-Length."""
    lines = [f"POST {path} HTTP/{version}", "Host: test", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def get(path, headers=(), method="GET", version="1.1"):
    lines = [f"{method} {path} HTTP/{version}", "Host: test"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


FIELD_TYPES = {}  # of log fields, over all servers of a run


class Server:
    """`podsense serve` as a child. Leaving the block stops it by SIGTERM, unless the test did, and
    wants its exit code."""

    def __init__(self, *flags, models=None, env=None, ready=True, wrapper=(), executable=(),
                 exit_code=0):
        self.flags = list(flags)
        self.models = MODELS if models is None else models
        self.env = env or {}
        self.ready = ready
        self.wrapper = list(wrapper)
        self.executable = list(executable)  # becomes the binary by exec
        self.exit_code = exit_code
        self.process = None
        self.told_to_stop = False

    def __enter__(self):
        if not BINARY.is_file():
            raise AssertionError(f"no binary at {BINARY}: build it, or set PODSENSE_BINARY")
        self.folder = Path(tempfile.mkdtemp(prefix="podsense-test-"))
        ports_file = self.folder / "ports.json"
        command = [*self.wrapper, *self.executable, str(BINARY), "serve", "--models", str(self.models),
                   "--host", "127.0.0.1", "--admin-host", "127.0.0.1",
                   "--http-port", "0", "--grpc-port", "0", "--admin-port", "0",
                   "--ports-file", str(ports_file),
                   "--drain-delay", "0s", "--drain-timeout", "300s", "--access-log", "all",
                   *self.flags]
        self.log_path = self.folder / "log"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT,
                                            env=clean_environment() | self.env, stdin=subprocess.DEVNULL)
        try:
            wait_until(lambda: self._has_ended() or ports_file.exists(), what="the ports file")
            ports = json.loads(ports_file.read_text())
            self.http_port, self.admin_port = ports["http"], ports["admin"]
            self.grpc_port = ports.get("grpc")  # none with --no-grpc
            if self.ready:
                self.wait_ready()
        except BaseException:
            self.kill()
            print(self.log_text())
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is not None:
                self.kill()
                print(self.log_text()[-4000:])
                return
            if not self.told_to_stop and self.process.poll() is None:
                self.signal(signal.SIGTERM)
            code = self.wait_exit()
            assert code == self.exit_code, f"exit code {code}\n{self.log_text()[-4000:]}"
            self.check_log()
        finally:
            self.kill()
            shutil.rmtree(self.folder, ignore_errors=True)

    def _has_ended(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended with code {self.process.returncode}")
        return False

    @property
    def pid(self):
        """Of the binary itself: with a wrapper it is the wrapper's child."""
        if not self.wrapper:
            return self.process.pid
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return int(children.read_text().split()[0])

    def signal(self, number):
        self.told_to_stop |= number in (signal.SIGTERM, signal.SIGINT)
        os.kill(self.pid, number)

    def wait_exit(self, timeout=LIMIT):
        return self.process.wait(timeout)

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            if self.wrapper:
                os.kill(self.pid, signal.SIGKILL)
            self.process.kill()
            self.process.wait()

    def wait_ready(self):
        wait_until(lambda: self._has_ended() or self.get("/readyz").status == 200, what="readyz")

    # --- requests, each on a connection of its own
    def request(self, method, path, body=None, headers=None, port=None):
        connection = http.client.HTTPConnection("127.0.0.1", port or self.http_port, timeout=LIMIT)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
            return Answer(response.status, response.getheaders(), response.read(), response.reason)
        finally:
            connection.close()

    def get(self, path, headers=None):
        return self.request("GET", path, headers=headers)

    def post(self, path, body=b"", content_type=None, headers=None):
        headers = dict(headers or {})
        if content_type:
            headers["Content-Type"] = content_type
        return self.request("POST", path, body=body, headers=headers)

    def post_json(self, path, value, headers=None):
        return self.post(path, json.dumps(value).encode(), "application/json", headers)

    def admin(self, method, path):
        return self.request(method, path, port=self.admin_port)

    def raw(self, timeout=LIMIT):
        return RawClient(self.http_port, timeout)

    # --- what it says about itself
    def log_text(self):
        return self.log_path.read_text(errors="replace")

    def log_lines(self, event=None):
        whole = self.log_text().rpartition("\n")[0]  # the last line may be half written
        lines = [json.loads(line) for line in whole.splitlines() if line.startswith("{")]
        return [line for line in lines if event is None or line.get("event") == event]

    def check_log(self):
        """What stores of logs need: each name has one type wherever it is, each line a message."""
        for line in self.log_lines():
            if "event" in line:
                assert isinstance(line.get("message"), str) and line["message"], line
                for name, value in line.items():
                    kind = float if type(value) is int else type(value)
                    assert FIELD_TYPES.setdefault(name, kind) is kind, (name, line)

    def metric(self, name, **labels):
        """Sum of the samples with these labels."""
        total = 0.0
        for line in self.admin("GET", "/metrics").text.splitlines():
            match = re.fullmatch(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(\{.*\})? (\S+)", line)
            if match and match[1] == name:
                have = dict(re.findall(r'(\w+)="([^"]*)"', match[2] or ""))
                if all(have.get(key) == value for key, value in labels.items()):
                    total += float(match[3])
        return total

    def health(self):
        return self.get("/health").json

    def wait_for_row_checks(self):
        """Until it is decided of each model whether requests share its runs: that costs CPU time."""
        def decided():
            names = {model["name"] for model in self.get("/v1/models").json["models"]}
            configs = [self.get(f"/v2/models/{name}/config").json for name in names]
            return all(config["parameters"].get("requests", {}).get("string_value") != "checking"
                       for config in configs if "parameters" in config)
        wait_until(decided, what="the checks of models' rows")

    def cpu_seconds(self):
        """User and system time, from the kernel."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class ServerCase(unittest.TestCase):
    """Tests that share one server, with the flags of the class."""

    FLAGS = ()
    MODELS = None

    @classmethod
    def setUpClass(cls):
        cls.server = Server(*cls.FLAGS, models=cls.MODELS)
        cls.server.__enter__()
        cls.addClassCleanup(cls.server.__exit__, None, None, None)

    def assert_error(self, answer, status, code, message=None):
        """The one shape of every error."""
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(set(answer.json), {"error", "code", "request_id"}, answer)
        self.assertEqual(answer.json["code"], code)
        self.assertEqual(answer.json["request_id"], answer.headers["x-request-id"])
        self.assertEqual(answer.headers["content-type"], "application/json")
        if message is not None:
            self.assertEqual(answer.json["error"], message)


class Origin:
    """A web server on loopback for /predict/url: pages[path] is (status, headers, body)."""

    def __init__(self, pages):
        self.pages = pages
        self.seen = []
        origin = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                origin.seen.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
                status, headers, body = origin.pages.get(self.path, (404, {}, b"nothing here"))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]

    def __enter__(self):
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    @property
    def flags(self):
        return ("--fetch-allow-cidrs", "127.0.0.0/8", "--fetch-ports", f"80,443,{self.port}")


def multipart(*parts, boundary="the-boundary"):
    """parts: (name, bytes, file name or None). Returns body and Content-Type."""
    body = b""
    for name, data, filename in parts:
        body += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'.encode()
        if filename:
            body += f'; filename="{filename}"\r\nContent-Type: image/jpeg'.encode()
        body += b"\r\n\r\n" + data + b"\r\n"
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def copy_models(folder, *names):
    """A repository of its own in `folder`, by symlink-free hard copies of the named models."""
    for name in names:
        shutil.copytree(MODELS / name, folder / name)
    return folder


def photo(suffix=".jpg"):
    """A golden photograph: coffee, an espresso (class 967)."""
    folder = {".jpg": "bench/640x480.jpg", ".png": "bench/640x480.png",
              ".webp": "bench/640x480.webp"}[suffix]
    path = GOLDEN / folder
    if not path.exists():
        raise AssertionError(f"no {path}: run `make golden`")
    return path.read_bytes()
