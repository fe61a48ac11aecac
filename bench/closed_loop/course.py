"""A run's figures over time, from what was seen (watch.py). All moments are seconds since the load began."""

import datetime


def seconds(text):
    """Unix time of a moment as the API writes it."""
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def pods_of(events, began):
    """name → moments: created, scheduled (it has a startTime), running, ready, endpoint, deleted, gone. What was so at first
    has the moment None for `created`."""
    pods = {}
    # Of what there was at first, pods come before the slices that name them.
    for event in sorted(events, key=lambda one: (not one.get("first"), one["kind"] == "slice" and "first" in one)):
        at = event["t"] - began
        if event["kind"] == "pod":
            note_pod(pods.setdefault(event["object"]["name"], {"created": None if event.get("first") else at}), event, at)
        elif event["kind"] == "slice":
            for name in event["object"]["ready"]:
                if name in pods:
                    pods[name].setdefault("endpoint", at)
    return pods


def note_pod(pod, event, at):
    seen = event["object"]
    if event.get("gone"):
        pod.setdefault("deleted", at)
        pod.setdefault("gone", at)
        return
    if seen["start"]:
        pod.setdefault("scheduled", at)
    if seen["running"]:
        pod.setdefault("running", at)
    if seen["deleted"]:
        pod.setdefault("deleted", at)
    if seen.get("ready") == "True":
        pod.setdefault("ready", at)


def rows(events, began, length):
    """What was so at the end of each second: ready (not deleted) pods, created (not deleted) ones, terminating ones, the
    target's spec.replicas, the autoscaler's wish and the values of its metrics."""
    ordered = sorted(events, key=lambda event: event["t"])
    pods, target, wish, values, found, at = {}, None, None, [], [], 0
    for second in range(1, int(length) + 1):
        while at < len(ordered) and ordered[at]["t"] - began <= second:
            event = ordered[at]
            at += 1
            if event["kind"] == "pod":
                if event.get("gone"):
                    pods.pop(event["object"]["name"], None)
                else:
                    pods[event["object"]["name"]] = event["object"]
            elif event["kind"] == "deployment":
                target = event["object"]["spec"]
            elif event["kind"] == "hpa":
                status = event["object"]["status"]
                wish, values = status.get("desiredReplicas"), metric_values(status)
        stay = [pod for pod in pods.values() if not pod["deleted"]]
        found.append({"ready": sum(pod.get("ready") == "True" for pod in stay), "pods": len(stay), "terminating": len(pods) - len(stay),
                      "target": target, "desired": wish, "values": values})
    return found


def metric_values(status):
    """One text for each metric: its utilization, or its average."""
    found = []
    for one in status.get("currentMetrics") or []:
        current = one.get(one["type"][:1].lower() + one["type"][1:], {}).get("current", {})
        found.append(current.get("averageUtilization", current.get("averageValue")))
    return found


def pod_seconds(pods, length):
    """From creation until gone, within the run."""
    total = 0.0
    for pod in pods.values():
        begin = max(0.0, pod["created"] if pod["created"] is not None else 0.0)
        total += max(0.0, min(length, pod.get("gone", length)) - begin)
    return total


def start_ups(pods):
    """Of the pods that were created meanwhile and became ready: seconds from creation to each step."""
    found = []
    for name, pod in sorted(pods.items()):
        if pod["created"] is not None and "ready" in pod:
            found.append({"pod": name} | {step: pod[step] - pod["created"] for step in ("scheduled", "process", "running", "ready", "endpoint")
                                          if step in pod})
    return found


def dispersion(counts):
    """Variance over mean of the requests due in each second: 1 for Poisson arrivals of one rate."""
    if not counts or not sum(counts):
        return None
    mean = sum(counts) / len(counts)
    return sum((one - mean) ** 2 for one in counts) / len(counts) / mean


def offered_by_second(report):
    """From the timeline of a report of `podsense load`."""
    timeline = report["timeline"]
    found = [0] * int(report["plan"]["seconds"])
    for one in timeline["slices"]:
        if one["start"] < len(found):
            found[int(one["start"] + 1e-9)] += one["offered"]
    return found


def routing_ratio(served, pods, offered):
    """How unequally requests went to pods: chi-squared over its degrees of freedom. About 1 where each request takes a pod at
    random, near 0 for turns, far above where connections stay. None where fewer than two pods served.

    `served`: pod → requests; each second's requests are expected to be spread evenly over the pods that took traffic in it."""
    expected = dict.fromkeys(served, 0.0)
    for second, count in enumerate(offered):
        there = [name for name in served if takes_traffic(pods.get(name, {}), second)]
        for name in there:
            expected[name] += count / len(there)
    chosen = [name for name in served if expected[name] >= 5]
    total = sum(expected[name] for name in chosen)
    if len(chosen) < 2:
        return None
    scale = sum(served[name] for name in chosen) / total
    return sum((served[name] - expected[name] * scale) ** 2 / (expected[name] * scale) for name in chosen) / (len(chosen) - 1)


def takes_traffic(pod, second):
    begin = pod.get("endpoint", pod.get("ready"))
    return begin is not None and begin <= second and second < pod.get("deleted", float("inf"))
