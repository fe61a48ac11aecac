#!/usr/bin/env python3
"""clang-tidy over the sources of a build's compile_commands.json, in parallel, remembering passes.

A file that passed is not looked at again until something that clang-tidy sees has changed: its
command, it itself or a project header it includes (transitively), .clang-tidy, clang-tidy, or the
development packages installed. Passes are kept in the cache that clean clones share; faults never.

  scripts/tidy.py [-p build/release] [-j N] [--changed REF] [FILE…]
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TIDY = "clang-tidy-19"
INCLUDE = re.compile(rb'^[ \t]*#[ \t]*include[ \t]*[<"]([^">]+)[">]', re.MULTILINE)


def cache_folder():
    base = os.environ.get("BUILD_CACHE")
    if not base:
        home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
        base = pathlib.Path(home) / "podsense"
    return pathlib.Path(base) / "tidy"


def output_of(*command):
    try:
        return subprocess.run(command, capture_output=True, check=False).stdout
    except FileNotFoundError:
        return b""


def environment_digest():
    """Of all that is the same for every file."""
    digest = hashlib.sha256()
    digest.update((ROOT / ".clang-tidy").read_bytes())
    digest.update(output_of(TIDY, "--version"))
    packages = output_of("dpkg-query", "-W", "-f", "${Package} ${Version}\n", "*-dev*", "clang*")
    digest.update(packages)
    return digest.digest()


class Sources:
    """The project headers that a file includes, and a digest over them."""

    def __init__(self, include_folders):
        self.include_folders = include_folders
        self.direct = {}

    def includes(self, file):
        if file not in self.direct:
            names = [m.decode() for m in INCLUDE.findall(file.read_bytes())]
            found = (self.find(name, file) for name in names)
            self.direct[file] = [path for path in found if path]
        return self.direct[file]

    def find(self, name, includer):
        for folder in (includer.parent, *self.include_folders):
            path = folder / name
            if path.is_file():
                return path
        return None

    def closure(self, file):
        seen, todo = {file}, [file]
        while todo:
            for path in self.includes(todo.pop()):
                if path not in seen:
                    seen.add(path)
                    todo.append(path)
        return sorted(seen)


def project_folders(command):
    """-I folders inside the project; the system's headers are covered by the packages' versions."""
    folders = []
    for match in re.finditer(r"-(?:I|isystem) ?(\S+)", command):
        path = pathlib.Path(match.group(1))
        if path.is_relative_to(ROOT):
            folders.append(path)
    return folders


def read_commands(build):
    """File to its compile command; a file that two targets compile is looked at once."""
    path = build / "compile_commands.json"
    if not path.exists():
        raise SystemExit(f"tidy: no {path}: configure first (cmake --preset {build.name})")
    commands = {}
    for entry in json.loads(path.read_text("utf-8")):
        file = pathlib.Path(entry["directory"], entry["file"]).resolve()
        inside = file.is_relative_to(ROOT) and not file.is_relative_to(ROOT / "build")
        # Tests are held by the compiler's warnings; clang-tidy's time goes to what ships.
        product = file.suffix == ".cc" and not file.stem.endswith(("_test", "_testing"))
        if inside and product and file.exists():
            commands.setdefault(file, entry.get("command") or shlex.join(entry["arguments"]))
    return commands


def key_of(file, command, sources, environment):
    digest = hashlib.sha256(environment)
    digest.update(command.replace(str(ROOT), "").encode())
    for path in sources.closure(file):
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:32]


def changed_files(ref):
    """Sources that differ from REF, and headers too: what includes those is looked at as well."""
    tracked = output_of("git", "-C", str(ROOT), "diff", "--name-only", ref)
    fresh = output_of("git", "-C", str(ROOT), "ls-files", "--others", "--exclude-standard")
    return {ROOT / line for line in (tracked + fresh).decode().splitlines()}


def run_tidy(file, build):
    command = [TIDY, "-p", str(build), "--quiet", "--warnings-as-errors=*", str(file)]
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr, time.monotonic() - started


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-p", dest="build", type=pathlib.Path, default=ROOT / "build" / "release")
    parser.add_argument("-j", dest="jobs", type=int, default=os.cpu_count())
    parser.add_argument("--changed", metavar="REF", help="only what differs from this commit")
    parser.add_argument("files", nargs="*", type=pathlib.Path)
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    build = arguments.build.resolve()
    commands = read_commands(build)
    sources = Sources(sorted({f for c in commands.values() for f in project_folders(c)}))
    chosen = set(commands)
    if arguments.files:
        chosen &= {file.resolve() for file in arguments.files}
    if arguments.changed:
        changed = changed_files(arguments.changed)
        chosen = {file for file in chosen if changed & set(sources.closure(file))}

    environment = environment_digest()
    passes = cache_folder()
    passes.mkdir(parents=True, exist_ok=True)
    keys = {file: key_of(file, commands[file], sources, environment) for file in chosen}
    # The longest first, so that the last to run is a short one.
    todo = [file for file in chosen if not (passes / keys[file]).exists()]
    todo.sort(key=lambda file: -file.stat().st_size)

    failed = 0
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        for file, (code, output, seconds) in zip(todo, pool.map(lambda f: run_tidy(f, build), todo)):
            name = file.relative_to(ROOT)
            if code == 0:
                (passes / keys[file]).touch()
                if os.environ.get("VERBOSE"):
                    print(f"{name}: ok, {seconds:.1f} s", flush=True)
            else:
                failed += 1
                print(f"{name}: {seconds:.1f} s\n{output}", flush=True)
    print(f"{len(chosen)} files, {len(todo)} looked at, {failed} with faults")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
