#!/usr/bin/env python3
"""The documentation hangs together: links lead somewhere, and every page is in the table of contents."""

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


class Documentation(unittest.TestCase):
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
