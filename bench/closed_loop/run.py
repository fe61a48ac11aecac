"""One run on the cluster: the release reset to its begin, the load, and what was seen meanwhile."""

import json
import pathlib
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

import metrics_pipeline
from compare import Others, describe_machine
from metrics_pipeline import cluster
from overload import within

from . import cells, course, fit, looks, watch

ADMIN = 8000
QUIET = 10  # seconds in a row
IDLE = 0.2  # of a metric's target: an autoscaler without load sees less
# Of the node's programs: metrics-server, autoscaler. Kubernetes' defaults elsewhere.
KIT = {"resolution": 10, "sync_period": 5, "cpu_initialization_period": 10, "initial_readiness_delay": 5}
ELSEWHERE = {"resolution": 15, "sync_period": 15, "cpu_initialization_period": 300, "initial_readiness_delay": 30}


class Failed(Exception):
    """A run that gives no record; it is tried again later."""


class Bench:
    """The cluster as runs use it. `prometheus`: URL or None."""

    def __init__(self, api, options, prometheus):
        self.api, self.options, self.prometheus = api, options, prometheus
        self.namespace = options.namespace
        version = api.get("/version")
        found = KIT if cluster.platform() == "kit" else ELSEWHERE
        self.settings = {"kubernetes": f"{version['major']}.{version['minor'].rstrip('+')}", "tolerance": 0.1, "downscale_stabilization": 300,
                         "scrape": metrics_pipeline.SCRAPE, **found}

    def metrics(self, pod):
        """name → sum over all series of a pod's own metrics; empty where it does not answer."""
        text = self.api.text(f"/api/v1/namespaces/{self.namespace}/pods/{pod}:{ADMIN}/proxy/metrics")
        found = {}
        for line in (text or "").splitlines():
            if line and not line.startswith("#"):
                name, value = line.split("{")[0].split(" ")[0], float(line.rsplit(" ", 1)[1])
                found[name] = found.get(name, 0.0) + value
        return found

    def pods(self):
        return [pod["metadata"]["name"] for pod in cluster.pods(self.namespace)]

    def scaling(self, run):
        """Flags of the release, and the name of its autoscaler."""
        window = json.dumps({"scaleDown": {"stabilizationWindowSeconds": cells.WINDOW}})
        if run.kind != "loop":
            pods = cells.FIXED_PODS if run.kind == "fixed" else 1
            return ["--set", f"autoscaling.enabled=false,replicaCount={pods}"], None
        signal = cells.SIGNALS[run.words[0]]
        if "metric" in signal:
            query = f'sum(last_over_time({signal["metric"]}{{namespace="{self.namespace}"}}[1m]))'
            flags = metrics_pipeline.keda_values(self.namespace, self.prometheus, cells.MAX_PODS, signal["threshold"], query)
            return [*flags, "--set-json", f"keda.behavior={window}"], "keda-hpa-podsense"
        values = {"minReplicas": 1, "maxReplicas": cells.MAX_PODS, **signal["values"],
                  "behavior.scaleDown.stabilizationWindowSeconds": cells.WINDOW}
        return [flag for key, value in values.items() for flag in ("--set", f"autoscaling.{key}={value}")], "podsense"

    def begin(self, run, *flags):
        """The release as a run finds it; (URL, autoscaler or None)."""
        metrics_pipeline.clear(self.namespace, self.options.keda)
        if self.prometheus:
            metrics_pipeline.forget(self.prometheus)
        scaling, hpa = self.scaling(run)
        name, _, tag = self.options.image.rpartition(":")
        image = ["--set", f"image.repository={name}", "--set-string", f"image.tag={tag}"]
        url = metrics_pipeline.install(self.namespace, self.options.node_port, *metrics_pipeline.pod_values(cells.CPU), *image, *scaling, *flags)
        if hpa:
            wait_quiet(lambda: cluster.get(f"hpa {hpa}", self.namespace), lambda: self.pods())
        else:
            wanted = cells.FIXED_PODS if run.kind == "fixed" else 1
            cluster.wait_ready(self.namespace, wanted)
        return url, cluster.get(f"hpa {hpa}", self.namespace) if hpa else None


def wait_quiet(ask, pods):
    """Until an autoscaler has kept one pod, and seen no load, for some looks."""
    since = [None]

    def quiet():
        hpa = ask()
        if metrics_pipeline.is_active(hpa) and hpa["status"].get("desiredReplicas") == 1 and len(pods()) == 1 and sees_no_load(hpa):
            since[0] = since[0] or time.monotonic()
            return time.monotonic() - since[0] >= QUIET
        since[0] = None
        return False

    cluster.wait_until(quiet, "one pod, and an autoscaler that sees no load", timeout=180, pause=1)


def sees_no_load(hpa):
    for metric in hpa["spec"]["metrics"]:
        target = metric[metric["type"][:1].lower() + metric["type"][1:]]["target"]
        told = looks.value_told(metric, hpa["status"])
        if told is None:
            return False
        if "averageUtilization" in target:
            if told > IDLE * target["averageUtilization"] / 100 * looks.milli(cells.CPU):
                return False
        elif told > IDLE * looks.milli(target["averageValue"]):
            return False
    return True


class Machine:
    """How busy the machine was beside this: cores used by others than pods and load, and the share of time in which some
    thread waited for a core (pressure stall information), where the kernel has it."""

    def __init__(self):
        self.others, self.began, self.waited = Others(), time.monotonic(), pressure()

    def end(self, pods_cpu):
        length = time.monotonic() - self.began
        waited = None if self.waited is None else (pressure() - self.waited) / length
        return {"others": max(0.0, self.others.cores() - pods_cpu / length), "waited": waited}


def pressure():
    """Seconds in which a thread waited for a core, since the machine started."""
    try:
        text = pathlib.Path("/proc/pressure/cpu").read_text()
    except OSError:
        return None
    return int(text.split("\n", 1)[0].rsplit("total=", 1)[1]) / 1e6


def plan_of(run, service, seconds):
    """What is offered: shape, process, cpu_ms, seconds, replicas at the beginning. `service`: for loads that are shares of what pods
    can do."""
    found = {"seconds": seconds, "replicas": 1, "cpu_ms": cells.CPU_MS, "process": "poisson"}
    if run.kind == "loop":
        shape, process = cells.SHAPES[run.words[1]]
        return found | {"shape": shape, "process": process}
    if run.kind == "fixed":
        rate = float(run.words[0]) * fit.capacity(service, cells.CPU_MS, cells.FIXED_PODS)
        return found | {"shape": f"constant:{rate:.6g}", "replicas": cells.FIXED_PODS}
    cpu_ms = float(run.words[0])
    return found | {"shape": f"constant:{cells.LIMIT_LOAD * fit.capacity(service, cpu_ms, 1):.6g}", "cpu_ms": cpu_ms}


def send(program, url, plan, seed):
    """(Unix time of its begin, report of `podsense load`)"""
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder) / "report.json"
        words = [program, "load", f"{url}/infer?cpu_ms={plan['cpu_ms']:g}", "--shape", plan["shape"],
                 "--arrivals", "poisson" if plan["process"] == "poisson" else "constant", "--seconds", plan["seconds"], "--seed", seed,
                 "--timeout", "30s", "--disable-keepalive", "--json", report, "--quiet", "--i-may-load-this-host"]
        began = time.time()
        done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
        if not report.exists():
            raise Failed(f"podsense load: {done.stderr[-500:]}")
        return began, json.loads(report.read_text())


def figures_of(report):
    planned = report["requests"]["planned"]
    histogram = report["histograms"]["latency"]
    offered = course.offered_by_second(report)
    return {"requests": planned, "ok": report["requests"]["ok"], "failed": report["requests"]["failed"],
            "late": 1 - within(histogram, cells.OBJECTIVE) / planned,
            **{key: report["latency"].get("percentiles", {}).get(key) for key in ("p50", "p95", "p99")},
            "histogram": histogram, "offered": offered, "dispersion": course.dispersion(offered),
            "generator_waited": report["generator"].get("cpu_waited"), "limits": report["generator"]["limits"]}


def scrapes(url, namespace, began):
    """Moments at which Prometheus scraped each pod since then."""
    query = urllib.parse.urlencode({"query": f'podsense_saturation{{namespace="{namespace}"}}[{round(time.time() - began) + 60}s]'})
    with urllib.request.urlopen(f"{url}/api/v1/query?{query}", timeout=30) as answer:
        series = json.loads(answer.read())["data"]["result"]
    return {one["metric"]["pod"]: [float(at) for at, _ in one["values"]] for one in series}


def served(before, after):
    """What servers say of the time between: CPU seconds, runs, throttling; of pods that answered at its end."""
    def grown(name):
        return sum(now.get(name, 0.0) - before.get(pod, {}).get(name, 0.0) for pod, now in after.items())

    runs, requests = grown("podsense_compute_seconds_count"), grown("podsense_requests_total")
    return {"cpu": grown("process_cpu_seconds_total"), "throttled": grown("podsense_cpu_throttled_seconds_total"), "requests": requests,
            "run_seconds": grown("podsense_compute_seconds_sum") / runs if runs else None,
            "by_pod": {pod: now.get("podsense_requests_total", 0.0) - before.get(pod, {}).get("podsense_requests_total", 0.0)
                       for pod, now in after.items()}}


def play(bench, run, service):
    """The record of a run under load."""
    plan = plan_of(run, service, bench.options.seconds)
    calm = Machine()
    url, hpa = bench.begin(run)
    before = calm.end(0)
    selector = watch.labels(cluster.get("deployment podsense", bench.namespace)["spec"]["selector"]["matchLabels"])
    seen = watch.Watch(bench.api, bench.namespace, selector, hpa["spec"]["metrics"] if hpa else [])
    first = {pod: bench.metrics(pod) for pod in bench.pods()}
    machine = Machine()
    try:
        began, report = send(bench.options.program, url, plan, run.seed)
    finally:
        seen = seen.end()
    last = {pod: bench.metrics(pod) for pod in bench.pods()}
    if not seen["whole"]:
        raise Failed("a watch of the API server ended during the run")
    server = served(first, last)
    record = {"key": run.key, "plan": plan, "hpa": hpa["spec"] if hpa else None, "load": figures_of(report), "server": server,
              "busy": {"before": before, "during": machine.end(server["cpu"])}, **figures_over_time(seen, began, plan["seconds"], last)}
    record["routing_ratio"] = course.routing_ratio(server["by_pod"], record["pods"], record["load"]["offered"])
    if hpa:
        record["replay"] = looks.replay(bench.options.program, seen, bench.settings, cells.CPU)
        record["ages"] = looks.ages(seen, bench.settings, scrapes(bench.prometheus, bench.namespace, began) if bench.prometheus else None)
        record["seen"] = seen
    return record


def figures_over_time(seen, began, length, last):
    pods = course.pods_of(seen["events"], began)
    for name, metrics in last.items():
        if name in pods and pods[name]["created"] is not None and "process_start_time_seconds" in metrics:
            pods[name]["process"] = metrics["process_start_time_seconds"] - began
    return {"began": began, "rows": course.rows(seen["events"], began, length), "pods": pods,
            "pod_seconds": course.pod_seconds(pods, length), "start_ups": course.start_ups(pods)}


def start(bench, run):
    """The record of a run that starts pods and nothing else."""
    bench.begin(run)
    machine = Machine()
    seen, began, last = start_pods(bench, int(run.words[0]))
    return {"key": run.key, "plan": {"seconds": 0, "replicas": 1}, "hpa": None, "busy": {"before": None, "during": machine.end(0)},
            **figures_over_time(seen, began, 0, last)}


def start_pods(bench, more):
    """(what was seen, Unix time of the begin, metrics of each pod as soon as all are ready)"""
    seen = watch.Watch(bench.api, bench.namespace, "")
    began = time.time()
    try:
        cluster.kubectl(f"-n {bench.namespace} scale deployment/podsense --replicas={1 + more}")
        cluster.wait_ready(bench.namespace, 1 + more)
        last = {pod: bench.metrics(pod) for pod in bench.pods()}
        # Endpoints follow readiness.
        cluster.wait_until(lambda: any(len(event["object"]["ready"]) == 1 + more for event in list(seen.events) if event["kind"] == "slice"),
                           "endpoints of all pods")
    finally:
        seen = seen.end()
    return seen, began, last


def once(bench, run, inputs):
    """A record, whatever the kind of run. @raises Failed, cluster.Failure"""
    record = start(bench, run) if run.kind == "start" else play(bench, run, inputs["service"])
    return record | {"half": run.half, "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "machine": describe_machine(),
                     "settings": bench.settings, "inputs": inputs["at"], "is_busy": is_busy(record, bench.options.busy)}


def is_busy(record, limit):
    """Others used more than `limit` cores before or during the run, or the load generator waited for a core."""
    parts = [part for part in record["busy"].values() if part]
    waited = (record.get("load") or {}).get("generator_waited") or 0
    return any(part["others"] > limit for part in parts) or waited > 0.05
