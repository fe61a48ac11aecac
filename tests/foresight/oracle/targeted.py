"""Cases for rules that chance rarely meets, each named for its rule."""


def cpu(percent=50, **more):
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"type": "Resource", "resource": {"name": "cpu", "target": target, **more}}


def cpu_value(value):
    return {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "AverageValue", "averageValue": value}}}


def external(value, kind="AverageValue"):
    target = {"type": kind, "averageValue" if kind == "AverageValue" else "value": value}
    return {"type": "External", "external": {"metric": {"name": "q"}, "target": target}}


def of_object(value, kind="AverageValue"):
    target = {"type": kind, "averageValue" if kind == "AverageValue" else "value": value}
    return {"type": "Object", "object": {"metric": {"name": "q"}, "target": target,
                                         "describedObject": {"kind": "Service", "name": "s"}}}  # fmt: skip


def of_pods(value):
    target = {"type": "AverageValue", "averageValue": value}
    return {"type": "Pods", "pods": {"metric": {"name": "q"}, "target": target}}


def hpa(*metrics, least=1, most=20, **behavior):
    spec = {"minReplicas": least, "maxReplicas": most, "metrics": list(metrics) or [cpu()]}
    if behavior:
        spec["behavior"] = behavior.pop("behavior", behavior)
    return {"spec": spec}


def pods(count, usage, prefix="p", **more):
    base = {"start": -600, "readyAt": -500, "request": {"cpu": "100m"}, "window": 15}
    sample = usage if isinstance(usage, dict) else {"cpu": usage}
    return [{"name": f"{prefix}{i}", **base, "usage": sample, **more} for i in range(count)]


def without(listed, key):
    return [{k: v for k, v in p.items() if k != key} for p in listed]


def case(name, autoscaler, replicas, *ticks, **more):
    ticks = [t if isinstance(t, dict) else {"pods": t} for t in ticks]
    return {"name": name, "hpa": autoscaler, "replicas": replicas, "ticks": ticks, **more}


def rules(**more):
    return {"stabilizationWindowSeconds": 0, **more}


def policies(kind, value, period):
    return [{"type": kind, "value": value, "periodSeconds": period}]


def tolerance():
    for usage in (44, 45, 46, 54, 55, 56):
        yield case(f"tolerance-{usage}-of-50", hpa(), 10, pods(10, f"{usage}m"), pods(10, f"{usage}m"))
    for own in ("0", "0.07", "70m", "0.3", "0.100000000000000000001"):
        for usage in ("46500u", "47m", "53m", "53500u", "54m", "36m", "64m", "65m", "66m"):
            spec = hpa(cpu_value("50m"), scaleUp={"tolerance": own}, scaleDown=rules(tolerance=own))
            yield case(f"own-tolerance-{own}-{usage}", spec, 10, pods(10, usage), pods(10, usage))
    # 7 × 0.1 in doubles is above 0.7, so that 0.3 is just inside.
    spec = hpa(cpu_value("50m"), scaleDown=rules(tolerance="0.7"))
    yield case("own-tolerance-0.7-15m", spec, 10, pods(10, "15m"), pods(10, "15m"))
    for total in ("6990m", "7", "7700m", "7701m", "6300m", "6299m"):
        tick = {"pods": pods(10, "1m"), "external": {"q": [total]}, "object": {"q": total}}
        for name, one in (("external", external("700m")), ("object", of_object("700m"))):
            yield case(f"average-{name}-{total}", hpa(one), 10, {**tick, "status": 9}, tick)
        for name, one in (("external", external("7", "Value")), ("object", of_object("7", "Value"))):
            yield case(f"value-{name}-{total}", hpa(one), 10, {**tick, "status": 9}, tick)


def paths():
    up = [pods(n, "950m" if n == 1 else "250m") for n in (1, 4, 8, 16)]
    yield case("without-behavior", hpa(), 1, *up)
    yield case("empty-behavior", hpa(behavior={}), 1, *up)
    yield case("only-up", hpa(scaleUp={}), 1, *up)
    yield case("only-down", hpa(scaleDown={}), 1, *up)
    down = [pods(10, "10m")] * 24
    yield case("down-without-behavior", hpa(), 10, *down)
    yield case("down-empty-behavior", hpa(behavior={}), 10, *down)
    yield case("down-empty-behavior-flag", hpa(behavior={}), 10, *down[:8], controller={"downscaleStabilization": 60})
    yield case("down-flag-with-a-fraction", hpa(behavior={}), 10, *[{"at": 0.5 * i, "pods": pods(10, "10m")} for i in range(9)],
               mode="direct", controller={"downscaleStabilization": 2.7})  # fmt: skip
    for beat in (14, 15, 16):
        moves = [{"at": beat * i, "pods": pods(10, u)} for i, u in enumerate(["80m", "10m", "10m", "10m", "90m", "10m"])]
        for window in (15, 30):
            both = hpa(most=40, scaleUp=rules(stabilizationWindowSeconds=window), scaleDown=rules(stabilizationWindowSeconds=window))
            yield case(f"windows-{window}-beat-{beat}", both, 10, *moves, mode="direct")
        yield case(f"window-of-flag-beat-{beat}", hpa(), 10, *moves, mode="direct", controller={"downscaleStabilization": 30})
    empty = {"minReplicas": 1, "maxReplicas": 9}
    yield case("default-metric", {"spec": empty}, 2, pods(2, "79m"), pods(2, "95m"))
    yield case("default-minimum", {"spec": {"maxReplicas": 9, "metrics": [cpu()]}}, 3, *[pods(3, "0")] * 22)


def rates():
    for value in (10, 20, 29, 7, 100, 150):
        for start in (1, 7, 10, 50):
            spec = hpa(most=500, scaleUp=rules(policies=policies("Percent", value, 60)))
            yield case(f"up-{value}-percent-of-{start}", spec, start, pods(start, "500m"), pods(start, "500m"))
            spec = hpa(most=500, scaleDown=rules(policies=policies("Percent", value, 60)))
            yield case(f"down-{value}-percent-of-{start}", spec, start, pods(start, "1m"), pods(start, "1m"))
    for select in ("Max", "Min", "Disabled"):
        both = policies("Pods", 3, 30) + policies("Percent", 50, 60)
        turns = ["300m", "300m", "300m", "1m", "1m", "300m", "1m", "1m", "300m", "300m", "20m", "20m"]
        spec = hpa(most=60, scaleUp=rules(selectPolicy=select, policies=both), scaleDown=rules(selectPolicy=select, policies=both))
        for beat in (10, 15, 20, 30):
            ticks = [{"at": beat * (i + 1), "pods": pods(10, u)} for i, u in enumerate(turns)]
            yield case(f"both-ways-{select}-{beat}", spec, 10, *ticks, mode="direct")
    spec = hpa(most=30, scaleUp=rules(policies=policies("Pods", 2, 15)), scaleDown=rules(policies=policies("Pods", 5, 1800)))
    yield case("events-of-both-ways", spec, 4, *[pods(6, u) for u in ["300m"] * 6 + ["1m"] * 6 + ["300m"] * 6])
    yield case("above-the-maximum", hpa(most=5, scaleDown=rules(policies=policies("Pods", 1, 60))), 9, *[pods(5, "1m")] * 8)
    yield case("below-the-minimum", hpa(least=4, scaleUp=rules(policies=policies("Pods", 1, 60))), 1, *[pods(4, "300m")] * 8)
    yield case("maximum-before-limit", hpa(most=5), 4, pods(4, "300m"), pods(5, "300m"))


def conditions():
    busy, idle = pods(2, "100m"), pods(2, "10m")
    young = {"start": 0, "readyAt": 0}
    yield case("new-pods-count-0", hpa(), 4, busy + pods(2, "300m", "n", ready=False, **young))
    yield case("no-samples-hold-down", hpa(), 4, *[idle + without(pods(2, "0", "m"), "usage")] * 22)
    yield case("no-samples-hold-down-150", hpa(cpu(150)), 4, *[idle + without(pods(2, "0", "m"), "usage")] * 22)
    yield case("no-samples-at-the-target", hpa(), 4, pods(2, "50m") + without(pods(2, "0", "m"), "usage"))
    for at in (284, 285, 286, 299, 300, 301):
        late = [{"at": at, "pods": busy + pods(2, "300m", "n", ready=False, start=0, readyAt=3)}]
        yield case(f"end-of-initialization-{at}", hpa(), 4, *late, mode="direct")
    for since in (0, 29, 30, 31):
        was = {"pods": busy + pods(2, "300m", "n", ready=False, start=-900, readyAt=-900 + since)}
        yield case(f"ready-once-{since}", hpa(), 4, was)
    for age in (14, 15, 16):
        sample = {"at": 20, "pods": busy + pods(2, "300m", "n", start=0, readyAt=1, usageAt=1 + age)}
        yield case(f"sample-age-{age}", hpa(), 4, sample, mode="direct")
    for status in ("True", "False", "Unknown"):
        odd = {"readyStatus": status, **young}
        yield case(f"ready-{status}", hpa(), 4, busy + pods(2, "300m", "n", usageAt=15, window=1, **odd))
        yield case(f"value-ready-{status}", hpa(external("1", "Value")), 4,
                   {"pods": busy + pods(2, "300m", "n", **odd), "external": {"q": ["2"]}})  # fmt: skip
    for phase in ("Pending", "Running", "Succeeded", "Failed", "Unknown"):
        mix = busy + pods(2, "300m", "n", phase=phase)
        tick = {"pods": mix, "custom": {"q": {p["name"]: "3" for p in mix}}, "external": {"q": ["5"]}}
        for name, one in (("cpu", cpu()), ("pods", of_pods("1")), ("value", external("2", "Value"))):
            yield case(f"phase-{phase}-{name}", hpa(one), 4, tick)
    yield case("deleted", hpa(), 4, busy + pods(2, "300m", "n", deleted=True))
    yield case("deleted-value", hpa(external("2", "Value")), 4, {"pods": busy + pods(2, "1m", "n", deleted=True), "external": {"q": ["5"]}})
    yield case("no-start", hpa(), 4, busy + without(pods(2, "300m", "n"), "start"))
    yield case("no-condition", hpa(), 4, busy + pods(2, "300m", "n", noReady=True))
    memory = {"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "64Mi"}}}
    some = pods(2, {"cpu": "1m", "memory": "1.5Gi"}) + pods(1, {"memory": "1Gi"}, "n", ready=False, **young)
    yield case("memory-takes-all", hpa(memory), 3, some)
    yield case("fewer-than-there-are", hpa(), 9, pods(3, "60m") + without(pods(1, "0", "m"), "usage"))
    yield case("more-than-there-are", hpa(), 2, *[pods(6, "40m") + without(pods(1, "0", "m"), "usage")] * 2)
    yield case("turns-around", hpa(), 6, pods(1, "55m") + pods(5, "90m", "n", ready=False, **young))
    yield case("strangers", hpa(of_pods("1")), 2, {"pods": busy, "custom": {"q": {"p0": "1", "p1": "1", "x": "7", "y": "7"}}})


def requests():
    other = pods(2, "100m")
    for name, more in {
        "failed-without-request": {"request": {}, "phase": "Failed"},
        "sidecar-without-request": {"sidecar": {}},
        "sidecar": {"sidecar": {"cpu": "300m"}, "sidecarUsage": {"cpu": "30m"}},
        "sidecar-without-usage": {"sidecar": {"cpu": "300m"}, "sidecarUsage": {}},
        "restartable-init": {"restartableInit": {"cpu": "300m"}},
        "init": {"init": {"cpu": "900m"}},
        "pod-level": {"podRequest": {"cpu": "400m"}},
        "pod-level-overhead": {"podRequest": {"cpu": "400m"}, "overhead": {"cpu": "100500u"}},
        "pod-level-of-another": {"podRequest": {"memory": "1Gi"}, "restartableInit": {"cpu": "50m"}},
        "pod-level-peak": {"podRequest": {"memory": "1Gi"}, "restartableInit": {"cpu": "50m"}, "init": {"cpu": "900m"}},
        "pod-level-missing": {"podRequest": {"memory": "1Gi"}, "request": {}},
        "pod-level-odd": {"podRequest": {"example.com/x": "1"}},
        "overhead-alone": {"overhead": {"cpu": "900m"}},
        "parts": {"request": {"cpu": "100100u"}, "sidecar": {"cpu": "100100u"}, "sidecarUsage": {"cpu": "1n"}},
        "nothing": {"request": {"cpu": "0"}},
    }.items():
        mixed = other + pods(2, "100m", "n", **more)
        for container in ("", "main", "sidecar", "restartable-init"):
            source = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}
            one = {"type": "ContainerResource", "containerResource": {**source, "container": container}} if container else cpu()
            yield case(f"request-{name}-{container or 'all'}", hpa(one), 4, mixed)
    yield case("request-all-nothing", hpa(), 2, pods(2, "100m", request={"cpu": "0"}))
    yield case("request-gate", hpa(), 2, pods(2, "100m", podRequest={"cpu": "400m"}), kubernetes="1.34", features={"PodLevelResources": False})


def several():
    tick = {"pods": pods(4, "100m"), "external": {"q": ["3"]}}
    yield case("one-fails-up", hpa(cpu(), of_object("1")), 4, tick)
    yield case("one-fails-down", hpa(cpu(90), of_object("1")), 4, *[{"pods": pods(4, "10m")}] * 22)
    yield case("failure-forgets", hpa(), 4, *[{"pods": pods(4, "10m"), "fail": ["resource"] if i % 3 else []} for i in range(26)])
    yield case("largest-wins", hpa(cpu(), external("500m"), external("4", "Value")), 4, tick)
    yield case("zero-is-replaced", hpa(external("1"), cpu(), least=1), 2, {"pods": pods(2, "100m"), "external": {"q": ["0"]}})
    yield case("negative", hpa(external("1"), cpu()), 2, *[{"pods": pods(2, "50m"), "external": {"q": ["-5"]}}] * 3)
    yield case("type-without-its-value", hpa({"type": "Object", "object": {"metric": {"name": "q"}, "target": {"type": "AverageValue", "value": "1"},
               "describedObject": {"kind": "Service", "name": "s"}}}), 2, {"pods": pods(2, "1m"), "object": {"q": "9"}})  # fmt: skip
    yield case("type-of-external", hpa({"type": "External", "external": {"metric": {"name": "q"}, "target": {"type": "Utilization", "value": "1"}}}),
               2, {"pods": pods(2, "1m"), "external": {"q": ["9"]}})  # fmt: skip
    for values in (["9223372036854775807"], ["9Ei", "9Ei"], ["4e15", "4e15", "4e15"], ["5e15", "5e15"], ["9e15", "9e15", "9e15"], ["3e9"], ["-9e15", "-9e15"]):
        tick = {"pods": pods(3, "100m"), "external": {"q": values}, "object": {"q": values[0]}, "custom": {"q": {"p0": values[0], "p1": values[-1]}}}
        for name, one in (("external", external("1")), ("value", external("1", "Value")), ("object", of_object("1")), ("object-value", of_object("1", "Value")), ("pods", of_pods("1"))):
            yield case(f"overflow-{name}-{'+'.join(values)}", hpa(one, scaleUp={}), 3, tick, tick)


def zero():
    quiet, busy = {"external": {"q": ["0"]}, "status": 0}, {"external": {"q": ["3"]}, "status": 0}
    spec = hpa(external("1"), least=0, scaleDown=rules())
    edit = {"hpa": hpa(external("1"), least=5, scaleDown=rules())}
    for on in (True, False):
        gate = {"features": {"HPAScaleToZero": on}} if on else {}
        name = "on" if on else "default"
        if on:
            yield case("to-zero-and-back", spec, 2, {**quiet, "pods": pods(2, "1m")}, quiet, quiet, busy, busy, **gate)
            yield case("to-zero-by-hand", spec, 2, {**busy, "spec": 0}, busy, busy, **gate)
            yield case("minimum-raised-at-zero", spec, 2, {**quiet, "pods": pods(2, "1m")}, {**quiet, **edit}, busy, **gate)
            yield case("to-zero-with-value", hpa(external("1", "Value"), least=0, scaleDown=rules()), 2,
                       {**quiet, "pods": pods(2, "1m")}, quiet, busy, busy, **gate)  # fmt: skip
            yield case("to-zero-with-cpu-too", hpa(external("1"), cpu(), least=0, scaleDown=rules()), 2,
                       {**quiet, "pods": pods(2, "0")}, quiet, busy, busy, **gate)  # fmt: skip
        yield case(f"nothing-at-zero-{name}", hpa(external("1"), least=1), 0, busy, {**busy, "spec": 2}, {**busy, "spec": 0}, **gate)
        yield case(f"edit-{name}", hpa(), 3, pods(3, "60m"), {"pods": pods(3, "60m"), "hpa": hpa(cpu(20), most=9)}, pods(3, "60m"),
                   {"pods": pods(3, "60m"), "hpa": hpa(cpu(20), least=7, most=9, scaleUp=rules())}, pods(3, "60m"), **gate)  # fmt: skip


def keda():
    one = external("5")
    one["external"]["metric"]["selector"] = {"matchLabels": {"scaledobject.keda.sh/name": "x"}}
    for total in ("34", "37", "40", "41", "100", "2"):
        yield case(f"keda-{total}", hpa(one), 8, *[{"pods": pods(8, "1m"), "external": {"q": [total]}}] * 22)


def cases():
    for group in (tolerance, paths, rates, conditions, requests, several, zero, keda):
        yield from group()
