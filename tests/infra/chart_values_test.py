"""scripts/chart-values.py refuses what a chart would take without a word."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FACTS = json.loads((ROOT / "infra/install/charts.json").read_text())


def value(key):
    """Nested values that set this key of charts.json."""
    result = "x"
    for name in reversed(key.removesuffix(".*").split(".") + (["any"] if key.endswith(".*") else [])):
        result = {name: result}
    return result


class ChartValuesTest(unittest.TestCase):
    def run_over(self, change=None):
        resources = []
        for chart, fact in FACTS.items():
            for key in fact["keys"]:
                release = {"chart": chart, "version": fact["version"], "values": [json.dumps(value(key))]}
                resources.append({"type": "helm_release", "values": release})
        if change:
            resources = change(resources)
        with tempfile.TemporaryDirectory() as folder:
            plan = pathlib.Path(folder, "plan.json")
            plan.write_text(json.dumps({"planned_values": {"root_module": {"resources": resources}}}))
            return subprocess.run(
                [sys.executable, str(ROOT / "scripts/chart-values.py"), str(plan)], text=True, capture_output=True
            )

    def assert_refused(self, change, said):
        result = self.run_over(change)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn(said, result.stderr)

    def test_known_keys_pass(self):
        result = self.run_over()
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_a_misspelt_key_is_refused(self):
        def misspell(resources):
            release = {**resources[0]["values"], "values": [json.dumps({"serviceAcount": {"name": "x"}})]}
            return [*resources, {"type": "helm_release", "values": release}]

        self.assert_refused(misspell, "is not known to have the value serviceAcount.name")

    def test_keys_of_another_version_do_not_count(self):
        def bump(resources):
            resources[0]["values"]["version"] = "99.0.0"
            return resources

        self.assert_refused(bump, "is 99.0.0, its keys were read from")

    def test_a_chart_that_nothing_installs_is_told(self):
        def drop(resources):
            return [resource for resource in resources if resource["values"]["chart"] != "karpenter"]

        self.assert_refused(drop, "karpenter is in infra/install/charts.json, and no plan installs it")


if __name__ == "__main__":
    unittest.main()
