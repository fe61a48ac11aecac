#!/usr/bin/env python3
"""Writes cases for the autoscaler, one JSON object a line.

    generate.py targeted                       one case for each rule that chance rarely meets
    generate.py random SEED CASES loop|direct
"""

import json
import random
import sys

import targeted


class Chance(random.Random):
    def happens(self, share):
        return self.random() < share


def policy(r):
    return {
        "type": r.choice(["Pods", "Percent"]),
        "value": r.choice([1, 2, 3, 4, 5, 7, 10, 20, 25, 50, 100, 150]),
        "periodSeconds": r.choice([5, 15, 20, 30, 60, 90, 120, 300]),
    }


def rules(r):
    out = {}
    if r.happens(0.7):
        out["stabilizationWindowSeconds"] = r.choice([0, 0, 15, 30, 45, 60, 120, 300])
    if r.happens(0.7):
        out["selectPolicy"] = r.choice(["Max", "Max", "Min", "Disabled"])
    if r.happens(0.8):
        out["policies"] = [policy(r) for _ in range(r.randint(1, 3))]
    if r.happens(0.3):
        out["tolerance"] = r.choice(["0", "0.01", "0.05", "0.07", "70m", "0.15", "0.2", "0.5"])
    return out


def resource_metric(r, kind):
    name = r.choice(["cpu", "cpu", "cpu", "memory"])
    target = {"type": "Utilization", "averageUtilization": r.choice([30, 50, 60, 70, 80, 90, 100, 150])}
    if r.happens(0.25):
        value = ["50m", "100m", "150m"] if name == "cpu" else ["64Mi", "100Mi", "0.1Gi"]
        target = {"type": "AverageValue", "averageValue": r.choice(value)}
    source = {"name": name, "target": target}
    if kind == "Resource":
        return {"type": kind, "resource": source}
    source["container"] = r.choice(["main", "main", "sidecar", "restartable-init"])
    return {"type": kind, "containerResource": source}


def metric(r):
    kind = r.choice(["Resource"] * 4 + ["ContainerResource", "Pods", "Pods", "Object", "External", "External"])
    if kind in ("Resource", "ContainerResource"):
        return resource_metric(r, kind)
    average = r.choice(["700m", "2", "500m", "50m", "1", "100m"])
    source = {"metric": {"name": "q"}, "target": {"type": "AverageValue", "averageValue": average}}
    if kind == "Pods":
        return {"type": kind, "pods": source}
    if r.happens(0.5):
        source["target"] = {"type": "Value", "value": r.choice(["700m", "2", "10", "500m"])}
    if kind == "Object":
        source["describedObject"] = {"kind": "Service", "name": "s", "apiVersion": "v1"}
        return {"type": kind, "object": source}
    return {"type": kind, "external": source}


def conditions(r, p, now):
    """What a pod that is not simply running and ready looks like."""
    if r.happens(0.98):
        p["start"] = now - r.choice([0, 1, 5, 10, 20, 29, 30, 31, 60, 120, 250, 299, 300, 301, 600, 600, 600, 600])
    p["readyAt"] = p.get("start", now) + r.choice([0, 1, 3, 3, 10, 29, 30, 31, 60])
    if r.happens(0.12):
        p["ready"] = False
    elif r.happens(0.02):
        p["readyStatus"] = "Unknown"
    if r.happens(0.02):
        p["noReady"] = True
    phase = r.random()
    if phase < 0.08:
        p["phase"] = "Pending" if phase < 0.05 else "Failed" if phase < 0.07 else "Succeeded"
    if r.happens(0.04):
        p["deleted"] = True


def containers(r, p):
    if r.happens(0.1):
        p["sidecar"] = {"cpu": "50m", "memory": "32Mi"} if r.happens(0.95) else {}
        if "usage" in p and r.happens(0.9):
            p["sidecarUsage"] = {"cpu": f"{r.randint(0, 80)}m", "memory": "16Mi"}
    if r.happens(0.05):
        p["restartableInit"] = {"cpu": r.choice(["20m", "300m"]), "memory": "8Mi"}
    if r.happens(0.03):
        p["init"] = {"cpu": "400m", "memory": "256Mi"}
    if r.happens(0.03):
        p["podRequest"] = r.choice([{"cpu": "150m"}, {"memory": "192Mi"}, {"cpu": "80m", "memory": "64Mi"}])
        if r.happens(0.5):
            p["overhead"] = {"cpu": "10500u", "memory": "1Mi"}
    if r.happens(0.003):
        del p["request"]["cpu"]


def pod(r, index, now, level, is_plain):
    p = {"name": f"p{index}", "request": {"cpu": r.choice(["100m", "100m", "100m", "250m"]), "memory": "128Mi"}}
    if is_plain:
        p["start"], p["readyAt"] = now - 1000, now - 900
    else:
        conditions(r, p, now)
    if is_plain or r.happens(0.9):
        cpu = max(0, round(level * r.uniform(0.6, 1.4), 1))
        p["usage"] = {"cpu": f"{int(cpu * 10)}00u", "memory": f"{int(128 * r.uniform(0.3, 1.2))}Mi"}
        p["usageAt"] = now - r.choice([0, 1, 5, 10, 14, 15, 20])
        p["window"] = r.choice([10, 12, 15, 20, 60])
    if not is_plain:
        if r.happens(0.02) and "usage" in p:
            del p["usage"]["cpu"]
        containers(r, p)
    return p


def one_tick(r, now, level, size, is_plain):
    pods = [pod(r, i, now, level, is_plain) for i in range(size)]
    names = [p["name"] for p in pods if r.happens(0.93)] + (["stranger"] if r.happens(0.05) else [])
    tick = {"at": now, "pods": pods, "custom": {"q": {x: f"{int(level * r.uniform(2, 20))}m" for x in names}}}
    idle = r.happens(0.1)
    if r.happens(0.95):
        tick["object"] = {"q": "0" if idle else f"{int(level * r.uniform(2, 60))}m"}
    if r.happens(0.95):
        many = r.choice([1, 1, 1, 2])
        tick["external"] = {"q": ["0" if idle else f"{int(level * r.uniform(1, 60))}m" for _ in range(many)]}
    if r.happens(0.05):
        tick["fail"] = r.sample(["resource", "custom", "object", "external"], r.randint(1, 3))
    if r.happens(0.05):
        tick["spec"] = r.choice([0, 1, 2, 5, 10, 60, 250])
    if r.happens(0.3):
        tick["status"] = r.choice([size, max(0, size - 1), size + 1, 0, 1])
    return tick


def autoscaler(r):
    spec = {
        "minReplicas": r.choice([1, 1, 1, 2, 3]),
        "maxReplicas": r.choice([3, 6, 10, 20, 50, 200]),
        "metrics": [metric(r) for _ in range(r.choice([1, 1, 1, 2, 3]))],
    }
    if any(one["type"] in ("Object", "External") for one in spec["metrics"]) and r.happens(0.4):
        spec["minReplicas"] = 0
    if r.happens(0.7):
        spec["behavior"] = {key: rules(r) for key in ("scaleUp", "scaleDown") if r.happens(0.7)}
    return {"spec": spec}


def random_case(r, name, mode):
    sync = 15 if mode == "direct" else r.choice([5, 10, 15, 30])
    case = {
        "name": name,
        "mode": mode,
        "features": {"HPAScaleToZero": True},
        "hpa": autoscaler(r),
        "replicas": r.choice([0, 1, 1, 2, 3, 5, 8, 13, 40]),
        "controller": {
            "syncPeriod": sync,
            "downscaleStabilization": r.choice([300, 300, 60, 0]),
            "tolerance": r.choice([0.1, 0.1, 0.05, 0.2, 0.0]),
            "cpuInitializationPeriod": r.choice([300, 300, 10, 60]),
            "initialReadinessDelay": r.choice([30, 30, 5, 10]),
        },
        "ticks": [],
    }
    if r.happens(0.1):  # off in 1.34 and on from 1.35 on by default; 1.37 has no choice any more
        version, on = r.choice([("1.34", True), ("1.35", False), ("1.36", False)])
        case["kubernetes"], case["features"]["HPAConfigurableTolerance"] = version, on
    now, level, size = 0, r.uniform(5, 200), min(10, case["replicas"])
    is_plain = r.happens(0.4)
    for i in range(r.randint(10, 40)):
        now = now + r.choice([1, 5, 10, 15, 15, 15, 16, 30]) if mode == "direct" else (i + 1) * sync
        level = min(900, max(1, level * r.choice([1, 1, 1, 1.05, 0.95, 1.3, 0.7, 2, 0.4])))
        size = max(0, min(r.choice([8, 12, 30]), size + r.choice([0, 0, 0, 1, -1, 2, -2])))
        case["ticks"].append(one_tick(r, now, level, size, is_plain))
        if r.happens(0.02):
            edited = autoscaler(r)
            case["ticks"][-1]["hpa"] = edited
    return case


def main():
    if sys.argv[1:] == ["targeted"]:
        cases = targeted.cases()
    elif len(sys.argv) == 5 and sys.argv[1] == "random" and sys.argv[4] in ("loop", "direct"):
        seed, count, mode = int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
        r = Chance(f"{seed}-{mode}")
        cases = (random_case(r, f"{mode}-{seed}-{i}", mode) for i in range(count))
    else:
        sys.exit(__doc__)
    for case in cases:
        print(json.dumps(case, separators=(",", ":")))


if __name__ == "__main__":
    main()
