"""Every LogQL query of the documentation and of the dashboard, asked of a real Loki that holds what a real
PodSense under load has logged. The stages of Alloy's configuration make labels and structured metadata of
it: the code that runs them is that of Loki's own module, from which Alloy's loki.process comes.

scripts/loki.sh builds both; where it has not (make test-loki), only the configuration's form is looked at."""

import datetime
import json
import re
import shutil
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import alloy
import built
import loki_values
import panels
import prometheus
import test_live
import yaml

harness = prometheus.harness
CONFIGURATION = (panels.ROOT / "monitoring/alloy/config.alloy").read_text()
COLLECTOR = yaml.safe_load((panels.ROOT / "monitoring/values-otel-collector.yaml").read_text())
PAGE = (panels.ROOT / "docs/how-to/monitoring.md").read_text()
BOARD = json.loads((panels.ROOT / "monitoring/dashboards/podsense-logs.json").read_text())
POD = {"namespace": "podsense", "pod": "podsense-6c9f7d5b8-7k2xv", "container": "podsense", "app": "podsense"}


def documented():
    """question → LogQL, from the table in the documentation."""
    table = PAGE.split("| question | LogQL |\n|---|---|\n")[1].split("\n\n")[0]
    rows = [re.fullmatch(r"\| (.+?) \| `(.+)` \|", line).groups() for line in table.splitlines()]
    return {question: query.replace("\\|", "|") for question, query in rows}


class Form(unittest.TestCase):
    """Needs no Loki."""

    def test_stages_are_read_as_they_stand(self):
        (cri, match) = alloy.stages(CONFIGURATION, "podsense")
        self.assertEqual(cri, {"cri": {}})
        self.assertEqual(match["match"]["selector"], '{app="podsense"}')
        self.assertEqual([next(iter(one)) for one in match["match"]["stages"]],
                         ["json", "timestamp", "labels", "structured_metadata"])

    def test_the_page_names_the_labels_and_metadata_that_there_are(self):
        (_, match) = alloy.stages(CONFIGURATION, "podsense")
        stages = {kind: body for one in match["match"]["stages"] for kind, body in one.items()}
        sentence = re.search(r"Alloy \(`monitoring.*?metadata:", PAGE, re.DOTALL).group(0)
        labels, metadata = sentence.split(" labels, and ")
        self.assertLessEqual(set(stages["labels"]), set(re.findall(r"`(\w+)`", labels)))
        self.assertEqual(set(stages["structured_metadata"]), set(re.findall(r"`(\w+)`", metadata)))

    def test_the_collector_makes_the_labels_and_metadata_that_alloy_makes(self):
        (_, match) = alloy.stages(CONFIGURATION, "podsense")
        stages = {kind: body for one in match["match"]["stages"] for kind, body in one.items()}
        config = COLLECTOR["config"]
        (retained,) = [one["fields"] for one in config["receivers"]["filelog"]["operators"] if one["type"] == "retain"]
        self.assertEqual({field.removeprefix("attributes.") for field in retained},
                         {*stages["labels"], *stages["structured_metadata"]})
        otlp = loki_values.VALUES["loki"]["limits_config"]["otlp_config"]
        ((of_resource,), (of_line,)) = otlp["resource_attributes"]["attributes_config"], otlp["log_attributes"]
        self.assertEqual(set(of_line["attributes"]), set(stages["labels"]))
        made = {one["key"] for one in config["processors"]["resource"]["attributes"] if one["action"] == "insert"}
        self.assertEqual(set(of_resource["attributes"]), made)
        relabeled = set(re.findall(r'target_label += "(\w+)"', CONFIGURATION)) - {"__path__"}
        self.assertEqual(made, relabeled)

    def test_no_choice_on_the_dashboard_takes_the_empty_value(self):
        # Loki refuses queries of which every matcher does.
        for variable in BOARD["templating"]["list"]:
            if variable["type"] == "query":
                self.assertEqual(variable["allValue"], ".+", variable["name"])


class Loki:
    """Loki with the limits and the schema of monitoring/values-loki.yaml, and nothing in it."""

    def __init__(self, binary):
        self.binary = binary

    def __enter__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="podsense-loki-"))
        self.port = prometheus.free_port()
        config = loki_values.configuration(self.folder, "127.0.0.1", self.port, prometheus.free_port(),
                                           prometheus.free_port())
        file = self.folder / "loki.yaml"
        file.write_text(json.dumps(config))
        self.log = open(self.folder / "log", "w+")
        self.process = subprocess.Popen([self.binary, f"-config.file={file}"], stdout=self.log,
                                        stderr=subprocess.STDOUT)
        harness.wait_until(self.is_ready, timeout=2 * harness.LIMIT, what="Loki is ready")
        return self

    def __exit__(self, *_):
        self.process.kill()  # what it holds goes with the folder
        self.process.wait(timeout=harness.LIMIT)
        self.log.close()
        shutil.rmtree(self.folder)

    def is_ready(self):
        return built.answers(self.process, self.log, f"http://127.0.0.1:{self.port}/ready")

    def push(self, body):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/loki/api/v1/push", body,
                                         {"Content-Type": "application/json"})
        self.answer(request)

    def ask(self, path, **parameters):
        query = urllib.parse.urlencode(parameters)
        return json.loads(self.answer(f"http://127.0.0.1:{self.port}/loki/api/v1/{path}?{query}"))["data"]

    def query(self, query):
        """Streams or series of the last hour."""
        now = time.time()
        return self.ask("query_range", query=query, start=int(now - 3600), end=int(now + 60), step=60,
                        limit=1000)["result"]

    @staticmethod
    def answer(request):
        try:
            with urllib.request.urlopen(request, timeout=harness.LIMIT) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{error.code}: {error.read().decode()}") from None


def logged():
    """The log of a server to which everything happens that the queries ask about."""
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder) / "models"
        shutil.copytree(harness.MODELS, models)
        flags = ["--max-queue-length=2", "--executors=1"]
        with harness.Server(*flags, models=models) as server, test_live.Load(server):
            (models / "broken/1").mkdir(parents=True)
            (models / "broken/1/model.onnx").write_bytes(b"no model")
            server.admin("POST", "/v1/reload")
            def lines(**wanted):
                return [line for line in server.log_lines() if wanted.items() <= line.items()]

            for wanted in ({"code": "OVERLOADED"}, {"code": "INVALID_ARGUMENT"},
                           {"event": "model_refused"}, {"path": "/predict-single", "status": 200}):
                harness.wait_until(lambda: lines(**wanted), what=f"a line with {wanted}")
                if wanted == {"code": "OVERLOADED"}:
                    server.post_json("/infer", {"cpu_ms": "much"})
            return server.log_text().rpartition("\n")[0].splitlines()


def as_files_hold_them(lines):
    """containerd's form: time, stream, F for a whole line; a long one in parts."""
    now = datetime.datetime.now(datetime.UTC).isoformat()
    yield f"{now} stdout P {lines[0][:20]}"
    yield f"{now} stdout F {lines[0][20:]}"
    for line in lines[1:]:
        yield f"{now} stdout F {line}"


class Live(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = Path(built.find("loki.sh", "PODSENSE_TEST_LOKI", "test-loki"))
        cls.lines = logged()
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump(alloy.stages(CONFIGURATION, "podsense"), file)
            file.flush()
            staged = subprocess.run([folder / "stages", file.name, json.dumps(POD)],
                                    input="\n".join(as_files_hold_them(cls.lines)), capture_output=True,
                                    text=True)
        assert staged.returncode == 0, staged.stderr
        cls.loki = cls.enterClassContext(Loki(folder / "loki"))
        cls.loki.push(staged.stdout.encode())

    def values(self, query):
        found = harness.wait_until(lambda: self.loki.query(query), what=f"an answer to {query}")
        return [(one.get("stream") or one["metric"], one["values"]) for one in found]

    def test_lines_keep_their_text_their_time_and_their_labels(self):
        sent = {json.loads(line)["request_id"]: line for line in self.lines if '"event":"request"' in line}
        request, line = next(iter(sent.items()))
        ((stream, ((at, text, *_),)),) = self.values(f'{{app="podsense"}} | request_id="{request}"')
        self.assertEqual(text, line)
        wanted = json.loads(line)
        when = datetime.datetime.fromisoformat(wanted["ts"]).timestamp()
        self.assertAlmostEqual(int(at) / 1e9, when, places=3)
        for name, value in {**POD, "level": wanted["level"], "event": "request", "code": wanted["code"],
                            "path": wanted["path"], "request_id": request}.items():
            self.assertEqual(stream[name], value)
        names = self.loki.ask("labels")
        self.assertEqual(set(names) - {*POD, "level", "event", "code", "stream", "service_name"}, set())

    def test_a_line_in_parts_is_one_again(self):
        texts = [text for _, values in self.values('{app="podsense", event!="request"}')
                 for _, text, *_ in values]
        self.assertIn(self.lines[0], texts)

    def test_every_documented_query_has_an_answer(self):
        asked = documented()
        self.assertGreater(len(asked), 5)
        ids = [json.loads(line) for line in self.lines if '"trace_id"' in line]
        for question, query in asked.items():
            with self.subTest(question=question):
                for name in ("request_id", "trace_id"):
                    query = re.sub(rf'{name}="[^"]*…"', f'{name}="{ids[0][name]}"', query)
                self.assertTrue(self.values(query))

    def test_no_panel_of_logs_is_empty(self):
        seen = 0
        for where, query in panels.queries(BOARD, kind="loki"):
            with self.subTest(panel=where):
                self.assertTrue(self.values(panels.filled_in(BOARD, query)))
                seen += 1
        self.assertGreaterEqual(seen, 6)

    def test_variables_of_the_dashboard_find_what_was_sent(self):
        for name in ("namespace", "app"):
            self.assertEqual(self.loki.ask(f"label/{name}/values"), [POD[name]])

    def test_answers_are_about_what_was_asked(self):
        asked = documented()
        for stream, _ in self.values(asked["what went wrong"]):
            self.assertIn(stream["level"], ("warning", "error"))
        (refused, *_), = [self.values(asked["refusals by pod, a minute"])]
        self.assertEqual(refused[0], {"pod": POD["pod"]})
        paths = {labels["path"] for labels, _ in self.values(asked["slowest paths"])}
        self.assertLessEqual({"/infer", "/predict", "/predict-single"}, paths)
        models = {stream["model"] for stream, _ in self.values(asked["models that could not be loaded"])}
        self.assertEqual(models, {"broken"})


if __name__ == "__main__":
    unittest.main()
