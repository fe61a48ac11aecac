#!/usr/bin/env python3
"""Servers come to their end behind every proxy there is: does any request fail?

    tests/endurance/run.sh proxies.py [NAME…] [--times 3] [--rate 60] [--json FILE] [-- FLAG…]

Four servers stand behind one proxy, which learns of them as proxies do: by asking `/readyz` (nginx only by
failures: it asks nothing). Rows come in at a fixed rate, over HTTP and, where the proxy leads it
through, gRPC. One server after the other gets SIGTERM and goes. A proxy that is not installed is listed as left out
(`make proxies` installs those that Debian has; Traefik is taken from PATH). Flags behind `--` are the servers'.

Exit code 1 where a request failed.
"""

import argparse
import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path

from harness import BINARY, LIMIT, Server, copy_models, wait_until

DESCRIPTORS = BINARY.parent / "podsense.pb"
HERE = "127.0.0.1"
DRAIN_DELAY = "3s"  # several times what the proxies below take to notice
ROW = json.dumps({"features": [0.5] * 20})
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def program(name):
    return shutil.which(name) or shutil.which(name, path=PATH)


def free_port():
    with socket.create_server((HERE, 0)) as one:
        return one.getsockname()[1]


def accepts(port):
    try:
        socket.create_connection((HERE, port), timeout=1).close()
    except OSError:
        return False
    return True


class Proxy:
    """A proxy in the foreground, its files in a folder of its own; `http` and `grpc` are its ports."""

    has_grpc = True
    speaks_http2 = True  # on the port of HTTP, too, without TLS

    def __init__(self, backends):
        """`backends`: (HTTP, gRPC) ports of the servers."""
        self.backends = backends
        self.folder = Path(tempfile.mkdtemp(prefix="podsense-proxy-"))
        self.http = free_port()
        self.grpc = free_port() if self.has_grpc else None

    @classmethod
    def installed(cls):
        return program(cls.binary) is not None

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return str(path)

    def each(self, form, which):
        """A line for each server; `which`: 0 for its HTTP port, 1 for gRPC's."""
        return "\n".join(form.format(n=number, at=f"{HERE}:{ports[which]}")
                         for number, ports in enumerate(self.backends))

    def __enter__(self):
        self.log = open(self.folder / "log", "wb")  # noqa: SIM115  closed at exit
        self.process = subprocess.Popen(self.command(), stdout=self.log, stderr=subprocess.STDOUT,
                                        cwd=self.folder, stdin=subprocess.DEVNULL)
        try:
            for port in (self.http, self.grpc):
                wait_until(lambda port=port: self.alive() and (port is None or accepts(port)), what="the proxy")
        except BaseException:
            self.__exit__()
            raise
        return self

    def alive(self):
        if self.process.poll() is not None:
            raise AssertionError(f"{self.binary} ended:\n{(self.folder / 'log').read_text()[-3000:]}")
        return True

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(LIMIT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Nginx(Proxy):
    binary = "nginx"
    speaks_http2 = False

    def command(self):
        paths = "\n".join(f"{name}_temp_path {self.folder}/{name};"
                          for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        path = self.write("nginx.conf", f"""
daemon off; master_process off; pid {self.folder}/pid; error_log {self.folder}/log;
events {{ worker_connections 1024; }}
http {{
  access_log off; {paths}
  upstream http {{ {self.each("server {at};", 0)} keepalive 16; }}
  upstream grpc {{ {self.each("server {at};", 1)} keepalive 16; }}
  server {{
    listen {HERE}:{self.http};
    client_max_body_size 0;
    location / {{ proxy_pass http://http; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
  server {{ listen {HERE}:{self.grpc} http2; location / {{ grpc_pass grpc://grpc; }} }}
}}
""")
        return [program("nginx"), "-c", path, "-e", f"{self.folder}/log"]


class Haproxy(Proxy):
    binary = "haproxy"

    def command(self):
        check = "check inter 500ms fall 1 rise 1"
        path = self.write("haproxy.cfg", f"""
defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 60s
  option httpchk
  # Over HTTP/2 a check without a host is malformed, and HAProxy sends none by itself.
  http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host podsense
frontend http
  bind {HERE}:{self.http}
  default_backend http
frontend grpc
  bind {HERE}:{self.grpc} proto h2
  default_backend grpc
backend http
{self.each("  server s{n} {at} " + check, 0)}
backend grpc
{self.each("  server s{n} {at} proto h2 " + check, 1)}
""")
        return [program("haproxy"), "-db", "-f", path]


class Apache(Proxy):
    binary = "apache2"
    has_grpc = False  # its mod_proxy_http2 leads no trailers through
    speaks_http2 = False

    def command(self):
        modules = "\n".join(
            f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so"
            for name in ("mpm_event", "authz_core", "proxy", "proxy_http", "proxy_balancer", "slotmem_shm",
                         "lbmethod_byrequests", "proxy_hcheck"))
        check = "hcmethod=GET hcuri=/readyz hcinterval=1 hcfails=1 hcpasses=1 retry=1"
        path = self.write("apache.conf", f"""
ServerRoot {self.folder}
ServerName localhost
PidFile {self.folder}/pid
DefaultRuntimeDir {self.folder}
Mutex file:{self.folder}
ErrorLog {self.folder}/log
Listen {HERE}:{self.http}
{modules}
<Proxy balancer://pods>
{self.each("  BalancerMember http://{at} " + check, 0)}
</Proxy>
ProxyPass / balancer://pods/
""")
        return [program("apache2"), "-f", path, "-DFOREGROUND"]


class Caddy(Proxy):
    binary = "caddy"

    def command(self):
        check = "lb_policy round_robin\n    health_uri /readyz\n    health_interval 500ms"
        path = self.write("Caddyfile", f"""
{{
  admin off
  auto_https off
  storage file_system {self.folder}
  servers {{
    protocols h1 h2 h2c
  }}
}}
http://{HERE}:{self.http} {{
  reverse_proxy {self.each("{at}", 0).replace(chr(10), " ")} {{
    {check}
  }}
}}
http://{HERE}:{self.grpc} {{
  reverse_proxy {self.each("h2c://{at}", 1).replace(chr(10), " ")} {{
    {check}
  }}
}}
""")
        return ["env", f"HOME={self.folder}", program("caddy"), "run", "--config", path, "--adapter", "caddyfile"]


class Traefik(Proxy):
    binary = "traefik"

    def command(self):
        def service(which, scheme):
            servers = [{"url": f"{scheme}://{HERE}:{ports[which]}"} for ports in self.backends]
            check = {"path": "/readyz", "interval": "500ms", "timeout": "400ms"}
            return {"loadBalancer": {"servers": servers, "healthCheck": check}}

        routes = {name: {"rule": "PathPrefix(`/`)", "entryPoints": [name], "service": name} for name in ("http", "grpc")}
        services = {"http": service(0, "http"), "grpc": service(1, "h2c")}
        # YAML has JSON in it.
        path = self.write("routes.yaml", json.dumps({"http": {"routers": routes, "services": services}}))
        return [program("traefik"), f"--entrypoints.http.address={HERE}:{self.http}",
                f"--entrypoints.grpc.address={HERE}:{self.grpc}", f"--providers.file.filename={path}",
                "--global.checknewversion=false", "--global.sendanonymoususage=false"]


class Envoy:
    """With the configuration that ships, which has one port for all."""

    binary = "envoy"
    speaks_http2 = True

    @classmethod
    def installed(cls):
        try:
            import envoy_process  # noqa: PLC0415
        except ImportError:
            return False
        return envoy_process.BINARY.is_file()

    def __init__(self, backends):
        import envoy_process  # noqa: PLC0415

        line = "              - endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {}}}}}}}  # here"
        (http, grpc), rest = backends[0], backends[1:]
        changes = [(line.format(first), "\n".join(line.format(port) for port in (first, *others)))
                   for first, others in ((grpc, [ports[1] for ports in rest]), (http, [ports[0] for ports in rest]))]
        self.envoy = envoy_process.Envoy(DESCRIPTORS, grpc, http, changes)

    def __enter__(self):
        self.envoy.__enter__()
        self.http = self.grpc = self.envoy.port
        return self

    def __exit__(self, *_):
        self.envoy.__exit__()


PROXIES = {"nginx": Nginx, "haproxy": Haproxy, "apache": Apache, "caddy": Caddy, "traefik": Traefik, "envoy": Envoy}


class Load:
    """`podsense load` at a fixed rate until `finish`, which gives its report's counts."""

    def __init__(self, folder, name, url, rate, *flags):
        self.report = Path(folder) / f"{name}.json"
        self.process = subprocess.Popen(
            [str(BINARY), "load", url, "--qps", str(rate), "--seconds", "900", "--quiet", "--json", str(self.report), *flags],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def finish(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        said, _ = self.process.communicate(timeout=LIMIT)
        report = json.loads(self.report.read_text()) if self.report.exists() else None
        if report is None:
            raise AssertionError(f"podsense load ended with {self.process.returncode}:\n{said[-2000:]}")
        requests = report["requests"]
        return {"sent": requests["sent"], "failed": requests["failed"] + requests["dropped"], "errors": report["errors"],
                "status": {code: entry["count"] for code, entry in report["status"].items()}}


def pause(seconds):
    """Lets the load run on; nothing is asserted about this time."""
    threading.Event().wait(seconds)


def wait_served(port):
    def served():
        try:
            with socket.create_connection((HERE, port), timeout=5) as client:
                client.sendall(b"GET /readyz HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
                return client.recv(12).endswith(b" 200")
        except OSError:
            return False

    wait_until(served, what="an answer through the proxy")


def behind(kind, models, options):
    """Drains behind one proxy; counts by protocol."""
    flags = ["--access-log", "off", "--drain-delay", DRAIN_DELAY, *options.flags]
    with ExitStack() as stack:
        servers = [stack.enter_context(Server(*flags, models=models)) for _ in range(options.times + 1)]
        proxy = stack.enter_context(kind([(server.http_port, server.grpc_port) for server in servers]))
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        wait_served(proxy.http)
        loads = {"HTTP": Load(folder, "http", f"http://{HERE}:{proxy.http}/predict-single", options.rate, "-m", "POST",
                              "-T", "application/json", "-d", ROW)}
        if proxy.grpc is not None:
            loads["gRPC"] = Load(folder, "grpc", f"grpc://{HERE}:{proxy.grpc}", options.rate, "--grpc",
                                 "--features", ",".join(["0.5"] * 20))
        try:
            pause(1)
            for server in servers[:-1]:
                server.signal(signal.SIGTERM)
                if code := server.wait_exit():
                    raise AssertionError(f"a server ended with {code}")
                pause(1)
        finally:
            counts = {name: load.finish() for name, load in loads.items()}
        return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("proxies", nargs="*", metavar="NAME", help=f"of {', '.join(PROXIES)}; default: all")
    parser.add_argument("--times", type=int, default=3, help="servers that end (3)")
    parser.add_argument("--rate", type=float, default=60, help="requests a second and protocol (60)")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = sys.argv[1:]
    at = arguments.index("--") if "--" in arguments else len(arguments)
    options = parser.parse_args(arguments[:at])
    options.flags = arguments[at + 1:]
    if unknown := set(options.proxies) - set(PROXIES):
        parser.error(f"unknown: {', '.join(sorted(unknown))} (accepted: {', '.join(PROXIES)})")
    results, failed = {}, 0
    with tempfile.TemporaryDirectory(prefix="podsense-models-") as models:
        copy_models(Path(models), "random-forest")
        for name in options.proxies or PROXIES:
            if not PROXIES[name].installed():
                print(f"{name:8} left out: not installed", flush=True)
                continue
            results[name] = behind(PROXIES[name], models, options)
            for protocol, counts in results[name].items():
                failed += counts["failed"]
                why = f" {counts['errors']} {counts['status']}" if counts["failed"] else ""
                print(f"{name:8} {protocol}: {counts['sent']:5} sent, {counts['failed']:4} failed{why}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    if not results:
        print("no proxy is installed: make proxies")
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
