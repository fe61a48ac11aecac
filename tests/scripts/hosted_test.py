#!/usr/bin/env python3
"""What editors, pre-commit and GitHub's workflows call is there, and nobody else can change it under us."""

import json
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def text_of(path):
    return (ROOT / path).read_text("utf-8")


class Hosted(unittest.TestCase):
    def test_pre_commit_calls_checks_of_lint(self):
        checks = set(re.search(r"^all_checks=\((.*)\)$", text_of("scripts/lint.sh"), re.M).group(1).split())
        called = re.findall(r"entry: scripts/lint\.sh (.+)$", text_of(".pre-commit-config.yaml"), re.M)
        self.assertGreater(len(called), 4)
        for words in called:
            self.assertLessEqual(set(words.split()), checks)
        self.assertEqual(len(called), text_of(".pre-commit-config.yaml").count("- id: "))

    def test_workflows_call_steps_of_ci(self):
        steps = set(re.findall(r"^ *step ([\w-]+) ", text_of(".ci/run"), re.M))
        self.assertIn("asan", steps)
        named = " ".join(re.findall(r"\bsteps: (\[[\w, ]+\]|[\w ]+)(?=[,\n])", text_of(".github/workflows/ci.yml")
                                    + text_of(".github/workflows/long.yml")))
        named = set(re.findall(r"\w+", named))
        self.assertIn("tsan", named)
        self.assertLessEqual(named, steps)

    def test_actions_are_pinned_by_commit_with_their_version(self):
        uses = [line.strip() for path in WORKFLOWS for line in text_of(path).splitlines() if "uses:" in line]
        self.assertTrue(uses)
        for line in uses:
            self.assertRegex(line, r"uses: [\w/-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+$")

    def test_one_action_has_one_commit(self):
        pins = {}
        for path in WORKFLOWS:
            for name, commit in re.findall(r"uses: ([\w/-]+)@(\w+)", text_of(path)):
                self.assertEqual(commit, pins.setdefault(name, commit), f"{path.name}: {name}")

    def test_tokens_may_only_read_unless_a_job_says_otherwise(self):
        for path in WORKFLOWS:
            self.assertRegex(text_of(path), r"(?m)^permissions:\n  contents: read\n", path.name)

    def test_the_editors_files_are_json_and_name_what_is_there(self):
        for path in sorted((ROOT / ".vscode").glob("*.json")):
            json.loads(path.read_text("utf-8"))
        tasks = {task["label"] for task in json.loads(text_of(".vscode/tasks.json"))["tasks"]}
        for configuration in json.loads(text_of(".vscode/launch.json"))["configurations"]:
            self.assertIn(configuration.get("preLaunchTask", "build"), tasks)


if __name__ == "__main__":
    unittest.main()
