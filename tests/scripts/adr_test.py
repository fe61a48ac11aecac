#!/usr/bin/env python3
"""The form of decision records is itself checked: a sound record passes, each fault is reported."""

import importlib.util
import pathlib
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SPEC = importlib.util.spec_from_file_location("adr", ROOT / "scripts" / "adr.py")
adr = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(adr)

SOUND = """# 7. A port of its own

Status: accepted, 2026-11-22

## Context
Why.

## Considered
- Another.

## Decision
What.

## Consequences
So.

## Validation
A test.
"""


class Adr(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def check(self, text, name="0007-a-port.md", **options):
        (self.folder / name).write_text(text, "utf-8")
        (self.folder / "README.md").write_text(adr.index_of(self.folder), "utf-8")
        return adr.check(self.folder, **options)

    def test_a_sound_record_passes_and_is_in_the_index(self):
        self.assertEqual([], self.check(SOUND))
        self.assertIn("| 0007 | [A port of its own](0007-a-port.md) | accepted | 2026-11-22 |",
                      (self.folder / "README.md").read_text("utf-8"))
        superseded = SOUND.replace("accepted, 2026-11-22", "superseded by [0008](0008-x.md), 2026-11-22; since a test showed it")
        self.assertEqual([], self.check(superseded))

    def test_each_fault_is_named(self):
        for before, after, fault in (
            ("## Consequences\nSo.\n", "", "no part '## Consequences'"),
            ("## Context\nWhy.\n", "Why.\n", "no part '## Context'"),
            ("## Decision\nWhat.", "## Decision", "'Decision' is empty"),
            ("Status: accepted, 2026-11-22\n", "", "no line 'Status: accepted"),
            ("2026-11-22", "2026-13-22", "2026-13-22 is no date"),
            ("# 7. ", "# 8. ", "not '# 7. Title'"),
            ("## Context", "## Validation\nNone.\n\n## Context", "not in the order"),
        ):
            faults = self.check(SOUND.replace(before, after))
            self.assertTrue(any(fault in line for line in faults), (fault, faults))

    def test_the_index_is_held_against_the_records(self):
        self.check(SOUND)
        (self.folder / "0008-more.md").write_text(SOUND.replace("# 7.", "# 8."), "utf-8")
        self.assertEqual(["docs/adr/README.md is not current: scripts/adr.py index"], adr.check(self.folder))

    def test_numbers_are_unique_and_may_be_held_to_have_no_holes(self):
        self.assertIn("docs/adr: no record has the number 0001", self.check(SOUND, may_have_holes=False))
        self.check(SOUND.replace("# 7.", "# 1."), "0001-first.md")
        faults = self.check(SOUND, "0007-again.md", may_have_holes=False)
        self.assertIn("docs/adr: two records have the number 0007", faults)
        self.assertIn("docs/adr: no record has the number 0002", faults)
        self.assertNotIn("docs/adr: no record has the number 0001", faults)


if __name__ == "__main__":
    unittest.main()
