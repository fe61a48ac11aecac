#!/usr/bin/env python3
"""Builds build/dev and runs the tests of what differs from a branch.

    dev-tests.py [--base REF] [--jobs N] [--list]

Which tests: those of each module with a changed file; where a changed file is one that other modules may include, also
those of the modules that list it in USES; each changed tests/integration/test_*.py. `make test` runs everything.
--base REF   what to compare the working tree with (default main); its merge base with HEAD is taken
--list       only print the names
"""

import argparse
import importlib.util
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "dev"


SPEC = importlib.util.spec_from_file_location("check_modules", ROOT / "scripts" / "check-modules.py")
check_modules = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(check_modules)


def modules_of(root):
    """Each module of src/ by its name, as scripts/check-modules.py reads it, with `tests`."""
    modules = check_modules.modules_in(root / "src")
    for module in modules.values():
        text = check_modules.COMMENT.sub("", (module.folder / "CMakeLists.txt").read_text("utf-8"))
        module.tests = {f"{name}" for name in re.findall(r"\b(\w+_test)\.cc\b", text)}
    return modules


def tests_of(changed, modules):
    """Names of test programs and of integration tests for changed paths, relative to the root."""
    programs, integration = set(), set()
    for path in map(pathlib.PurePosixPath, changed):
        if match := re.fullmatch(r"tests/integration/test_(\w+)\.py", str(path)):
            integration.add(f"integration.{match[1]}")
        inside = str(path).removeprefix("src/")
        module = check_modules.module_of(inside, modules) if path.parts[0] == "src" else None
        if module is None:
            continue
        programs |= module.tests
        if inside.removeprefix(f"{module.place}/") in module.headers:
            for other in modules.values():
                if module.name in other.uses | other.test_uses:
                    programs |= other.tests
    return sorted(programs), sorted(integration)


def git(*arguments):
    return subprocess.run(["git", "-C", ROOT, *arguments], check=True, capture_output=True, text=True).stdout


def changed_files(base):
    try:
        since = git("merge-base", base, "HEAD").strip()
    except subprocess.CalledProcessError:
        raise SystemExit(f"dev-tests: there is no {base} to compare with: --base REF, or make dev BASE=REF") from None
    return git("diff", "--name-only", since).splitlines() + git("ls-files", "--others", "--exclude-standard").splitlines()


def run(programs, integration, jobs):
    """The programs that failed."""
    subprocess.run(["ninja", "-C", BUILD, f"-j{jobs}", "--quiet", "podsense", *programs], check=True)
    failed = [name for name in programs if subprocess.run([BUILD / name, "--gtest_brief=1"], check=False).returncode]
    if integration:
        names = "|".join(map(re.escape, integration))
        done = subprocess.run(["ctest", "--preset", "dev", "-j", str(jobs), "-R", f"^({names})$"], cwd=ROOT, check=False)
        failed += integration if done.returncode else []
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="main")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--list", action="store_true")
    arguments = parser.parse_args()
    programs, integration = tests_of(changed_files(arguments.base), modules_of(ROOT))
    if arguments.list:
        print(*programs, *integration, sep="\n")
        return 0
    failed = run(programs, integration, arguments.jobs)
    if failed:
        print("dev-tests: failed:", *failed, file=sys.stderr)
        return 1
    what = f"{len(programs)} unit test programs, {len(integration)} integration tests of what differs from {arguments.base}"
    print(f"dev-tests: passed: {what}" if programs or integration else
          f"dev-tests: built; nothing of src/ or tests/integration differs from {arguments.base}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
