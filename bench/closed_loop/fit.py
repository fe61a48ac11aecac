"""A scenario of `podsense simulate` for a run, from measured values alone: the inputs measured before, and what was seen of start-ups
and ends in runs of the half for fitting. It never reads the other half (results.read_for_fitting refuses it)."""

import statistics

from . import cells

ENOUGH = 20  # start-ups of runs; with fewer those measured before are taken
STEPS = ("scheduled", "process", "ready", "endpoint")


def summary(measured, records):
    """What scenarios are made of. `measured`: of measure.py; `records`: of the half for fitting."""
    starts = [one for record in records for one in record.get("start_ups", []) if all(step in one for step in STEPS)]
    source = "runs for fitting"
    if len(starts) < ENOUGH:
        starts, source = [one for one in measured["start_ups"] if all(step in one for step in STEPS)], "measured before"
    if not starts:
        raise SystemExit("no start-up was measured: foresight_kit.py --measure")
    windows = [window for _, window in measured["samples"]]
    ends = [pod["gone"] - pod["deleted"] for record in records for pod in record.get("pods", {}).values() if "gone" in pod]
    return {
        "service": measured["service"],
        "start": start_of(starts, measured["warm_up_cpu"]),
        "start_from": f"{len(starts)} start-ups, {source}",
        "drain": statistics.median(ends) if len(ends) >= 5 else measured["drain"],
        "kubelet": kubelet_of(windows, measured["settings"]["resolution"]),
        "windows": f"{statistics.median(windows):.1f} s ({min(windows):.1f} to {max(windows):.1f})",
        "routing": routing_of(measured["routing_ratio"]),
        "memory": measured["memory"],
        "settings": measured["settings"],
    }


def values_of(numbers):
    """A distribution: each value as often as it was seen."""
    return {"values": [[f"{max(0.0, number) * 1e3:.0f}ms", 1] for number in numbers]}


def start_of(starts, warm_up_cpu):
    """Stages of a start. The CPU time was asked for after it, so it is at most what the limit lets the quickest start use; and
    what it takes under the limit is part of the time that was measured."""
    warm_up = min(warm_up_cpu / cells.CORES, min(one["ready"] - one["process"] for one in starts))
    return {
        "schedule": values_of(one["scheduled"] for one in starts),
        "pull": values_of(one["process"] - one["scheduled"] for one in starts),
        "load": values_of(one["ready"] - one["process"] - warm_up for one in starts),
        "warm_up_cpu": f"{warm_up * cells.CORES * 1e3:.0f}ms",
        "probe_period": "50ms",  # the chart's startup probe waits for the models: it notices at once
        "propagation": values_of(one["endpoint"] - one["ready"] for one in starts),
    }


def kubelet_of(windows, resolution):
    """cri or cadvisor, whichever the windows of CPU samples are nearer to: metrics-server's resolution, or 10 to 20 s."""
    if not windows:
        raise SystemExit("no sample of metrics.k8s.io was seen: foresight_kit.py --measure")

    def apart(wanted):
        return sum(abs(window - wanted((rank + 0.5) / len(windows))) for rank, window in enumerate(sorted(windows)))

    return "cri" if apart(lambda _: resolution) <= apart(lambda share: 10 + 10 * share) else "cadvisor"


def routing_of(ratio):
    return "round_robin" if ratio is not None and ratio < 0.1 else "random"


def scenario(fitted, record):
    """Of one run, with its seed and shape; a run with fixed replicas has no autoscaler."""
    settings, plan = fitted["settings"], record["plan"]
    run = cells.run_of(record["key"])
    found = {
        "name": record["key"], "length": f"{plan['seconds']}s", "seed": run.seed, "replicas": plan["replicas"],
        "objective": {"latency": f"{cells.OBJECTIVE}s"}, "routing": fitted["routing"],
        "arrivals": {"shape": plan["shape"], "process": plan["process"]}, "clients": {"timeout": "30s"},
        "service": service_of(fitted["service"], plan["cpu_ms"]),
        "pod": {"cpu_request": cells.CPU, "cpu_limit": cells.CPU, "memory_request": "256Mi", "memory_used": round(fitted["memory"])},
        "start": fitted["start"], "stop": {"drain_delay": f"{fitted['drain']:.2f}s", "grace": "40s"},
        "metrics": {"kubelet": fitted["kubelet"], "resolution": f"{settings['resolution']}s", "scrape": f"{settings['scrape']}s"},
        "kubernetes": settings["kubernetes"],
    }
    if record.get("hpa"):
        found["hpa"] = record["hpa"]
        found["controller"] = {name: settings[name] for name in ("sync_period", "downscale_stabilization", "tolerance",
                                                                 "cpu_initialization_period", "initial_readiness_delay")}
    external = {metric["external"]["metric"]["name"]: cells.SIGNALS[run.words[0]]["metric"]
                for metric in (record.get("hpa") or {}).get("metrics", []) if metric["type"] == "External"}
    if external:
        found["metrics"]["external"] = external
    return found


def service_of(service, cpu_ms):
    """For other requests than the measured ones runs take the same times as much; a request beside its run is as it was."""
    scale = cpu_ms / service["cpu_ms"]
    values = [[f"{float(value.removesuffix('ms')) * scale:.4g}ms", count] for value, count in service["run_cpu"]["values"]]
    return {"run_cpu": {"values": values}, "request_cpu": service["request_cpu"]}


def capacity(service, cpu_ms, pods):
    """Requests a second that pods with a CPU limit can do."""
    values = service_of(service, cpu_ms)["run_cpu"]["values"]
    run = sum(float(value.removesuffix("ms")) * count for value, count in values) / sum(count for _, count in values)
    return pods * cells.CORES * 1e3 / (run + float(service["request_cpu"].removesuffix("ms")))


