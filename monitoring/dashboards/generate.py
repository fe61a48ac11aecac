#!/usr/bin/env python3
"""Writes the Grafana dashboards beside this file, or with --check fails where they differ.

    monitoring/dashboards/generate.py [--check]

Every dashboard lets one choose data source, namespace and job (the Service's name where
kube-prometheus-stack scrapes). Series of Kubernetes itself are chosen by `workload`, the
Deployment's name. A panel's description says what it needs besides PodSense. tests/monitoring runs
every query.
"""

import json
import pathlib
import sys

from edge import edge
from grafana import (  # fmt: skip
    GREEN,
    LOKI,
    RED,
    YELLOW,
    annotation,
    bars,
    choice,
    dashboard,
    heatmap,
    lines,
    log_lines,
    log_rates,
    number,
    query,
    source_variable,
    stat,
    steps,
    table,
    text,
)
from scope import (  # fmt: skip
    ALL_FAULT,
    CLUSTERS,
    CONTAINERS,
    DEPLOYMENT,
    HPA,
    JOB,
    MODEL,
    MODELS,
    NAMESPACE,
    PODS,
    RATE,
    SELECT,
    SOURCE,
    WORKLOAD,
)

HERE = pathlib.Path(__file__).resolve().parent


def quantiles(metric, by="model"):
    labels = f"le, {by}" if by else "le"
    legend = "{{" + by + "}} " if by else ""
    return [
        query(
            f"histogram_quantile({q}, sum by ({labels}) (rate({metric}_bucket{{{MODEL}}}[{RATE}])))",
            f"{legend}p{name}",
            exemplar=True,
        )
        for q, name in ((0.5, "50"), (0.9, "90"), (0.99, "99"))
    ]


def mean(metric, legend):
    total = f"sum(rate({metric}_sum{{{MODEL}}}[{RATE}]))"
    return query(f"{total} / sum(rate({metric}_count{{{MODEL}}}[{RATE}]))", legend)


ADVICE = """
| the longest bar | it means | do |
|---|---|---|
| saturation | demand is near what these pods can do within the objective | more replicas, or see *Capacity* |
| CPU | the pods use all the CPU they may | raise the CPU limit, or more replicas |
| throttled | the quota holds threads back, whatever the average | raise or drop the CPU limit |
| memory | near the limit: the next step is a kill | raise the limit, serve fewer versions |
| descriptors | too many connections for the file limit | raise the limit, look at clients |

No bar long, yet slow? *Queue against compute* says whether requests wait (more replicas) or the
model itself is slow (another model, or more CPU a pod). Failing? *Errors by code*: each code has its
meaning in the API's documentation, `/docs` of a server; each alert has a page in `docs/runbooks/`.
"""


def given_up(outcomes, window):
    """Requests a second without an answer, whose clients waited longer than the objective."""
    return f'rate(podsense_slow_requests_total{{{SELECT},outcome=~"{outcomes}"}}[{window}])'


def good_share(window):
    good = f'sum(rate(podsense_requests_total{{{SELECT},code="OK"}}[{window}]))'
    return (
        f"{good} / sum(rate(podsense_requests_total{{{SELECT},{ALL_FAULT}}}[{window}]) or "
        f"{given_up('abandoned', window)})"
    )


def fast_share(window):
    slow = f"sum(rate(podsense_slow_requests_total{{{SELECT}}}[{window}]))"
    return (
        f"1 - {slow} / sum(rate(podsense_request_seconds_count{{{SELECT}}}[{window}]) or "
        f"{given_up('abandoned|expired', window)})"
    )


def service():
    throttled = f"rate(podsense_cpu_throttled_seconds_total{{{SELECT}}}[{RATE}])"
    parts = ["queue", "preprocess", "compute"]
    glance = [
        (stat("Served", good_share("5m"), "percentunit", steps(RED, (0.99, YELLOW), (0.999, GREEN)),
              "Share of successful requests in the last five minutes. Client errors do not count as failures; clients"
              " that gave up after the objective do.", max=1), 4),
        (stat("Within the objective", fast_share("5m"), "percentunit",
              steps(RED, (0.95, YELLOW), (0.99, GREEN)),
              "Share of requests in the last five minutes that were answered within the latency objective. Requests "
              "whose client gave up after the objective, or whose deadline passed, count as late.", max=1), 4),
        (stat("Saturation", f"avg(podsense_saturation{{{SELECT}}})", "percentunit",
              steps(GREEN, (0.7, YELLOW), (1, RED)),
              "Demand over the capacity of these pods within the objective; above 100 % the objective is missed."), 4),
        (stat("Requests", f"sum(rate(podsense_requests_total{{{SELECT}}}[5m]))", "reqps",
              steps("blue")), 4),
        (stat("p99", "histogram_quantile(0.99, sum by (le) "
              f"(rate(podsense_request_seconds_bucket{{{SELECT}}}[5m])))", "s", steps("blue"),
              "99 of 100 answers are faster, over all models."), 4),
        (stat("Ready pods", f"sum(podsense_ready{{{SELECT}}})", "short",
              steps(RED, (1, GREEN))), 4),
    ]  # fmt: skip
    limits = bars(
        "What limits it",
        [
            query(f"max(podsense_saturation{{{SELECT}}})", "saturation"),
            query(
                f"max(rate(process_cpu_seconds_total{{{SELECT}}}[{RATE}]) "
                f"/ podsense_cpu_cores{{{SELECT}}})",
                "CPU",
            ),
            query(f"max({throttled} / podsense_cpu_cores{{{SELECT}}})", "throttled"),
            query(
                f"max(podsense_memory_working_set_bytes{{{SELECT}}} "
                f"/ podsense_memory_limit_bytes{{{SELECT}}}) or "
                f"max(process_resident_memory_bytes{{{SELECT}}} * 0)",
                "memory",
            ),
            query(
                f"max(process_open_fds{{{SELECT}}} / process_max_fds{{{SELECT}}})", "descriptors"
            ),
        ],
        "Used share of each limit, for the pod that is closest to it.",
    )
    return dashboard(
        "service",
        "Service",
        "Whether users are served, what limits it, and what to do.",
        [SOURCE, CLUSTERS, NAMESPACE, JOB, MODELS],
        [
            (4, glance),
            (8, [(limits, 10), (text("What to do", ADVICE), 14)]),
            "Requests",
            (8, [
                (lines("Requests by model", [
                    query(f"sum by (model) (rate(podsense_requests_total{{{MODEL}}}[{RATE}]))",
                          "{{model}}")], "reqps", stack=True), 8),
                (lines("Errors by code", [
                    query("sum by (code) (rate(podsense_requests_total"
                          f'{{{SELECT},code!="OK"}}[{RATE}])) or vector(0)', "{{code}}")], "reqps",
                    "Including client errors."), 8),
                (lines("Refused and dropped by reason", [
                    query(f"sum by (reason) (rate(podsense_refused_total{{{MODEL}}}[{RATE}]))",
                          "refused: {{reason}}"),
                    query(f"sum by (reason) (rate(podsense_dropped_total{{{MODEL}}}[{RATE}]))",
                          "dropped: {{reason}}"),
                    query(f"sum(rate(podsense_unreceived_answers_total{{{MODEL}}}[{RATE}]))",
                          "answered, but nobody was left")], "reqps",
                    "Refused: at once, before any work. Dropped: while waiting, because the deadline passed, the wait"
                    " exceeded the clients' patience, or the client left. The last: the client left during the run."), 8),
            ]),
            "Latency",
            (8, [
                (lines("Latency", [
                    *quantiles("podsense_request_seconds"),
                    query(f"max(podsense_latency_objective_seconds{{{SELECT}}})", "objective")],
                    "s", "Successful requests. The dots are traces."), 12),
                (heatmap("Latency heat map",
                         f"sum by (le) (increase(podsense_request_seconds_bucket{{{MODEL}}}"
                         f"[{RATE}]))", "s",
                         "Two bands mean two kinds of requests, or a queue that appears and disappears."), 12),
            ]),
            (8, [
                (lines("Later than the objective", [
                    query("sum by (outcome) (rate(podsense_slow_requests_total"
                          f"{{{MODEL}}}[{RATE}]))", "{{outcome}}")], "reqps",
                    "Answered late; abandoned: the client gave up; expired: the deadline passed.",
                    stack=True), 12),
                (lines("Clients that gave up", [
                    query(f'sum(rate(podsense_requests_total{{{MODEL},code="CANCELLED"}}[{RATE}]))',
                          "all"),
                    query('sum(rate(podsense_slow_requests_total{'
                          f'{MODEL},outcome="abandoned"}}[{RATE}]))', "after the objective")],
                    "reqps", "Those after the objective count as failed, because the client waited longer than the "
                             "objective."), 12),
            ]),
            (8, [
                (lines("Queue against compute (mean)",
                       [mean(f"podsense_{part}_seconds", part) for part in parts], "s",
                       "How the time of a request is divided.", stack=True), 8),
                (lines("Queue time", quantiles("podsense_queue_seconds"), "s",
                       "From admission to the start of the run. Small requests run at once, without a queue."), 8),
                (lines("In flight and waiting", [
                    query(f"sum(podsense_requests_in_flight{{{SELECT}}})", "in flight"),
                    query(f"sum(podsense_queue_depth{{{MODEL}}})", "waiting"),
                    query(f"sum(podsense_connections{{{SELECT}}})", "connections")],
                    description="If waiting grows, the load exceeds the capacity. Many connections with few requests "
                                "in flight are idle keep-alive connections."), 8),
            ]),
            "Pods",
            (8, [
                (lines("Saturation by pod", [
                    query(f"podsense_saturation{{{SELECT}}}", "{{pod}} {{instance}}")],
                    "percentunit", "One pod far above the others: the load balancing is uneven.",
                    thresholds=steps(GREEN, (1, RED))), 8),
                (lines("CPU by pod", [
                    query(f"rate(process_cpu_seconds_total{{{SELECT}}}[{RATE}])",
                          "{{pod}} {{instance}}"),
                    query(f"max(podsense_cpu_cores{{{SELECT}}})", "may use")],
                    description="In cores. At the line a pod uses its whole CPU limit."), 8),
                (lines("Working set by pod", [
                    query(f"podsense_memory_working_set_bytes{{{SELECT}}}",
                          "{{pod}} {{instance}}"),
                    query(f"max(podsense_memory_limit_bytes{{{SELECT}}})", "limit")], "bytes",
                    "As counted by the kernel, which kills the container at the limit."), 8),
            ]),
            (8, [
                (lines("Fetches from URLs", [
                    query(f"sum by (outcome) (rate(podsense_fetch_seconds_count{{{SELECT}}}"
                          f"[{RATE}])) or vector(0)", "{{outcome}}")], "reqps"), 8),
                (lines("Connections refused", [
                    query("sum by (reason) (rate(podsense_connections_refused_total"
                          f"{{{SELECT}}}[{RATE}])) or vector(0)", "{{reason}}")]), 8),
                (lines("Throttled by the CPU quota", [
                    query(throttled, "{{pod}} {{instance}}")], "s",
                    "Seconds of throttled thread time per second."), 8),
            ]),
        ],
    )  # fmt: skip


def scaling():
    changed = f"changes(kube_deployment_spec_replicas{{{DEPLOYMENT}}}[1m]) > 0"
    return dashboard(
        "scaling",
        "Scaling",
        "Replicas, the autoscaler's metrics, and the pods' usage compared with their requests.",
        [SOURCE, CLUSTERS, NAMESPACE, JOB, WORKLOAD],
        [
            (8, [
                (lines("Replicas", [
                    query(f"sum(kube_deployment_spec_replicas{{{DEPLOYMENT}}})", "wanted"),
                    query(f"sum(kube_deployment_status_replicas{{{DEPLOYMENT}}})", "there"),
                    query(f"sum(kube_deployment_status_replicas_ready{{{DEPLOYMENT}}})", "ready"),
                    query(f"sum(kube_horizontalpodautoscaler_status_desired_replicas{{{HPA}}})",
                          "autoscaler wants"),
                    query(f"sum(kube_horizontalpodautoscaler_spec_max_replicas{{{HPA}}})", "most"),
                    query(f"sum(kube_horizontalpodautoscaler_spec_min_replicas{{{HPA}}})",
                          "least")],
                    description="Desired above existing: pods are missing. At the autoscaler's maximum: it cannot add more."), 12),
                (lines("Autoscaler: metric against target", [
                    query("max by (horizontalpodautoscaler, metric_name) "
                          f"(kube_horizontalpodautoscaler_status_target_metric{{{HPA}}})",
                          "{{metric_name}} now"),
                    query("max by (horizontalpodautoscaler, metric_name) "
                          f"(kube_horizontalpodautoscaler_spec_target_metric{{{HPA}}})",
                          "{{metric_name}} target")],
                    description="Above the target it adds pods, below it removes them. CPU in percent of requests."), 12),
            ]),
            (8, [
                (lines("Saturation", [
                    query(f"avg(podsense_saturation{{{SELECT}}})", "mean"),
                    query(f"max(podsense_saturation{{{SELECT}}})", "highest"),
                    query(f"min(podsense_saturation{{{SELECT}}})", "lowest")], "percentunit",
                    "The autoscaler should use the mean. If lowest and highest are far apart, the load balancing is "
                    "uneven.",
                    thresholds=steps(GREEN, (1, RED))), 8),
                (lines("Requests waiting", [
                    query(f"sum(podsense_queue_depth{{{SELECT}}})", "all pods")],
                    description="More pods should bring it back to zero."), 8),
                (lines("Pods pending and not ready", [
                    query(f'sum(kube_pod_status_phase{{{PODS},phase="Pending"}})', "pending"),
                    query(f'sum(kube_pod_status_ready{{{PODS},condition="false"}})',
                          "not ready")]), 8),
            ]),
            "What pods use",
            (8, [
                (lines("CPU", [
                    query(f"sum(rate(container_cpu_usage_seconds_total{{{CONTAINERS}}}[{RATE}]))",
                          "used"),
                    query(f'sum(kube_pod_container_resource_requests{{{PODS},resource="cpu"}})',
                          "requested"),
                    query(f'sum(kube_pod_container_resource_limits{{{PODS},resource="cpu"}})',
                          "limit")]), 8),
                (lines("CPU throttled", [
                    query("sum by (pod) (rate(container_cpu_cfs_throttled_periods_total"
                          f"{{{CONTAINERS}}}[{RATE}])) / sum by (pod) "
                          f"(rate(container_cpu_cfs_periods_total{{{CONTAINERS}}}[{RATE}]))",
                          "{{pod}}")], "percentunit",
                    "Share of CFS periods in which the quota was used up."), 8),
                (lines("Working set", [
                    query("sum by (pod) (container_memory_working_set_bytes"
                          f"{{{CONTAINERS}}})", "{{pod}}"),
                    query(f'max(kube_pod_container_resource_limits{{{PODS},resource="memory"}})',
                          "limit"),
                    query(f'max(kube_pod_container_resource_requests{{{PODS},resource="memory"}})',
                          "requested")], "bytes"), 8),
            ]),
            (8, [
                (lines("Pods started", [
                    query(f"sum(time() - kube_pod_start_time{{{PODS}}} < bool 600)",
                          "in the last ten minutes")]), 8),
                (lines("Time from start to ready", [
                    query(f"max by (pod) (kube_pod_status_ready_time{{{PODS}}} "
                          f"- on (cluster, namespace, pod) kube_pod_start_time{{{PODS}}})", "{{pod}}")],
                    "s"), 8),
                (lines("Restarts", [
                    query("sum by (pod) (increase(kube_pod_container_status_restarts_total"
                          f"{{{PODS}}}[10m]))", "{{pod}}")]), 8),
            ]),
        ],
        [
            annotation("Scaled", changed, "blue", "{{deployment}}: replicas changed"),
            annotation(
                "Restarted",
                f"changes(kube_pod_container_status_restarts_total{{{PODS}}}[1m]) > 0",
                "red",
                "{{pod}} restarted",
            ),
        ],
    )  # fmt: skip


def models():
    by_version = "sum by (model, version)"
    count = f"podsense_compute_seconds_count{{{MODEL}}}"
    return dashboard(
        "models",
        "Models",
        "Serving versions, the cost of runs, and how requests share runs.",
        [SOURCE, CLUSTERS, NAMESPACE, JOB, MODELS],
        [
            (8, [
                (table("Versions", f"podsense_model_info{{{MODEL}}}",
                       {"model": "Model", "version": "Version", "task": "Task", "plan": "Plan",
                        "pod": "Pod", "instance": "Instance"}), 12),
                (lines("Requests by version", [
                    query(f"{by_version} (rate(podsense_requests_total{{{MODEL}}}[{RATE}]))",
                          "{{model}} {{version}}")], "reqps", stack=True), 12),
            ]),
            (8, [
                (lines("Rows in a run (mean)", [
                    query(f"{by_version} (rate(podsense_batch_size_sum{{{MODEL}}}[{RATE}])) / "
                          f"{by_version} (rate(podsense_batch_size_count{{{MODEL}}}[{RATE}]))",
                          "{{model}} {{version}}")]), 8),
                (heatmap("Rows in a run", "sum by (le) (increase(podsense_batch_size_bucket"
                         f"{{{MODEL}}}[{RATE}]))", "short"), 8),
                (lines("Executor time per request", [
                    query(f"avg by (model, version) (podsense_service_seconds{{{MODEL}}})",
                          "{{model}} {{version}}")], "s",
                    "The scheduler's estimate: measured at warm-up, then updated."), 8),
            ]),
            (8, [
                (lines("Run", quantiles("podsense_compute_seconds"), "s"), 8),
                (lines("Preprocessing", quantiles("podsense_preprocess_seconds"), "s"), 8),
                (lines("Queue", quantiles("podsense_queue_seconds"), "s"), 8),
            ]),
            (8, [
                (lines("Runs", [query(f"{by_version} (rate({count}[{RATE}]))",
                                      "{{model}} {{version}}")], "ops"), 8),
                (lines("Versions loaded and refused", [
                    query("sum by (result) (increase(podsense_model_reloads_total"
                          f"{{{SELECT}}}[10m]))", "{{result}}")], "short",
                    "In the last ten minutes."), 8),
                (lines("Resident memory", [
                    query(f"process_resident_memory_bytes{{{SELECT}}}",
                          "{{pod}} {{instance}}")], "bytes"), 8),
            ]),
        ],
        [
            annotation(
                "Reloaded",
                f'increase(podsense_model_reloads_total{{{SELECT},result="ok"}}[1m]) > 0',
                "green",
                "model versions loaded",
            )
        ],
    )  # fmt: skip


def logs():
    stream = 'namespace=~"$namespace",app=~"$app"'
    every = "[$__interval]"
    return dashboard(
        "logs",
        "Logs",
        "The pods' logs; monitoring/alloy/config.alloy sets these labels.",
        [
            source_variable("loki", "loki", "Data source"),
            source_variable("datasource", "prometheus", "Prometheus"),
            choice("namespace", "label_values(namespace)", source=LOKI, all_value=".+"),
            choice("app", 'label_values({namespace=~"$namespace"}, app)', source=LOKI,
                   all_value=".+", chosen="podsense"),
        ],
        [
            (7, [
                (log_rates("Lines by level",
                           f"sum by (level) (count_over_time({{{stream}}} {every}))",
                           "{{level}}"), 8),
                (log_rates("Failed requests by code",
                           "sum by (code) (count_over_time("
                           f'{{{stream},event="request",code!="OK"}} {every}))', "{{code}}"), 8),
                (log_rates("Events other than requests",
                           "sum by (event) (count_over_time("
                           f'{{{stream},event!="request"}} {every}))', "{{event}}"), 8),
            ]),
            (10, [(log_lines("Warnings and errors",
                             f'{{{stream},level=~"warning|error"}}'), 24)]),
            (10, [(log_lines("Requests that failed",
                             f'{{{stream},event="request",code!="OK"}}'), 24)]),
            (14, [(log_lines("All", f"{{{stream}}}"), 24)]),
        ],
    )  # fmt: skip


def capacity():
    rate = f'sum(rate(podsense_requests_total{{{SELECT},code="OK"}}[5m]))'
    cpu = f'sum(kube_pod_container_resource_requests{{{PODS},resource="cpu"}})'
    memory = f'sum(kube_pod_container_resource_requests{{{PODS},resource="memory"}})'
    cost = f"({cpu} * $cpu_price + {memory} / 1073741824 * $memory_price)"
    saturation = f"avg(podsense_saturation{{{SELECT}}})"
    pods = f"count(podsense_saturation{{{SELECT}}})"
    peak = f"(max_over_time({rate}[1d:5m]) or {rate})"
    return dashboard(
        "capacity",
        "Capacity",
        "The cost of a request, the spare capacity of these pods, and how many pods a peak needs.",
        [
            SOURCE, CLUSTERS, NAMESPACE, JOB, WORKLOAD,
            number("cpu_price", "Price of a core-hour", "0.04"),
            number("memory_price", "Price of a GiB-hour", "0.005"),
            number("target", "Saturation to plan for", "0.7"),
        ],
        [
            (5, [
                (stat("Cost per 1,000 requests", f"{cost} / 3600 / {rate} * 1000", "currencyUSD",
                      steps("blue"), "Price of the requested CPU and memory, divided by the request rate of the last "
                                     "five minutes.", decimals=4), 6),
                (stat("Head-room", f"1 - {saturation}", "percentunit",
                      steps(RED, (0.1, YELLOW), (0.3, GREEN)),
                      "Share of the pods' capacity within the objective that is unused."), 6),
                (stat("Maximum these pods can serve", f"{rate} / {saturation}", "reqps",
                      steps("blue"), "Requests per second within the objective, for the current mix of requests."), 6),
                (stat("Pods for the peak of the last day",
                      f"ceil({pods} * {saturation} / {rate} * {peak} / $target)", "short",
                      steps("blue"), "Number of pods for the saturation chosen above."), 6),
            ]),
            (8, [
                (lines("Rate against capacity", [
                    query(rate, "served"),
                    query(f"{rate} / {saturation}", "can serve"),
                    query(f"{rate} / {saturation} * $target", "planned")], "reqps",
                    "Can serve: capacity within the objective. Planned: the share of it chosen above."), 12),
                (lines("Cost per 1,000 requests",
                       [query(f"{cost} / 3600 / {rate} * 1000", "cost")], "currencyUSD"), 12),
            ]),
            (8, [
                (lines("CPU: used of requested", [
                    query(f"sum(rate(container_cpu_usage_seconds_total{{{CONTAINERS}}}[{RATE}])) "
                          f"/ {cpu}", "share")], "percentunit",
                    "Over 100 %: the pods use CPU that others leave idle."), 8),
                (lines("Memory: used of requested", [
                    query(f"sum(container_memory_working_set_bytes{{{CONTAINERS}}}) / {memory}",
                          "share")], "percentunit"), 8),
                (lines("Requests per second and core", [
                    query(f"{rate} / sum(rate(process_cpu_seconds_total{{{SELECT}}}[5m]))",
                          "per core used"),
                    query(f"{rate} / {cpu}", "per core requested")], "reqps",
                    "Falls when requests become more expensive: a new model version, larger pictures."), 8),
            ]),
        ],
    )  # fmt: skip


DASHBOARDS = [service, scaling, models, edge, logs, capacity]


def rendered():
    """File name → content."""
    files = {}
    for made in (make() for make in DASHBOARDS):
        files[made["uid"] + ".json"] = json.dumps(made, indent=1, ensure_ascii=False) + "\n"
    return files


def main():
    files = rendered()
    there = {path.name: path.read_text("utf-8") for path in HERE.glob("*.json")}
    if sys.argv[1:] == ["--check"]:
        stale = sorted(name for name in files.keys() | there if files.get(name) != there.get(name))
        if stale:
            print("run monitoring/dashboards/generate.py; these differ:", *stale, file=sys.stderr)
        return 1 if stale else 0
    for name in there.keys() - files.keys():
        (HERE / name).unlink()
    for name, content in files.items():
        (HERE / name).write_text(content, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
