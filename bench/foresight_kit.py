#!/usr/bin/env python3
"""How far is `podsense simulate` from a real cluster, autoscaler and all?

    bench/foresight_kit.py --measure                      the inputs of a simulation, on this cluster; some minutes
    bench/foresight_kit.py --minutes 120                  runs, in an order drawn anew; go on with the same command
    bench/foresight_kit.py --cells loop:cpu,fixed --runs 5
    bench/foresight_kit.py --look                         simulations beside the half of the runs that is for fitting
    bench/foresight_kit.py --report                       beside the other half, which nothing else reads

Cells are loop:SIGNAL:SHAPE (an autoscaler under load), fixed:RHO (two pods, RHO of what they can do), limit:CPU_MS (one pod with
a CPU limit) and start:PODS (start-ups). Each run begins with a release of the chart with ready pods and an autoscaler that
sees no load. While it lasts, pods, autoscaler and its metrics are watched; then each of its decisions is replayed by
`podsense simulate hpa`. A run is one line of JSON in RESULTS-fit.jsonl or RESULTS-judge.jsonl, by a hash of its name, as soon as it
ends; what --measure found is in RESULTS-inputs.jsonl. Simulations take measured values only.

Needs what bench/autoscaling.py needs: a cluster that nobody else uses, with the image podsense:VERSION, Debian's
prometheus, and Go for prometheus-adapter (loop:saturation, loop:several) and KEDA (loop:keda-…). Runs of a busy machine are marked (*):
its figures are the machine's. Load goes to the cluster only.
"""

import argparse
import contextlib
import os
import random
import signal
import sys
import time
from pathlib import Path

import metrics_pipeline
from closed_loop import cells, fit, judge, measure, results, run, watch
from metrics_pipeline import ROOT, cluster


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--measure", action="store_true", help="measure the inputs anew; else only where there are none")
    what.add_argument("--look", action="store_true", help="simulate the half for fitting, and compare")
    what.add_argument("--report", action="store_true", help="simulate the other half, and compare")
    parser.add_argument("--results", type=Path, default=ROOT / "build/foresight-kit/results", help="files RESULTS-fit.jsonl and so on")
    parser.add_argument("--cells", default="loop,fixed,limit,start", help="names, or how they begin: loop:cpu,fixed")
    parser.add_argument("--runs", type=int, default=10, help="of each cell")
    parser.add_argument("--minutes", type=float, help="begin no run after so long")
    parser.add_argument("--seconds", type=int, default=cells.SECONDS, help="of load")
    parser.add_argument("--simulations", type=int, default=judge.SIMULATIONS, help="of each run")
    parser.add_argument("--busy", type=float, default=0.6, help="cores that others may use, the cluster's own programs included")
    parser.add_argument("--calm", action="store_true", help="runs of a busy machine are made again, and not compared")
    parser.add_argument("--namespace", default="podsense-foresight")
    parser.add_argument("--image", default=cluster.image(), help="on the nodes: NAME:TAG")
    parser.add_argument("--host-address", default="198.18.0.1", help="this machine, as the cluster sees it")
    parser.add_argument("--node-port", type=int, default=30034)
    options = parser.parse_args()
    options.program = os.environ.get("PODSENSE_BINARY", str(ROOT / "build/release/podsense"))
    try:
        options.cells = cells.matching(options.cells.split(","))
    except ValueError as error:
        parser.error(f"--cells: {error}")
    return options


@contextlib.contextmanager
def bench_on_cluster(options):
    signals = {cell.split(":")[1] for cell in options.cells if cell.startswith("loop:") and not options.measure}
    options.keda = any("metric" in cells.SIGNALS[name] for name in signals)
    with contextlib.ExitStack() as stack:
        stack.enter_context(cluster.namespace(options.namespace))
        api = stack.enter_context(watch.Api())
        url = None
        if signals - {"cpu"}:
            adapter = bool(signals & {"saturation", "several"})
            url = stack.enter_context(metrics_pipeline.metrics_pipeline(options.namespace, options.host_address, adapter, options.keda))
        yield run.Bench(api, options, url)


def play(options):
    """Runs that are missing, until all are there or the time is over; how many gave no record."""
    began, failed = time.monotonic(), 0
    with bench_on_cluster(options) as bench:
        inputs = results.inputs(options.results)
        if options.measure or not inputs:
            print("measuring the inputs", flush=True)
            inputs = measure.all_inputs(bench)
            results.append(results.path_of(options.results, "inputs"), inputs)
        if options.measure:
            return 0
        for one in cells.missing(options.cells, options.runs, results.done(options.results, options.calm), random.Random()):
            if options.minutes is not None and time.monotonic() - began > options.minutes * 60:
                print(f"{options.minutes:g} minutes are over; the same command goes on")
                break
            try:
                record = run.once(bench, one, inputs)
            except (run.Failed, cluster.Failure) as failure:
                print(f"{one.key}: no record: {failure}", file=sys.stderr, flush=True)
                failed += 1
                continue
            results.append_run(options.results, record)
            print(line_of(record), flush=True)
    return failed


def line_of(record):
    """What a run was, without a figure that is for judging."""
    replay = record.get("replay")
    looks = f", {replay['compared']} of {replay['looks']} looks replayed, {len(replay['different'])} different" if replay else ""
    return f"{record['key']}: done ({record['half']}){looks}{', busy machine' if record['is_busy'] else ''}"


def compare(options, half):
    measured = results.inputs(options.results)
    for_fitting = results.read_for_fitting(results.path_of(options.results, "fit"), options.calm)
    if not measured:
        raise SystemExit(f"{results.path_of(options.results, 'inputs')} has no inputs: bench/foresight_kit.py --measure")
    records = for_fitting if half == "fit" else results.read_half(options.results, half, options.calm)
    if not records:
        raise SystemExit(f"{results.path_of(options.results, half)} has no runs")
    print(judge.report(records, fit.summary(measured, for_fitting), options.program, options.simulations), end="")


def main():
    options = parse()
    if options.look or options.report:
        compare(options, "fit" if options.look else "judge")
        return 0
    cluster.adopt_environment()
    # Ends by cleaning up: an aggregated API that nobody serves would keep namespaces from being deleted.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    return 1 if play(options) else 0


if __name__ == "__main__":
    sys.exit(main())
