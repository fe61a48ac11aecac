"""Rules, runbooks and dashboards as files: promtool's checks and tests, and what belongs together."""

import json
import re
import subprocess
import sys
import tempfile
import unittest

import panels

ROOT = panels.ROOT
RULES = ROOT / "monitoring/rules/podsense.rules.yaml"
RULE_TESTS = sorted((ROOT / "tests/monitoring/rules").glob("*.test.yaml"))


def alerts():
    return set(re.findall(r"^ +- alert: (\w+)$", RULES.read_text(), re.MULTILINE))


class Rules(unittest.TestCase):
    def promtool(self, *arguments):
        done = subprocess.run(["promtool", *arguments], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_promtool_accepts_them(self):
        self.promtool("check", "rules", "--lint=all", "--lint-fatal", str(RULES))

    def test_alerts_fire_when_they_should_and_only_then(self):
        self.promtool("test", "rules", *map(str, RULE_TESTS))

    def test_one_request_is_demand_from_zero(self):
        """The query of docs/how-to/keda.md that brings pods back: a first request, a later one, none."""
        page = (ROOT / "docs/how-to/keda.md").read_text("utf-8")
        query = " ".join(re.search(r"query: >-\n((?: {10}.*\n)+)", page)[1].split())
        router = 'router="podsense-podsense-rule-0-path-0@kubernetesingressnginx"'

        def case(series, at, active):
            return {
                "interval": "30s",
                "input_series": [{"series": f"traefik_router_requests_total{{{labels}}}", "values": values} for labels, values in series],
                "promql_expr_test": [{"expr": f"({query}) > bool 0", "eval_time": at, "exp_samples": [{"value": active, "labels": "{}"}]}],
            }

        bad = f'{router},code="502"'
        cases = [
            case([('router="another"', "0+9x20")], "5m", 0),  # requests for somebody else
            case([(bad, "_x8 1+0x20")], "5m", 1),  # the very first: a series begins with it
            case([(bad, "1+0x20")], "9m", 0),  # long ago
            case([(bad, "4+0x16 5+0x3")], "9m", 1),  # one more of a kind that was there
            case([(f'{router},code="200"', "90+0x20"), (bad, "_x16 1+0x3")], "9m", 1),  # answered ones before, refused now
            case([(f'{router},code="200",pod="old"', "90+0x10"), (f'{router},code="200",pod="new"', "_x12 1+0x9")], "7m", 1),  # Traefik anew
        ]
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(json.dumps({"tests": cases}))
            file.flush()
            self.promtool("test", "rules", file.name)

    def test_each_alert_has_a_case_that_fires_and_one_that_must_not(self):
        fires, quiet = set(), set()
        for file in RULE_TESTS:
            for case in re.split(r"- (?:\{ )?eval_time:", file.read_text())[1:]:
                name = re.search(r"alertname: (\w+)", case)
                if name:
                    (quiet if "exp_alerts: []" in case else fires).add(name.group(1))
        self.assertEqual(alerts() - fires, set(), "never seen firing")
        self.assertEqual(alerts() - quiet, set(), "never seen quiet")

    def test_each_alert_has_a_severity_a_runbook_and_a_dashboard(self):
        text = RULES.read_text()
        dashboards = {json.loads(f.read_text())["uid"] for f in panels.DASHBOARDS}
        blocks = re.split(r"^ +- (?=alert: |record: )", text, flags=re.MULTILINE)
        blocks = [block for block in blocks if block.startswith("alert: ")]
        self.assertGreater(len(blocks), 15)
        for block in blocks:
            name = re.match(r"alert: (\w+)", block).group(1)
            with self.subTest(alert=name):
                self.assertRegex(block, r"severity: (critical|warning)\b")
                page = re.search(r"runbook_url: (\S+)", block).group(1)
                self.assertEqual(page, f"docs/runbooks/{name}.md")
                self.assertIn(re.search(r"dashboard: (\S+)", block).group(1), dashboards)

    def test_each_alert_has_a_page_and_each_page_an_alert(self):
        folder = ROOT / "docs/runbooks"
        pages = {page.stem for page in folder.glob("PodSense*.md")}
        self.assertEqual(pages, alerts())
        for name in pages:
            text = (folder / f"{name}.md").read_text()
            with self.subTest(page=name):
                self.assertEqual(text.splitlines()[0], f"# {name}")
                self.assertIn("\n## Look\n", text)
                self.assertIn("\n## Do\n", text)
                for link in re.findall(r"\]\(([^)#]+)\)", text):
                    self.assertTrue((folder / link).exists(), f"{link} does not exist")

    def test_the_table_of_pages_says_what_the_rules_say(self):
        severities = {}
        for block in re.split(r"^ +- (?=alert: |record: )", RULES.read_text(), flags=re.MULTILINE):
            if found := re.match(r"alert: (\w+)", block):
                severities.setdefault(found.group(1), set()).add(re.search(r"severity: (\w+)", block).group(1))
        table = (ROOT / "docs/runbooks/README.md").read_text()
        rows = re.findall(r"^\| \[(\w+)\]\((\w+)\.md\) \| ([a-z, ]+) \|", table, re.MULTILINE)
        self.assertEqual({name: ", ".join(sorted(its)) for name, its in severities.items()},
                         {name: said for name, page, said in rows if name == page})

    def test_pages_send_to_panels_that_exist(self):
        boards = {board["title"]: {panel["title"] for panel in board["panels"]}
                  for board in (json.loads(file.read_text()) for file in panels.DASHBOARDS)}
        seen = 0
        for page in (ROOT / "docs").rglob("*.md"):
            said = re.sub(r"\s+", " ", page.read_text())
            for board, group in re.findall(r"\*(PodSense / [\w ]+)\*((?:,?(?: and| beside)? \*[^*]+\*)*)", said):
                with self.subTest(page=page.stem, dashboard=board):
                    self.assertIn(board, boards)
                for title in re.findall(r"\*([^*]+)\*", group):
                    seen += 1
                    with self.subTest(page=page.stem, dashboard=board, panel=title):
                        self.assertTrue(any(t == title or t.startswith(title + " (") for t in boards[board]))
        self.assertGreater(seen, 10)


class Dashboards(unittest.TestCase):
    def test_they_are_what_the_generator_writes(self):
        made = subprocess.run(
            [sys.executable, ROOT / "monitoring/dashboards/generate.py", "--check"],
            capture_output=True,
            text=True,
        )
        self.assertEqual(made.returncode, 0, made.stderr)

    def test_they_can_be_told_apart_and_stand_on_a_chosen_data_source(self):
        self.assertEqual(len(panels.DASHBOARDS), 6)
        uids = set()
        for file in panels.DASHBOARDS:
            board = json.loads(file.read_text())
            with self.subTest(dashboard=file.name):
                self.assertNotIn(board["uid"], uids)
                uids.add(board["uid"])
                self.assertEqual(file.stem, board["uid"])
                self.assertGreaterEqual(board["schemaVersion"], 39)
                self.assertIn("podsense", board["tags"])
                variables = {v["name"]: v for v in board["templating"]["list"]}
                self.assertEqual(variables["datasource"]["type"], "datasource")
                ids = [panel["id"] for panel in board["panels"]]
                self.assertEqual(len(ids), len(set(ids)))

    def test_panels_say_what_they_show_and_do_not_overlap(self):
        for file in panels.DASHBOARDS:
            taken = {}
            for panel in json.loads(file.read_text())["panels"]:
                with self.subTest(dashboard=file.name, panel=panel["title"]):
                    self.assertTrue(panel["title"])
                    place = panel["gridPos"]
                    self.assertLessEqual(place["x"] + place["w"], 24)
                    for x in range(place["x"], place["x"] + place["w"]):
                        for y in range(place["y"], place["y"] + place["h"]):
                            self.assertIsNone(taken.get((x, y)), "lies on another panel")
                            taken[x, y] = panel["title"]

    def test_panels_say_what_they_need_beside_podsense(self):
        for file in panels.DASHBOARDS:
            for panel in json.loads(file.read_text())["panels"]:
                with self.subTest(dashboard=file.name, panel=panel["title"]):
                    needed = set().union(*(panels.foreign(t["expr"]) for t in panel.get("targets", [])))
                    said = panel.get("description", "").partition("Needs ")[2]
                    self.assertEqual({what for what in panels.SOURCES.values() if what in said}, needed)

    def test_all_of_a_variable_is_what_podsense_runs_in_alone(self):
        for file in panels.DASHBOARDS:
            for variable in json.loads(file.read_text())["templating"]["list"]:
                if variable["name"] in ("namespace", "job", "workload") and variable["datasource"]["type"] == "prometheus":
                    self.assertIsNone(variable["allValue"], file.name)
                    self.assertIn("podsense_build_info", variable["definition"])

    def test_pods_and_autoscalers_of_other_releases_are_not_taken_for_ours(self):
        ours = {"pod": ["podsense-6c9f7d5b8-7k2xv"], "horizontalpodautoscaler": ["podsense", "keda-hpa-podsense"]}
        others = {"pod": ["podsense-canary-6c9f7d5b8-7k2xv", "podsense-load-7k2xv", "my-podsense-6c9f7d5b8-7k2xv"],
                  "horizontalpodautoscaler": ["podsense-canary", "my-podsense"]}  # fmt: skip
        seen = 0
        for file in panels.DASHBOARDS:
            board = json.loads(file.read_text())
            for where, query in panels.queries(board, kind="prometheus"):
                for label, pattern in re.findall(r'\b(pod|horizontalpodautoscaler)=~"([^"]+)"', panels.filled_in(board, query)):
                    seen += 1
                    with self.subTest(dashboard=file.name, panel=where):
                        self.assertTrue(all(re.fullmatch(pattern, name) for name in ours[label]))
                        self.assertFalse(any(re.fullmatch(pattern, name) for name in others[label]))
        self.assertGreater(seen, 20)

    def test_queries_use_only_variables_that_there_are(self):
        for file in panels.DASHBOARDS:
            board = json.loads(file.read_text())
            known = {v["name"] for v in board["templating"]["list"]} | panels.BUILT_IN
            for where, query in panels.queries(board):
                with self.subTest(dashboard=file.name, panel=where):
                    self.assertEqual(set(re.findall(r"\$\{?([a-z_]\w*)", query)) - known, set())

    def test_promtool_can_read_every_query(self):
        rules, names = [], []
        for page, query in panels.documented():
            names.append(page)
            rules.append({"record": f"query:{len(rules)}", "expr": query})
        self.assertGreater(len(rules), 20, "of pages")
        for file in panels.DASHBOARDS:
            board = json.loads(file.read_text())
            for where, query in panels.queries(board, kind="prometheus"):
                names.append(f"{file.name}: {where}")
                expr = panels.filled_in(board, query)
                rules.append({"record": f"query:{len(rules)}", "expr": expr})
        self.assertGreater(len(rules), 80)
        document = json.dumps({"groups": [{"name": "all", "rules": rules}]})
        done = subprocess.run(
            ["promtool", "check", "rules", "/dev/stdin"],
            input=document,
            capture_output=True,
            text=True,
        )
        faults = re.findall(r"rule (\d+), .*", done.stdout + done.stderr)
        named = [names[int(number) - 1] for number in faults]
        self.assertEqual(done.returncode, 0, f"{named}\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    unittest.main()
