"""The inputs of a simulation, measured before any run: CPU of a request, start-ups, samples of metrics.k8s.io, routing."""

import http.client
import json
import statistics
import time
import urllib.parse

from compare import describe_machine
from foresight import measure as measure_service
from metrics_pipeline import cluster

from . import cells, course, looks, run, watch

REQUESTS = 300
STARTS = 5
SAMPLED = 120  # seconds under load, for samples of CPU
BATCHES = 10  # of two pods a single one may be spread evenly by chance


class PodServer:
    """One pod, as bench/foresight.py measures a server: a new connection for each request, as in a run."""

    def __init__(self, bench, url):
        self.bench, self.place = bench, urllib.parse.urlsplit(url)
        (self.pod,) = bench.pods()

    def post(self, path, body):
        connection = http.client.HTTPConnection(self.place.hostname, self.place.port, timeout=30)
        try:
            connection.request("POST", path, body)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def cpu_seconds(self):
        return self.bench.metrics(self.pod)["process_cpu_seconds_total"]


def service(bench):
    """CPU times of a run and of the rest of a request, in a pod without a CPU limit."""
    url, _ = bench.begin(cells.Run("start:1", 1), "--set", "resources.limits.cpu=null")
    server = PodServer(bench, url)
    found, used, stretch = measure_service(server, REQUESTS, json.dumps({"cpu_ms": cells.CPU_MS}).encode())
    memory = bench.metrics(server.pod)["process_resident_memory_bytes"]
    return {"service": found | {"cpu_ms": cells.CPU_MS}, "need": used, "stretch": stretch, "memory": memory}


def starts(bench):
    """Start-ups one by one, the CPU time that a start takes, and how long pods take to end."""
    bench.begin(cells.Run("start:1", 1))
    found, warm, ends = [], [], []
    for _ in range(STARTS):
        seen, began, last = run.start_pods(bench, 1)
        times = run.figures_over_time(seen, began, 0, last)
        found += times["start_ups"]
        warm += [last[one["pod"]]["process_cpu_seconds_total"] for one in times["start_ups"] if last.get(one["pod"])]
        ends.append(end_pod(bench))
    return {"start_ups": found, "warm_up_cpu": statistics.median(warm), "drain": statistics.median(ends)}


def end_pod(bench):
    """Back to one pod; seconds from the deletion of the other until it is gone."""
    seen = watch.Watch(bench.api, bench.namespace, "")
    try:
        cluster.kubectl(f"-n {bench.namespace} scale deployment/podsense --replicas=1")
        cluster.wait_ready(bench.namespace, 1)
    finally:
        seen = seen.end()
    return next(pod["gone"] - pod["deleted"] for pod in course.pods_of(seen["events"], 0).values() if "gone" in pod)


def samples(bench, needed):
    """[moment, window] of each CPU sample that metrics-server had of a busy pod."""
    url, _ = bench.begin(cells.Run("limit:25", 1))
    ask = watch.Ask(bench.api, "resource", f"/apis/metrics.k8s.io/v1beta1/namespaces/{bench.namespace}/pods")
    plan = {"cpu_ms": cells.CPU_MS, "shape": f"constant:{0.7 * cells.CORES / needed:.4g}", "process": "poisson", "seconds": SAMPLED}
    began, _ = run.send(bench.options.program, url, plan, 1)
    ask.stop()
    found = {(looks.seconds(at), round(looks.duration(window), 3)) for answer in ask.answers for at, window, _ in (answer["values"] or {}).values()}
    return {"samples": sorted([at, window] for at, window in found if at > began),
            "answers": [[answer["t"] - began, answer["until"] - began] for answer in ask.answers]}


def routing(bench):
    """How unequally short requests are spread over two pods: the mean of some batches."""
    url, _ = bench.begin(cells.Run("fixed:0.5", 1))
    plan = {"cpu_ms": 1, "shape": "constant:20", "process": "poisson", "seconds": 2}
    ratios, routed = [], []
    for batch in range(1, BATCHES + 1):
        first = {pod: bench.metrics(pod) for pod in bench.pods()}
        _, report = run.send(bench.options.program, url, plan, batch)
        spread = run.served(first, {pod: bench.metrics(pod) for pod in first})["by_pod"]
        there = dict.fromkeys(spread, {"endpoint": 0.0})
        ratio = course.routing_ratio(spread, there, course.offered_by_second(report))
        ratios += [] if ratio is None else [ratio]
        routed.append(sorted(spread.values()))
    return {"routing_ratio": statistics.mean(ratios) if ratios else None, "routed": routed}


def all_inputs(bench):
    machine = run.Machine()
    found = service(bench)
    found |= starts(bench)
    found |= samples(bench, found["need"])
    found |= routing(bench)
    return found | {"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "machine": describe_machine(), "settings": bench.settings,
                    "busy": machine.end(0)}
