#!/usr/bin/env python3
"""What the packages of build/dist consist of. Needs `make dist`; scripts/try-dist.sh runs it and installs them."""

import glob
import hashlib
import json
import pathlib
import re
import subprocess
import tarfile
import unittest
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
DIST = ROOT / "build" / "dist"
VERSION = re.search(r"podsense VERSION (\d\S*)", (ROOT / "CMakeLists.txt").read_text("utf-8")).group(1)
MODELS = {"efficientnet-lite0/2/model.onnx", "efficientnet-lite0/labels.txt", "efficientnet-lite0/NOTICE.md",
          "random-forest/1/model.onnx"}


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def one(pattern):
    """The file of this version that matches, or a test that is skipped: not every system makes every package."""
    found = sorted(glob.glob(str(DIST / pattern)))
    if not found:
        raise unittest.SkipTest(f"there is no build/dist/{pattern}")
    if len(found) > 1:
        raise AssertionError(f"several files for {pattern}: {found}")
    return pathlib.Path(found[0])


class Deb(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.program, cls.models = one("podsense_*.deb"), one("podsense-models_*.deb")
        cls.fields = dict(re.findall(r"^(\S+): (.*)$", run("dpkg-deb", "-f", cls.program), re.M))

    def files(self, package):
        return {line.split()[5][1:] for line in run("dpkg-deb", "-c", package).splitlines()}

    def test_it_has_program_unit_settings_pages_and_completions(self):
        have = self.files(self.program)
        for path in ("/usr/bin/podsense", "/usr/lib/podsense/libonnxruntime.so.1", "/etc/podsense/podsense.yaml",
                     "/usr/lib/sysusers.d/podsense.conf", "/usr/share/man/man1/podsense.1.gz",
                     "/usr/share/man/man1/podsense-serve.1.gz", "/usr/share/bash-completion/completions/podsense",
                     "/usr/share/zsh/site-functions/_podsense", "/usr/share/fish/vendor_completions.d/podsense.fish",
                     "/usr/share/podsense/locale/en_US.utf8/LC_CTYPE", "/usr/share/podsense/sbom.spdx.json",
                     "/usr/share/doc/podsense/copyright", "/usr/share/doc/podsense/onnxruntime.copyright",
                     "/var/lib/podsense/"):
            self.assertIn(path, have)
        self.assertTrue(any(path.endswith("/systemd/system/podsense.service") for path in have))
        self.assertIn("/etc/podsense/podsense.yaml", run("dpkg-deb", "-I", self.program, "conffiles"))

    def test_it_depends_on_every_library_that_the_program_loads(self):
        needed = re.findall(r"NEEDED +(\S+)", run("objdump", "-p", ROOT / "build/release/podsense"))
        self.assertIn("libcurl.so.4", needed)
        release = re.search(r'^VERSION_ID="?(\d+)', pathlib.Path("/etc/os-release").read_text("utf-8"), re.M).group(1)
        if f"+deb{release}_" not in self.program.name:
            self.skipTest("the packages are of another release")
        packages = set(re.findall(r"([a-z0-9.+-]+)(?: \(|,|$)", self.fields["Depends"]))
        for library in set(needed) - {"libonnxruntime.so.1", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}:
            path = re.search(rf"{re.escape(library)} .*=> (\S+)", run("/sbin/ldconfig", "-p")).group(1)
            owner = subprocess.run(["bash", "-c", f'. {ROOT}/scripts/lib.sh; package_of "$(readlink -f {path})"'],
                                   check=True, capture_output=True, text=True).stdout.strip()
            self.assertIn(owner, packages, library)

    def test_the_program_is_stripped_and_finds_its_library(self):
        self.assertLess(self.program.stat().st_size, 20_000_000)
        self.assertEqual(self.fields["Version"].split("-")[0], VERSION)

    def test_the_models_are_served_ones_only(self):
        have = {path.removeprefix("/usr/share/podsense/models/") for path in self.files(self.models)}
        self.assertLessEqual(MODELS, have)
        self.assertNotIn("efficientnet-lite0/1/model.onnx", have)

    def test_lintian_has_nothing_against_them(self):
        """Exceptions with their reasons: packaging/debian/*.lintian-overrides."""
        done = subprocess.run(["lintian", "--allow-root", "--tag-display-limit", "0", self.program, self.models],
                              check=False, capture_output=True, text=True)
        said = [line for line in done.stdout.splitlines() if line[:2] in ("E:", "W:")]
        self.assertEqual([], said)
        self.assertIn(done.returncode, (0, 2), done.stderr)


class Tar(unittest.TestCase):
    def test_it_brings_its_libraries_and_lists_them(self):
        top = f"podsense-{VERSION}/"
        with tarfile.open(one("podsense-[0-9]*.tar.gz")) as archive:
            have = {name.removeprefix(top) for name in archive.getnames() if name.startswith(top)}
            bom = json.load(archive.extractfile(top + "share/podsense/sbom.spdx.json"))
            owners = {(member.uid, member.gid) for member in archive.getmembers()}
        for path in ("README.md", "bin/podsense", "lib/libonnxruntime.so.1", "lib/libcurl.so.4", "lib/libssl.so.3",
                     "lib/libstdc++.so.6", "share/man/man1/podsense.1", "share/doc/podsense/libraries/libssl3",
                     "share/doc/podsense/LICENSE", "share/podsense/locale/en_US.utf8/LC_CTYPE"):
            self.assertIn(path, have)
        self.assertFalse({path for path in have if re.fullmatch(r"lib/(libc|libm|ld-linux).*", path) and
                          path.startswith(("lib/libc.so", "lib/libm.so", "lib/ld-"))}, "glibc is the system's")
        self.assertLessEqual({"podsense", "onnxruntime", "libssl3", "libcurl4"}, {entry["name"] for entry in bom["packages"]})
        self.assertEqual({(0, 0)}, owners)

    def test_models_unpack_over_it(self):
        with tarfile.open(one("podsense-models-*.tar.gz")) as archive:
            have = {name.removeprefix(f"podsense-{VERSION}/share/podsense/models/") for name in archive.getnames()}
        self.assertLessEqual(MODELS, have)


class Wheel(unittest.TestCase):
    def test_it_fits_every_python_and_pins_onnxruntime(self):
        wheel = one("podsense-*.whl")
        self.assertRegex(wheel.name, rf"podsense-{VERSION}-py3-none-manylinux_2_3[56]_(x86_64|aarch64)\.whl")
        with zipfile.ZipFile(wheel) as archive:
            have = set(archive.namelist())
            metadata = archive.read(f"podsense-{VERSION}.dist-info/METADATA").decode()
            launcher = archive.read("podsense/__main__.py").decode()
            mode = archive.getinfo("podsense/bin/podsense").external_attr >> 16
        version = re.search(r"^version=(\S+)$", (ROOT / "scripts/get-onnxruntime.sh").read_text("utf-8"), re.M).group(1)
        self.assertIn(f"Requires-Dist: onnxruntime=={version}\n", metadata)
        self.assertIn(f"libonnxruntime.so.{version}", launcher)
        self.assertNotIn("@", metadata.split("\n\n")[0])
        self.assertEqual(0o111, mode & 0o111)
        self.assertFalse([name for name in have if "onnxruntime" in name], "ONNX Runtime is a wheel of its own")
        for library in ("libssl", "libcurl", "libavif"):
            self.assertTrue([name for name in have if name.startswith(f"podsense.libs/{library}-")], library)

    def test_models_are_a_wheel_of_their_own_for_the_same_folder(self):
        with zipfile.ZipFile(one("podsense_models-*.whl")) as archive:
            have = {name.removeprefix("podsense/share/podsense/models/") for name in archive.namelist()}
        self.assertLessEqual(MODELS, have)


class Sums(unittest.TestCase):
    def test_they_are_right(self):
        for line in (DIST / "SHA256SUMS").read_text("utf-8").splitlines():
            digest, name = line.split()
            if (DIST / name).exists():
                self.assertEqual(digest, hashlib.sha256((DIST / name).read_bytes()).hexdigest(), name)


if __name__ == "__main__":
    unittest.main()
