"""Sustained load raises replicas, and they come back down; the time line is written as CSV and plot."""

import datetime
import threading
import time

import cluster
import figures
from cluster import Failure, kubectl
from load import load

NAMESPACE = "k8s-inference-sim"
NAME = "dev-inference-sim"
CPU_MS = 25
RATE = 12  # takes 300m: five pods' share at 60 % of 100m, and within one pod's limit of 500m
UP_TO = 3  # ready pods, for the test to be convinced
LONGEST_UP, LONGEST_DOWN = 240.0, 420.0  # seconds


class TimeLine:
    """Looks at the HPA once a second from the start of the load on."""

    def __init__(self):
        self.began, self.rows, self.stop = time.monotonic(), [], threading.Event()
        self.offered = 0.0
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()

    def watch(self):
        while not self.stop.wait(1.0):
            found = cluster.items(f"hpa/{NAME} deployment/{NAME}", NAMESPACE)  # both as of one moment
            if len(found) != 2:
                continue
            hpa, deployment = found
            metrics = hpa["status"].get("currentMetrics") or []
            cpu = next((entry["resource"]["current"].get("averageUtilization") for entry in metrics
                        if entry.get("type") == "Resource"), None)
            self.rows.append({
                "seconds": round(time.monotonic() - self.began, 1),
                "offered_per_second": self.offered,
                "cpu_percent": cpu,
                "desired": hpa["status"].get("desiredReplicas", 0),
                "replicas": deployment["status"].get("replicas", 0),
                "ready": deployment["status"].get("readyReplicas", 0),
                "p99_seconds": None,
            })

    def first(self, predicate):
        """The time of the first row for which it holds."""
        return next((row["seconds"] for row in list(self.rows) if predicate(row)), None)

    def wait(self, predicate, limit, what):
        cluster.wait_until(lambda: self.rows and predicate(self.rows[-1]), what, timeout=limit, pause=0.5)

    def end(self):
        self.stop.set()
        self.thread.join()

    def add_latency(self, slices):
        """The p99 of each second, as the generator saw it."""
        by_second = {int(entry["start"]): entry.get("p99") for entry in slices}
        for row in self.rows:
            row["p99_seconds"] = by_second.get(int(row["seconds"]))


def controller_periods():
    """(metrics resolution, HPA sync) in seconds, as the node's programs were started; Kubernetes' defaults else."""
    found = {"--metric-resolution": 15.0, "--horizontal-pod-autoscaler-sync-period": 15.0}
    if cluster.platform() == "kit":
        found = {"--metric-resolution": 10.0, "--horizontal-pod-autoscaler-sync-period": 5.0}  # its README
    return found["--metric-resolution"], found["--horizontal-pod-autoscaler-sync-period"]


def up_and_down(context, rate=RATE):
    """The dev overlay: load raises the number of pods, idleness lowers it; no request fails."""
    cluster.remove_namespace(NAMESPACE)
    kubectl("apply -k k8s/overlays/dev")
    try:
        cluster.wait_rollout(NAMESPACE, NAME)
        url = cluster.expose(NAMESPACE, NAME)
        cluster.wait_answers(f"{url}/readyz")

        def active():
            conditions = cluster.get(f"hpa {NAME}", NAMESPACE)["status"].get("conditions", [])
            return any(entry["type"] == "ScalingActive" and entry["status"] == "True" for entry in conditions)

        cluster.wait_until(active, "the HPA has metrics")
        line = TimeLine()
        try:
            measure(context, line, url, rate)
        finally:
            line.end()
            if line.rows:
                write(context, line)
        report(context, line)
    finally:
        kubectl("delete -k k8s/overlays/dev --ignore-not-found --timeout=120s")
        cluster.remove_namespace(NAMESPACE)


def measure(context, line, url, rate):
    with load(f"{url}/infer?cpu_ms={CPU_MS}", rate) as under:
        line.offered = rate
        line.wait(lambda row: row["ready"] >= UP_TO, LONGEST_UP, f"{UP_TO} ready pods under load")
        # The rest of the way up, and a while at the top.
        cluster.wait_until(lambda: line.rows[-1]["ready"] == line.rows[-1]["desired"], "as many pods as desired")
        threading.Event().wait(20)
        result = under.finish()
    line.offered = 0
    line.load_ended = time.monotonic() - line.began
    line.result = result
    line.wait(lambda row: row["replicas"] == 1, LONGEST_DOWN, "back to 1 pod")
    line.add_latency(result["slices"])
    context.figures.add("HPA, requests", f"{result['failed']} failed of {result['sent']}", f"{rate}/s of {CPU_MS} ms CPU")
    if result["failed"] or result["dropped"]:
        raise Failure(f"autoscaling: {result['errors']} {result['status']} {result['samples']}")


def report(context, line):
    resolution, sync = controller_periods()
    decided, created = line.first(lambda row: row["desired"] > 1), line.first(lambda row: row["replicas"] > 1)
    ready = line.first(lambda row: row["ready"] > 1)
    most = max(row["ready"] for row in line.rows)
    context.figures.add("load to the HPA's decision", f"{decided:.0f} s",
                        f"theoretical minimum 0 to {resolution + sync:.0f} s: metrics every {resolution:.0f} s, HPA every {sync:.0f} s")
    context.figures.add("load to the first added pod", f"{created:.0f} s", f"ready after {ready:.0f} s")
    down = line.first(lambda row: row["seconds"] > line.load_ended and row["replicas"] == 1)
    context.figures.add("pods at most", most)
    context.figures.add("end of load to 1 pod", f"{down - line.load_ended:.0f} s", "stabilization window 60 s")


def write(context, line):
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    figures.write_csv(context.folder / "hpa-timeline.csv", line.rows)
    figures.write_plot(
        context.folder / "hpa-timeline.svg",
        f"HPA on the dev overlay, {stamp}",
        line.rows,
        [
            ("load, requests a second", [("offered_per_second", "offered", True)]),
            ("CPU, per cent of requests", [("cpu_percent", "as the HPA sees it (target 60)", True)]),
            ("pods", [("desired", "desired", True), ("ready", "ready", True)]),
            ("p99, seconds", [("p99_seconds", "from the intended time", False)]),
        ],
    )


SCENARIOS = ((up_and_down, False),)
