#!/usr/bin/env python3
"""The documentation hangs together: links lead somewhere, and every page is in the table of contents."""

import fnmatch
import pathlib
import re
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def pages():
    files = subprocess.run(["scripts/sources.sh", "all"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in files.split("\0") if name.endswith(".md")]


def prose(page):
    return re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text("utf-8"), flags=re.DOTALL)


def links(page):
    """(path or "", anchor or "") of each link that stays in the repository."""
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if not re.match(r"[a-z]+:", target):
            path, _, anchor = target.partition("#")
            yield path, anchor


def anchors(page):
    """As GitHub makes them of headings."""
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        heading = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


# What a text names although it is not in the repository, and why.
NAMED_ALL_THE_SAME = {
    ("docs/reference/commands.md", "scripts/load.py"): "a file of the workflows that the page translates",
}


def spans(name, text):
    """Words in which a file may name paths: code spans of a page, comments of a source, texts of a dashboard."""
    if name.endswith(".md"):
        return re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    if name.endswith((".h", ".cc")):
        return [line for line in re.findall(r"//+(.*)", text) if "@source" not in line]
    if name.endswith((".sh", ".py", ".yaml", ".yml", ".cmake", ".toml", ".tf", "CMakeLists.txt", "Dockerfile", "Makefile")):
        return re.findall(r"(?:^|\s)#(.*)", text)
    if "dashboards/" in name and name.endswith(".json"):
        return [text.replace("\\n", " ")]
    return []


def paths_in(text, roots):
    """Paths below one of the roots. `src/x.h:12` and `src/x.cc::name` are told as the file; names in capitals (`NAME`) stand
    for anything, as do `{a,b}` and `…`."""
    for word in re.split(r"[\s`\"'()<>,;|]+", text):
        match = re.match(rf"((?:{roots})/[\w./*-]+)(.*)$", word)
        if match and not match[2].startswith(("{", "$", "…", "@")) and not re.search(r"[A-Z]{4,}(?!\.md)|\.\.", match[1]):
            yield match[1].rstrip("./-")


class Documentation(unittest.TestCase):
    def test_paths_in_text_are_there(self):
        listed = subprocess.run(["scripts/sources.sh", "all"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        names = listed.rstrip("\0").split("\0")
        there = set(names) | {str(folder) for name in names for folder in pathlib.PurePosixPath(name).parents}
        modules = {name.split("/")[1] for name in names if name.startswith("src/")}
        roots = "|".join(sorted(re.escape(name.split("/")[0]) for name in set(names) if "/" in name))
        missing, seen = [], 0
        for name in names:
            if name.startswith("fuzz/seeds/") or name in ("CHANGELOG.md", "tests/scripts/check_modules_test.py"):
                continue
            for text in spans(name, (ROOT / name).read_text("utf-8", errors="replace")):
                found = set(paths_in(text, roots))
                found |= {f"src/{path}" for path in paths_in(text, "|".join(modules)) if path.endswith((".h", ".cc"))}
                for path in found:
                    seen += 1
                    own = str(pathlib.PurePosixPath(name).parent / path)  # from the file's own folder
                    if not any(map(lambda one: self.is_there(one, there), (path, own))):
                        missing.append((name, path))
        self.assertGreater(seen, 400)
        ignored = subprocess.run(["git", "check-ignore", "--stdin"], cwd=ROOT, capture_output=True, text=True, check=False,
                                 input="\n".join(path for _, path in missing)).stdout.splitlines()
        missing = {row for row in missing if row[1] not in ignored}
        self.assertEqual(set(), missing - set(NAMED_ALL_THE_SAME))
        self.assertEqual(set(), set(NAMED_ALL_THE_SAME) - missing, "exceptions for nothing")

    @staticmethod
    def is_there(path, there):
        if "*" in path or re.fullmatch(r"docs/adr/\d{4}", path):
            return any(fnmatch.fnmatch(one, path.rstrip("*") + "*") for one in there)
        return path in there

    def test_paths_are_found_in_every_kind_of_text(self):
        self.assertEqual(["src/a.h", "docs/b.md"], list(paths_in("see `src/a.h:12` (docs/b.md). src/NAME/x http/1.1", "src|docs")))
        self.assertEqual([" src/a.h"], spans("src/b.cc", "int a; // src/a.h"))
        self.assertEqual([], spans("src/b.cc", "/// @source Pillow src/libImaging/Resample.c"))
        self.assertEqual(["docs/a.md"], spans("README.md", "`docs/a.md`\n```\n`docs/no.md`\n```"))

    def test_links_lead_somewhere(self):
        self.assertGreater(len(pages()), 50)
        for page in pages():
            for path, anchor in links(page):
                with self.subTest(page=str(page.relative_to(ROOT)), link=f"{path}#{anchor}"):
                    target = (page.parent / path).resolve() if path else page
                    self.assertTrue(target.exists(), "no such file")
                    if anchor and target.suffix == ".md":
                        self.assertIn(anchor, set(anchors(target)))

    def test_every_page_is_in_the_table_of_contents(self):
        contents = ROOT / "docs/README.md"
        listed = {(contents.parent / path).resolve() for path, _ in links(contents)}
        listed |= {(ROOT / "docs/runbooks" / path).resolve() for path, _ in links(ROOT / "docs/runbooks/README.md")}
        there = {page.resolve() for page in pages() if (ROOT / "docs") in page.parents and page.parent.name != "adr"}
        self.assertEqual(set(), {str(page.relative_to(ROOT)) for page in there - listed - {contents}})

    def test_pages_that_name_an_image_say_where_it_comes_from(self):
        named = re.compile(r"\bpodsense(?:-envoy|-models)?:(?:\d|local)|k8s-inference-sim:local|REGISTRY/podsense")
        seen = 0
        for page in pages():
            text = re.sub(r"\s+", " ", page.read_text("utf-8"))
            if named.search(text) and page.name != "CHANGELOG.md" and "tests" not in page.parts:
                seen += 1
                with self.subTest(page=str(page.relative_to(ROOT))):
                    self.assertRegex(text, r"make image|docker build|scripts/image\.sh")
                    self.assertRegex(text, "no registry publishes|[Bb]uilt from this repository|since no registry")
        self.assertGreater(seen, 5)

    def test_each_promise_names_tests_that_there_are(self):
        python = {f"{path.stem}.{name}" for path in (ROOT / "tests/integration").glob("test_*.py")
                  for name in re.findall(r"def (test_\w+)", path.read_text("utf-8"))}
        cpp = {f"{suite}.{name}" for path in (ROOT / "src").rglob("*_test.cc")
               for suite, name in re.findall(r"TEST(?:_[FP])?\((\w+), (\w+)\)", path.read_text("utf-8"))}
        endurance = {path.name for path in (ROOT / "tests/endurance").glob("*.py")}
        rows = re.findall(r"^\| (.+) \| .* \| (.*) \|$", (ROOT / "SECURITY.md").read_text("utf-8"), re.MULTILINE)
        promises = [row for row in rows if not row[0].startswith(("**", "promise", "---"))]
        self.assertGreater(len(promises), 15)
        for promise, tests in promises:
            with self.subTest(promise=promise):
                named = set(re.findall(r"`([^`]+)`", tests))
                self.assertTrue(named, "no test")
                self.assertEqual(set(), named - python - cpp - endurance)


if __name__ == "__main__":
    unittest.main()
