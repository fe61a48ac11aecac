"""The looks of a real autoscaler, from what was seen (watch.py), and their replay by `podsense simulate hpa --vectors`.

The controller writes the autoscaler's status after each look that changed something in it, so each such write is a look:

- What it saw of pods and target is what the API server had before it: resource versions order all objects.
- What it saw of a metric is one of the answers around that moment. The status has the value that came of it, so the answer is
  known where it gives that value; where none does, the look's input was not seen, and its decision is not compared.
- Looks that changed nothing are not seen. They are put between the others, a period apart, with what the look before saw, since
  the controller remembers their recommendations.

Each look begins from the real spec.replicas, so that one difference is counted once.
"""

import json
import math
import re
import subprocess
from decimal import Decimal

from .course import seconds
from .watch import source_of

NEAR = 1.5  # seconds between an answer and a look that may have seen it
UNITS = {"n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1), "k": Decimal(10**3), "M": Decimal(10**6),
         "G": Decimal(10**9), "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30)}


def milli(quantity):
    """A quantity of Kubernetes in thousandths, rounded up as the controller does."""
    number, unit = re.fullmatch(r"([-+.0-9]+(?:[eE][-+]?[0-9]+)?)([a-zA-Z]*)", str(quantity)).groups()
    return math.ceil(Decimal(number) * UNITS[unit] * 1000)


def duration(text):
    """Seconds of a duration as Go writes it: 10.012s, 1m0s."""
    scale = {"h": 3600, "m": 60, "s": 1, "ms": 1e-3, "us": 1e-6, "µs": 1e-6}
    return sum(float(number) * scale[unit] for number, unit in re.findall(r"([.0-9]+)(h|ms|us|µs|m|s)", text))


def find(events):
    """The looks: at (Unix time), rv (of what it did first), current (spec.replicas before), replicas (status.replicas before), status."""
    found, status, target, replicas, changed = [], None, None, 0, None
    for event in events:
        seen = event["object"]
        if event.get("gone"):
            continue
        if event["kind"] == "deployment":
            if target is not None and seen["spec"] != target:
                changed = changed or (event["rv"], target, replicas)
            target, replicas = seen["spec"], seen["status"]
        elif event["kind"] == "hpa":
            if status is not None and seen["status"] != status:
                rv, current, counted = changed or (event["rv"], target, replicas)
                found.append({"at": event["t"], "rv": rv, "current": current, "replicas": counted, "status": seen["status"]})
                changed = None
            status = seen["status"]
    return found


def pods_before(events, rv):
    """Pods as they were just before a resource version, in the order of their names."""
    pods = {}
    for event in events:
        if event["kind"] == "pod" and event["rv"] < rv:
            if event.get("gone"):
                pods.pop(event["object"]["name"], None)
            else:
                pods[event["object"]["name"]] = event["object"]
    return [pods[name] for name in sorted(pods)]


def is_unready(pod, sample, now, settings):
    """As the controller sees it for CPU; `sample`: (Unix time, window)."""
    if "ready" not in pod or not pod["start"]:
        return True
    start, changed, is_false = seconds(pod["start"]), seconds(pod["ready_at"]), pod["ready"] == "False"
    if start + settings["cpu_initialization_period"] > now:
        return is_false or sample[0] < changed + sample[1]
    return is_false and start + settings["initial_readiness_delay"] > changed


def value_seen(metric, values, pods, replicas, now, settings):
    """Milli-units that the status has after a look that saw these values; None where the metric fails."""
    if not values:
        return None
    if metric["type"] == "External":
        return math.ceil(Decimal(sum(milli(one) for one in values)) / replicas) if replicas else None
    used = []
    for pod in pods:
        value = values.get(pod["name"])
        if value is None or pod["deleted"] or pod["phase"] in ("Failed", "Pending"):
            continue
        if metric["type"] == "Resource":
            if None in value[2] or is_unready(pod, (seconds(value[0]), duration(value[1])), now, settings):
                continue
            used.append(sum(milli(one) for one in value[2]))
        else:
            used.append(milli(value))
    return sum(used) // len(used) if used else None


def value_told(metric, status):
    """The same from the autoscaler's status; None where it has none for that metric."""
    kind = metric["type"][:1].lower() + metric["type"][1:]
    for one in status.get("currentMetrics") or []:
        if one["type"] == metric["type"] and name_of(one[kind]) == name_of(metric[kind]):
            value = one[kind].get("current", {}).get("averageValue")
            return None if value is None else milli(value)
    return None


def name_of(part):
    return part.get("name") or part.get("metric", {}).get("name")


def choose(metric, answers, look, pods, settings):
    """(values, whether they give what the status says), of the answers around a look the nearest that does."""
    def distance(answer):
        return max(0.0, answer["t"] - look["at"], look["at"] - answer["until"])

    near = sorted((answer for answer in answers if distance(answer) <= NEAR), key=distance)
    told = value_told(metric, look["status"])
    for answer in near:
        if value_seen(metric, answer["values"], pods, look["replicas"], look["at"], settings) == told:
            return answer["values"], True
    return levelled(metric, near[0]["values"] if near else None, told, look["replicas"]), False


def levelled(metric, values, told, replicas):
    """Of an input that was not seen: the same pods, each at the average that the status has, so that later looks remember of it what
    the controller does."""
    if not values or told is None:
        return values
    if metric["type"] == "External":
        return [f"{told * max(1, replicas)}m"]
    if metric["type"] == "Resource":
        return {name: [at, window, [f"{told}m"]] for name, (at, window, _) in values.items()}
    return dict.fromkeys(values, f"{told}m")


def pod_of_case(pod, request, sample, base):
    found = {"name": pod["name"], "phase": pod["phase"], "deleted": pod["deleted"], "request": {"cpu": request}}
    if "ready" in pod:
        found |= {"readyStatus": pod["ready"], "readyAt": seconds(pod["ready_at"]) - base}
    else:
        found["noReady"] = True
    if pod["start"]:
        found["start"] = seconds(pod["start"]) - base
    if sample and None not in sample[2]:
        found |= {"usage": {"cpu": sample[2][0]}, "usageAt": seconds(sample[0]) - base, "window": duration(sample[1])}
    return found


def tick_of(look, pods, chosen, metrics, request, base):
    """One look as a tick of a case; `chosen`: (values, …) for each metric."""
    tick = {"at": look["at"] - base, "spec": look["current"], "status": look["replicas"], "custom": {}, "external": {}, "fail": []}
    usage = {}
    for metric, (values, _) in zip(metrics, chosen):
        name, kind = source_of(metric).rpartition("/")[2], metric["type"]
        if not values:
            tick["fail"].append({"Resource": "resource", "Pods": "custom", "External": "external"}[kind])
        elif kind == "Resource":
            usage = values
        elif kind == "Pods":
            tick["custom"][name] = values
        else:
            tick["external"][name] = values
    tick["pods"] = [pod_of_case(pod, request, usage.get(pod["name"]), base) for pod in pods]
    return tick


def case_of(seen, settings, request):
    """(case, checks): the vectors of a run; checks: for each tick None (a look that nobody saw) or what is known of it."""
    first = next(event["object"] for event in seen["events"] if event["kind"] == "hpa")
    metrics, period = first["spec"]["metrics"], settings["sync_period"]
    found = find(seen["events"])
    base = math.floor(min([event["t"] for event in seen["events"]], default=0)) - 1
    ticks, checks = [], []
    for number, look in enumerate(found):
        pods = pods_before(seen["events"], look["rv"])
        chosen = [choose(metric, seen["answers"].get(source_of(metric), []), look, pods, settings) for metric in metrics]
        tick = tick_of(look, pods, chosen, metrics, request, base)
        ticks.append(tick)
        checks.append({"at": look["at"], "desired": look["status"].get("desiredReplicas"), "seen": all(known for _, known in chosen)})
        if number + 1 < len(found):
            unseen = between(look["at"] - base, found[number + 1]["at"] - base, period)
            ticks += [tick | {"at": at, "spec": look["status"].get("desiredReplicas", look["current"])} for at in unseen]
            checks += [None] * len(unseen)
    case = {"name": first["name"], "mode": "direct", "kubernetes": settings["kubernetes"], "hpa": {"spec": first["spec"]},
            "replicas": found[0]["current"] if found else 1, "ticks": ticks,
            "controller": {"syncPeriod": period, "downscaleStabilization": settings["downscale_stabilization"],
                           "tolerance": settings["tolerance"], "cpuInitializationPeriod": settings["cpu_initialization_period"],
                           "initialReadinessDelay": settings["initial_readiness_delay"]}}
    return case, checks


def between(begin, end, period):
    """Moments of looks that changed nothing, between two that did."""
    parts = round((end - begin) / period)
    return [begin + (end - begin) * number / parts for number in range(1, parts)]


def replay(program, seen, settings, request):
    """looks: seen in the status; compared; different: [at, real, replayed, arithmetic]; rescales: of those compared."""
    case, checks = case_of(seen, settings, request)
    done = subprocess.run([program, "simulate", "hpa", "--vectors", "-", "--explain"], input=json.dumps(case) + "\n", text=True,
                          capture_output=True)
    if done.returncode != 0:
        raise RuntimeError(f"podsense simulate hpa: exit code {done.returncode}: {done.stderr}")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    if len(answers) != len(checks):
        raise RuntimeError(f"podsense simulate hpa answered {len(answers)} of {len(checks)} looks")
    pairs = [(check, answer) for check, answer in zip(checks, answers) if check]
    known = [(check, answer) for check, answer in pairs if check["seen"]]
    different = [{"at": check["at"], "real": check["desired"], "replayed": answer["desired"], "words": answer["explain"]}
                 for check, answer in known if check["desired"] != answer["desired"]]
    return {"looks": len(pairs), "compared": len(known), "rescales": sum(answer["current"] != check["desired"] for check, answer in known),
            "different": different}


def ages(seen, settings, scrapes=None):
    """Source → seconds between each look and what it saw: of each pod's CPU sample, and of its last scrape before the look.

    `scrapes`: pod → moments, ascending."""
    first = next(event["object"] for event in seen["events"] if event["kind"] == "hpa")
    found = {}
    for look in find(seen["events"]):
        pods = pods_before(seen["events"], look["rv"])
        for metric in first["spec"]["metrics"]:
            source = source_of(metric)
            if metric["type"] == "Resource":
                values, known = choose(metric, seen["answers"].get(source, []), look, pods, settings)
                moments = [seconds(one[0]) for one in values.values()] if known and values else []
            else:
                moments = [max((at for at in scraped if look["at"] - 60 <= at <= look["at"]), default=None)
                           for scraped in ((scrapes or {}).get(pod["name"], []) for pod in pods)]
            found.setdefault(source, []).extend(round(look["at"] - at, 2) for at in moments if at is not None)
    return found
