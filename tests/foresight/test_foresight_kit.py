#!/usr/bin/env python3
"""The parts of bench/foresight_kit.py that need no cluster: halves, files, figures over time, replayed looks, reports."""

import json
import lzma
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))
from closed_loop import cells, course, fit, judge, looks, results, watch  # noqa: E402

BINARY = os.environ["PODSENSE_BINARY"]
BEGAN = 1_796_088_000.0  # 2026-12-01T01:20:00Z
SETTINGS = {"kubernetes": "1.34", "sync_period": 5, "downscale_stabilization": 300, "tolerance": 0.1, "cpu_initialization_period": 10,
            "initial_readiness_delay": 5, "resolution": 10, "scrape": 5}


def moment(seconds):
    return f"2026-12-01T01:{20 + int(seconds) // 60:02}:{int(seconds) % 60:02}Z"


class Halves(unittest.TestCase):
    def test_of_two_runs_of_a_cell_one_is_for_fitting(self):
        for cell in cells.CELLS:
            for number in (1, 3, 9):
                self.assertEqual({"fit", "judge"}, {cells.Run(cell, number).half, cells.Run(cell, number + 1).half})

    def test_which_of_two_is_not_always_the_same(self):
        self.assertEqual({"fit", "judge"}, {cells.Run(cell, 1).half for cell in cells.CELLS})

    def test_a_run_keeps_its_half(self):  # results of months ago are still split alike
        self.assertEqual(["fit", "judge", "judge", "fit"], [cells.Run("loop:cpu:step", number).half for number in range(1, 5)])

    def test_a_cell_that_is_none_is_named(self):
        for text in ("loop:cpu:square", "loop:disk:step", "fixed:fast", "fixed:-1", "start:9", "start:1.5", "loops", ""):
            with self.assertRaisesRegex(ValueError, f"{text} is no cell: accepted are"):
                cells.matching([text])

    def test_cells_are_chosen_by_how_they_begin(self):
        self.assertEqual([f"loop:cpu:{shape}" for shape in cells.SHAPES] + ["fixed:0.65"], cells.matching(["loop:cpu", "fixed:0.65", "loop:cpu:step"]))


class Files(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.base = pathlib.Path(folder.name) / "deep" / "results"

    def test_a_later_call_goes_on_where_the_first_ended(self):
        chosen = ["fixed:0.3", "limit:5"]
        order = list(cells.missing(chosen, 3, results.done(self.base), random.Random(1)))
        self.assertEqual([1, 1, 2, 2, 3, 3], [run.number for run in order])
        for run in order[:3]:
            results.append_run(self.base, {"key": run.key})
        left = list(cells.missing(chosen, 3, results.done(self.base), random.Random(2)))
        self.assertEqual({run.key for run in order[3:]}, {run.key for run in left})

    def test_a_run_of_a_busy_machine_is_made_again_where_calm_ones_are_wanted(self):
        path = results.path_of(self.base, "fit")
        results.append(path, {"key": "loop:cpu:step#1", "is_busy": True})
        self.assertEqual((1, 0), tuple(len(results.done(self.base, calm)) for calm in (False, True)))
        self.assertEqual((1, 0), tuple(len(results.read_for_fitting(path, calm)) for calm in (False, True)))
        results.append(path, {"key": "loop:cpu:step#1", "is_busy": False})
        self.assertEqual([False], [one["is_busy"] for one in results.read_for_fitting(path)])

    def test_the_order_is_drawn_anew(self):
        orders = {tuple(run.cell for run in cells.missing(cells.CELLS, 1, set(), random.Random(seed))) for seed in range(3)}
        self.assertEqual(3, len(orders))

    def test_each_run_is_in_the_file_of_its_half(self):
        for number in range(1, 5):
            results.append_run(self.base, {"key": f"loop:cpu:step#{number}"})
        self.assertEqual(["loop:cpu:step#1", "loop:cpu:step#4"], [one["key"] for one in results.read_half(self.base, "fit")])
        self.assertEqual(["loop:cpu:step#2", "loop:cpu:step#3"], [one["key"] for one in results.read_half(self.base, "judge")])

    def test_what_fits_refuses_the_file_for_judging(self):
        results.append_run(self.base, {"key": "loop:cpu:step#2"})
        with self.assertRaisesRegex(results.WrongHalf, "results-judge.jsonl: only a file …-fit.jsonl is for fitting"):
            results.read_for_fitting(results.path_of(self.base, "judge"))

    def test_what_fits_refuses_a_run_for_judging_in_the_other_file(self):
        results.append(results.path_of(self.base, "fit"), {"key": "loop:cpu:step#2"})
        with self.assertRaisesRegex(results.WrongHalf, "loop:cpu:step#2 is a run of the other half"):
            results.read_for_fitting(results.path_of(self.base, "fit"))

    def test_a_line_that_was_cut_off_is_passed_over_and_replaced(self):
        path = results.path_of(self.base, "fit")
        results.append(path, {"key": "loop:cpu:step#1"})
        with path.open("a") as file:
            file.write('{"key":"loop:cpu:step#4","load":{"re')
        self.assertEqual({"loop:cpu:step#1"}, results.done(self.base))
        results.append(path, {"key": "loop:cpu:step#4"})
        self.assertEqual(["loop:cpu:step#1", "loop:cpu:step#4"], [one["key"] for one in results.read_for_fitting(path)])


def pod(name, start, ready_at=None, deleted=False, phase="Running"):
    found = {"name": name, "phase": phase, "deleted": deleted, "start": moment(start), "running": True}
    return found | ({"ready": "True", "ready_at": moment(ready_at)} if ready_at is not None else {"ready": "False", "ready_at": moment(start)})


def event(kind, rv, at, seen, **more):
    return {"t": BEGAN + at, "rv": rv, "kind": kind, "object": seen} | more


def hpa(desired, status=None, spec=None):
    spec = spec or {"scaleTargetRef": {"kind": "Deployment", "name": "podsense"}, "minReplicas": 1, "maxReplicas": 6,
                    "metrics": [{"type": "Pods", "pods": {"metric": {"name": "podsense_saturation"}, "target": {"type": "AverageValue", "averageValue": "700m"}}}]}
    return {"name": "podsense", "spec": spec, "status": {"desiredReplicas": desired, "currentMetrics": status or []}}


def saturation(value):
    return [{"type": "Pods", "pods": {"metric": {"name": "podsense_saturation"}, "current": {"averageValue": value}}}]


class Course(unittest.TestCase):
    """One ready pod, another one from 2.5 s on that is ready at 6.25 s, and the first one goes from 8 s to 9.5 s."""

    def setUp(self):
        self.events = [
            event("slice", 1, -1, {"name": "s", "ready": ["a"]}, first=True),
            event("pod", 2, -1, pod("a", 0, 0), first=True),
            event("deployment", 3, -1, {"name": "podsense", "spec": 1, "status": 1}, first=True),
            event("deployment", 4, 2.4, {"name": "podsense", "spec": 2, "status": 1}),
            event("pod", 5, 2.5, pod("b", 3) | {"start": None, "running": False}),
            event("pod", 6, 3.0, pod("b", 3) | {"running": False}),
            event("pod", 7, 4.0, pod("b", 3)),
            event("pod", 8, 6.25, pod("b", 3, 6)),
            event("slice", 9, 6.5, {"name": "s", "ready": ["a", "b"]}),
            event("pod", 10, 8, pod("a", 0, 0, deleted=True)),
            event("pod", 11, 9.5, pod("a", 0, 0, deleted=True), gone=True),
        ]
        self.pods = course.pods_of(self.events, BEGAN)

    def test_start_ups_are_from_creation_to_each_step(self):
        self.assertEqual([{"pod": "b", "scheduled": 0.5, "running": 1.5, "ready": 3.75, "endpoint": 4.0}], course.start_ups(self.pods))

    def test_pod_seconds_are_from_creation_until_gone(self):
        self.assertAlmostEqual(9.5 + (12 - 2.5), course.pod_seconds(self.pods, 12))
        self.assertAlmostEqual(9.0 + (9 - 2.5), course.pod_seconds(self.pods, 9))

    def test_rows_are_what_was_so_at_the_end_of_each_second(self):
        rows = course.rows(self.events, BEGAN, 10)
        self.assertEqual([1, 1, 1, 1, 1, 1, 2, 1, 1, 1], [row["ready"] for row in rows])
        self.assertEqual([1, 1, 2, 2, 2, 2, 2, 1, 1, 1], [row["pods"] for row in rows])
        self.assertEqual([0, 0, 0, 0, 0, 0, 0, 1, 1, 0], [row["terminating"] for row in rows])
        self.assertEqual([1, 1, 2], [row["target"] for row in rows[:3]])

    def test_what_there_was_at_first_has_its_endpoint(self):
        self.assertEqual(-1, self.pods["a"]["endpoint"])

    def test_dispersion_tells_bursts_from_even_arrivals(self):
        self.assertEqual(0, course.dispersion([5, 5, 5]))
        self.assertEqual(8, course.dispersion([16, 0, 8]) * 3 / 2)
        self.assertIsNone(course.dispersion([0, 0]))

    def test_routing_is_told_by_how_unequal_pods_served(self):
        there = {name: {"endpoint": 0.0} for name in "abcd"}
        offered = [40] * 50
        self.assertEqual(0, course.routing_ratio(dict.fromkeys("abcd", 500), there, offered))
        draws = random.Random(3).choices("abcd", k=2000)
        self.assertLess(0.1, course.routing_ratio({name: draws.count(name) for name in "abcd"}, there, offered))
        self.assertGreater(5, course.routing_ratio({name: draws.count(name) for name in "abcd"}, there, offered))
        self.assertLess(100, course.routing_ratio({"a": 1700, "b": 100, "c": 100, "d": 100}, there, offered))
        self.assertIsNone(course.routing_ratio({"a": 2000}, there, offered))

    def test_a_pod_that_came_late_is_expected_to_have_served_less(self):
        there = {"a": {"endpoint": 0.0}, "b": {"endpoint": 25.0}}
        self.assertAlmostEqual(0, course.routing_ratio({"a": 1500, "b": 500}, there, [40] * 50))


class Answers(unittest.TestCase):
    def test_each_api_says_its_values(self):
        listed = {"items": [{"metadata": {"name": "a"}, "timestamp": moment(0), "window": "10.012s", "containers": [{"name": "podsense", "usage": {"cpu": "81n"}}]}]}
        self.assertEqual({"a": [moment(0), "10.012s", ["81n"]]}, watch.values_of("resource", listed))
        custom = {"items": [{"describedObject": {"kind": "Pod", "name": "a"}, "value": "250m"}]}
        self.assertEqual({"a": "250m"}, watch.values_of("pods/podsense_saturation", custom))
        self.assertEqual(["9"], watch.values_of("external/s0-prometheus", {"items": [{"metricName": "s0-prometheus", "value": "9"}]}))
        self.assertIsNone(watch.values_of("resource", None))

    def test_answers_that_are_alike_are_one(self):
        answers = []
        for at, values in ((0, ["1"]), (1, ["1"]), (2, None), (3, None), (4, ["1"])):
            watch.add_answer(answers, at, at + 0.1, values)
        self.assertEqual([(0, 1.1), (2, 3.1), (4, 4.1)], [(one["t"], one["until"]) for one in answers])

    def test_quantities_are_rounded_up_to_thousandths(self):
        for text, wanted in (("250m", 250), ("81n", 1), ("1250001n", 2), ("2", 2000), ("1k", 10**6), ("1.5", 1500), ("0", 0)):
            self.assertEqual(wanted, looks.milli(text), text)
        self.assertAlmostEqual(61.5, looks.duration("1m1.5s"))
        self.assertAlmostEqual(0.25, looks.duration("250ms"))


class Looks(unittest.TestCase):
    """From one pod to four at the look at 7 s, which saw 2.6; the looks at 2 s and 12 s changed only the value."""

    def setUp(self):
        self.events = [
            event("pod", 1, -1, pod("a", 0, 0), first=True),
            event("deployment", 2, -1, {"name": "podsense", "spec": 1, "status": 1}, first=True),
            event("hpa", 3, -1, hpa(1, saturation("20m")), first=True),
            event("hpa", 4, 2, hpa(1, saturation("30m"))),
            event("deployment", 5, 7, {"name": "podsense", "spec": 4, "status": 1}),
            event("pod", 6, 7.01, pod("b", 7) | {"start": None}),
            event("hpa", 7, 7.02, hpa(4, saturation("2600m"))),
            event("hpa", 8, 12.02, hpa(4, saturation("900m"))),
        ]
        self.answers = {"pods/podsense_saturation": [
            {"t": BEGAN + 0.5, "until": BEGAN + 4.6, "values": {"a": "30m"}},
            {"t": BEGAN + 5.6, "until": BEGAN + 6.7, "values": {"a": "2600m"}},
            {"t": BEGAN + 7.1, "until": BEGAN + 10.1, "values": {"a": "9000m"}},
            {"t": BEGAN + 11.1, "until": BEGAN + 13.1, "values": {"a": "1800m", "b": "0"}},
        ]}

    def replay(self, **settings):
        return looks.replay(BINARY, {"events": self.events, "answers": self.answers}, SETTINGS | settings, "250m")

    def test_each_look_begins_from_what_the_api_server_had_before_it(self):
        found = looks.find(self.events)
        self.assertEqual([1, 1, 4], [look["current"] for look in found])
        self.assertEqual([["a"], ["a"], ["a", "b"]], [[one["name"] for one in looks.pods_before(self.events, look["rv"])] for look in found])

    def test_real_decisions_are_replayed(self):
        found = self.replay()
        self.assertEqual((3, 3, 1, []), (found["looks"], found["compared"], found["rescales"], found["different"]))

    def test_a_decision_that_is_another_is_a_difference_with_its_arithmetic(self):
        self.events[6]["object"]["status"]["desiredReplicas"] = 3
        (different,) = self.replay()["different"]
        self.assertEqual((3, 4), (different["real"], different["replayed"]))
        self.assertIn("2.6 over 1 pod", " ".join(different["words"]))

    def test_the_answer_that_the_status_has_is_taken_though_another_one_is_nearer(self):
        self.answers["pods/podsense_saturation"][2]["t"] = BEGAN + 7
        self.assertEqual([], self.replay()["different"])

    def test_a_look_whose_input_was_not_seen_is_not_compared(self):
        self.answers["pods/podsense_saturation"][1]["values"] = {"a": "100m"}
        found = self.replay()  # the look after it remembers four pods all the same
        self.assertEqual((3, 2, []), (found["looks"], found["compared"], found["different"]))

    def test_looks_that_changed_nothing_are_a_period_apart(self):
        self.assertEqual([7.0, 12.0], looks.between(2.0, 17.0, 5))
        self.assertEqual([], looks.between(2.0, 7.2, 5))
        self.events[7]["t"] = BEGAN + 27.0
        case, checks = looks.case_of({"events": self.events, "answers": self.answers}, SETTINGS, "250m")
        self.assertEqual([True, True, None, None, None, False], [check and check["seen"] for check in checks])
        self.assertEqual([1, 1, 4, 4, 4, 4], [tick["spec"] for tick in case["ticks"]])

    def test_an_external_metric_is_shared_out_to_the_replicas_that_the_status_has(self):
        metric = {"type": "External", "external": {"metric": {"name": "s0-prometheus"}, "target": {"type": "AverageValue", "averageValue": "2"}}}
        self.assertEqual(1334, looks.value_seen(metric, ["4"], [], 3, BEGAN, SETTINGS))
        self.assertIsNone(looks.value_seen(metric, [], [], 3, BEGAN, SETTINGS))

    def test_cpu_of_pods_that_count_as_not_ready_is_not_in_the_status(self):
        metric = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}
        pods = [pod("a", 0, 0), pod("fresh", 50, 52), pod("gone", 0, 0, deleted=True), pod("loads", 0)]
        values = {one["name"]: [moment(55), "10s", ["200000001n"]] for one in pods}
        self.assertEqual(201, looks.value_seen(metric, values, pods[:2], 2, BEGAN + 56, SETTINGS))  # the sample began before it was ready
        self.assertEqual(201, looks.value_seen(metric, values, pods, 4, BEGAN + 56, SETTINGS))
        values["fresh"][2] = ["100m"]
        self.assertEqual(150, looks.value_seen(metric, values, pods, 4, BEGAN + 70, SETTINGS))  # out of the initialization period

    def test_ages_are_from_the_sample_and_from_the_last_scrape(self):
        scrapes = {"a": [BEGAN + 1, BEGAN + 6, BEGAN + 11], "b": [BEGAN + 13]}
        self.assertEqual({"pods/podsense_saturation": [1.0, 1.02, 1.02]},
                         looks.ages({"events": self.events, "answers": self.answers}, SETTINGS, scrapes))


class RecordedLooks(unittest.TestCase):
    """seen.jsonl.xz: what was seen of runs on a cluster of Kubernetes 1.34: CPU under a step, queue depth by KEDA under bursts, CPU and
    saturation under a sine."""

    def setUp(self):
        with lzma.open(pathlib.Path(__file__).with_name("seen.jsonl.xz"), "rt") as lines:
            self.runs = {record["key"]: record for record in map(json.loads, lines)}

    def replay(self, key, **settings):
        return looks.replay(BINARY, self.runs[key]["seen"], self.runs[key]["settings"] | settings, cells.CPU)

    def test_what_every_look_saw_is_found_and_each_decision_is_the_controllers(self):
        for key, number, rescales in (("loop:cpu:step#1", 11, 1), ("loop:keda-queue:burst#1", 3, 1), ("loop:several:sine#1", 12, 2)):
            found = self.replay(key)
            self.assertEqual((number, number, rescales, []), (found["looks"], found["compared"], found["rescales"], found["different"]), key)

    def test_a_controller_with_other_flags_would_be_noticed(self):
        self.assertNotEqual([], self.replay("loop:cpu:step#1", tolerance=0.6)["different"])

    def test_answers_that_are_not_those_of_the_looks_are_noticed(self):
        for answer in self.runs["loop:cpu:step#1"]["seen"]["answers"]["resource"]:
            answer["values"] = {name: [at, window, ["7m"]] for name, (at, window, _) in (answer["values"] or {}).items()}
        self.assertLess(self.replay("loop:cpu:step#1")["compared"], 3)


def inputs():
    starts = [{"pod": "b", "scheduled": 0.2, "process": 1.0 + 0.1 * number, "running": 2.0, "ready": 2.5, "endpoint": 2.6} for number in range(3)]
    return {"service": {"run_cpu": {"values": [["25.0ms", 9], ["26.0ms", 1]]}, "request_cpu": "1.500ms", "cpu_ms": 25}, "start_ups": starts,
            "warm_up_cpu": 0.1, "drain": 6.5, "memory": 6e7, "samples": [[0, 10.0], [10, 10.01]], "routing_ratio": 0.7, "settings": SETTINGS,
            "at": moment(0)}


class Fits(unittest.TestCase):
    def test_start_ups_of_runs_take_the_place_of_those_before_once_there_are_enough(self):
        self.assertEqual("3 start-ups, measured before", fit.summary(inputs(), [])["start_from"])
        record = {"start_ups": inputs()["start_ups"] * 7, "pods": {}}
        self.assertEqual("21 start-ups, runs for fitting", fit.summary(inputs(), [record])["start_from"])

    def test_whose_samples_metrics_server_gets_is_told_by_their_windows(self):
        self.assertEqual("cri", fit.kubelet_of([10.0, 9.98, 10.4], 10))
        self.assertEqual("cri", fit.kubelet_of([15.1, 14.9, 15.0, 15.2], 15))
        self.assertEqual("cadvisor", fit.kubelet_of([14.2, 18.0, 10.4, 16.0], 15))  # the same mean
        self.assertEqual("cadvisor", fit.kubelet_of([14.2, 18.0, 10.4], 10))

    def test_a_start_takes_as_long_as_it_was_measured(self):
        start = fit.start_of(inputs()["start_ups"], 0.58)  # more than a start has under the limit
        self.assertEqual("325ms", start["warm_up_cpu"])
        total = [sum(float(start[stage]["values"][number][0].removesuffix("ms")) for stage in ("schedule", "pull", "load")) for number in range(3)]
        self.assertEqual([2500 - 1300] * 3, total)

    def test_routing_is_taken_from_the_spread(self):
        self.assertEqual(["round_robin", "random", "random"], [fit.routing_of(ratio) for ratio in (0.01, 0.8, None)])

    def test_loads_are_shares_of_what_pods_can_do(self):
        self.assertAlmostEqual(2 * 0.25 / 0.0266, fit.capacity(inputs()["service"], 25, 2))
        self.assertAlmostEqual(0.25 / (0.00502 + 0.0015), fit.capacity(inputs()["service"], 5, 1))


class Reports(unittest.TestCase):
    """A run that is itself simulated, in the form of a real one: the report finds it where it is."""

    @classmethod
    def setUpClass(cls):
        cls.fitted = fit.summary(inputs(), [])
        cls.records = [cls.record("loop:saturation:step#1"), cls.record("fixed:0.5#1")]

    @classmethod
    def record(cls, key):
        is_loop = key.startswith("loop:")
        plan = {"seconds": 60, "shape": "constant:16" if is_loop else "constant:9.4", "process": "poisson", "cpu_ms": 25, "replicas": 1 if is_loop else 2}
        record = {"key": key, "plan": plan, "hpa": hpa(1)["spec"] if is_loop else None}
        description = fit.scenario(cls.fitted, record)
        run = judge.simulate(BINARY, description, 1)["runs"][0]
        figures = run["figures"]
        return record | {
            "load": {"requests": int(figures["requests"]), "late": figures["late_share"], "dispersion": figures["dispersion"],
                     **{key: figures[f"latency_{key}_seconds"] for key in judge.QUANTILES}},
            "rows": [{"ready": one["ready"]} for one in run["timeline"]["slices"]], "pod_seconds": figures["pod_seconds"], "pods": {},
            "start_ups": [{"ready": 2.5}], "server": {"run_seconds": 0.07, "cpu": 20.0, "requests": 900}, "routing_ratio": 1.1,
            **({"ages": {"pods/podsense_saturation": [1.0, 4.0]}} if is_loop else {}), "is_busy": is_loop,
            "replay": {"looks": 4, "compared": 4, "rescales": 2, "different": []} if is_loop else None,
            "machine": {"cpu": "a CPU", "cores": 2},
        }

    def test_a_scenario_has_the_shape_and_the_autoscaler_of_its_run(self):
        description = fit.scenario(self.fitted, self.records[0])
        self.assertEqual(("constant:16", cells.SEEDS_APART, "1.34", "6.50s"), (description["arrivals"]["shape"], description["seed"],
                         description["kubernetes"], description["stop"]["drain_delay"]))
        self.assertNotIn("hpa", fit.scenario(self.fitted, self.records[1]))

    def test_an_external_metric_is_made_of_that_of_its_signal(self):
        metric = {"type": "External", "external": {"metric": {"name": "s0-prometheus"}, "target": {"type": "AverageValue", "averageValue": "2"}}}
        record = {"key": "loop:keda-queue:sine#2", "plan": self.records[0]["plan"], "hpa": hpa(1)["spec"] | {"metrics": [metric]}}
        description = fit.scenario(self.fitted, record)
        self.assertEqual({"s0-prometheus": "podsense_queue_depth"}, description["metrics"]["external"])
        self.assertEqual(5, len(judge.simulate(BINARY, description, 5)["runs"]))

    def test_a_run_is_paired_with_the_same_arrivals(self):
        one = judge.held_against(self.records[0], judge.simulate(BINARY, fit.scenario(self.fitted, self.records[0]), 30))
        self.assertTrue(one["paired"])
        self.assertTrue(one["inside"])
        self.assertGreater(one["near"], 0.8)
        self.assertEqual(one["pod_seconds"][0], one["pod_seconds"][1][0])

    def test_the_report_has_a_row_for_each_cell_and_says_which_aims_are_kept(self):
        text = judge.report(self.records, self.fitted, BINARY, 10)
        self.assertRegex(text, r"\| saturation:step \| 1 \(1\*\) \| \d+ / \d+ \([+-]\d+%\) \|")
        self.assertRegex(text, r"\| fixed:0.5 \| 1 \|")
        self.assertIn("| decisions that differ | 0 | 0 | yes |", text)
        self.assertRegex(text, r"\| age of saturation, s \| 2.50 \| \d")
        self.assertNotIn("NOT THE SAME", text)

    def test_other_arrivals_and_other_decisions_are_told(self):
        record = json.loads(json.dumps(self.records[0]))
        record["load"]["requests"] += 1
        record["replay"]["different"] = [{"at": 1, "real": 3, "replayed": 4, "words": ["Wish 4."]}]
        text = judge.report([record], self.fitted, BINARY, 3)
        self.assertIn("NOT THE SAME ARRIVALS: loop:saturation:step#1", text)
        self.assertIn("| decisions that differ | 1 | 0 | NO |", text)
        self.assertIn("the controller wanted 3, the replay 4: Wish 4.", text)

    def test_a_histogram_gives_its_values_back(self):
        report = judge.simulate(BINARY, fit.scenario(self.fitted, self.records[0]), 2)
        values = judge.values_of(report["histograms"]["latency"], 10**6)
        mean = report["histograms"]["latency"]["sum_ns"] / 1e9 / len(values)
        self.assertAlmostEqual(mean, sum(values) / len(values), delta=0.002 * mean)

    def test_distance_is_between_the_shares(self):
        self.assertEqual(0.5, judge.distance([1, 2], [2, 3]))
        self.assertEqual(1, judge.distance([1], [2]))
        self.assertIsNone(judge.distance([], [2]))


class Program(unittest.TestCase):
    def run_program(self, *words):
        path = pathlib.Path(__file__).resolve().parents[2] / "bench/foresight_kit.py"
        return subprocess.run([sys.executable, path, *words], capture_output=True, text=True)

    def test_a_report_of_nothing_is_one_line(self):
        with tempfile.TemporaryDirectory() as folder:
            done = self.run_program("--report", "--results", f"{folder}/none")
        self.assertEqual((1, 1), (done.returncode, len(done.stderr.splitlines())), done.stderr)
        self.assertIn("has no inputs: bench/foresight_kit.py --measure", done.stderr)

    def test_a_wrong_cell_is_named(self):
        done = self.run_program("--cells", "loop:disk:step")
        self.assertEqual(2, done.returncode)
        self.assertIn("--cells: loop:disk:step is no cell", done.stderr)


if __name__ == "__main__":
    unittest.main()
