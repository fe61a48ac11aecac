"""The simulation of the runs that were made, and how far it is off: tables in Markdown."""

import json
import math
import statistics
import subprocess
import tempfile
from pathlib import Path

from . import cells, fit

SIMULATIONS = 30
NEAR = 1  # ready pods
# Closed loop: pods' cost within 9 %, no cell above 20 %; late within 5 points; ready pods ± 1; runs in the band; decisions.
AIMS = {"pooled": 0.09, "worst": 0.20, "late": 0.05, "near": 0.95, "inside": 0.85, "different": 0}
# With fixed replicas: quantiles within 9 % or 2 ms; late within 3 points.
FIXED_AIMS = {"share": 0.09, "seconds": 0.002, "late": 0.03}
QUANTILES = ("p50", "p95", "p99")


def simulate(program, description, runs=SIMULATIONS):
    """The report of `podsense simulate`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scenario.json"
        path.write_text(json.dumps(description))
        done = subprocess.run([program, "simulate", path, "--runs", str(runs), "--json", "-"], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{description['name']}: {done.stderr}")
    return json.loads(done.stdout)


def quantile(numbers, share):
    """The value that this share of them does not exceed, as the report of a simulation has it."""
    return sorted(numbers)[max(0, math.ceil(share * len(numbers)) - 1)]


def held_against(record, report):
    """One run beside its simulations."""
    runs = report["runs"]
    figures = {key: [one["figures"][key] for one in runs] for key in ("pod_seconds", "late_share", "dispersion")}
    ready = [statistics.median(one["timeline"]["slices"][second]["ready"] for one in runs)
             for second in range(min(len(record["rows"]), min(len(one["timeline"]["slices"]) for one in runs)))]
    real = [row["ready"] for row in record["rows"]]
    return {
        "key": record["key"], "is_busy": record["is_busy"],
        "pod_seconds": (record["pod_seconds"], figures["pod_seconds"]), "late": (record["load"]["late"], figures["late_share"]),
        "dispersion": (record["load"]["dispersion"], figures["dispersion"]),
        "near": statistics.mean(abs(a - b) <= NEAR for a, b in zip(real, ready)) if ready else None,
        "inside": all(quantile(made, 0.05) <= value <= quantile(made, 0.95)
                      for value, made in ((record["pod_seconds"], figures["pod_seconds"]), (record["load"]["late"], figures["late_share"]))),
        "paired": runs[0]["figures"]["requests"] == record["load"]["requests"],
        "replay": record.get("replay"),
        "quantiles": {key: (record["load"][key], [one["figures"][f"latency_{key}_seconds"] for one in runs]) for key in QUANTILES},
        "stages": stages(record, report),
    }


def stages(record, report):
    """Stage → (real, simulated): what is off where figures are. Lists of seconds, or a mean."""
    histograms = report["histograms"]
    cpu = [one["figures"]["cpu_seconds"] / one["figures"]["requests"] for one in report["runs"]]
    found = {
        "run, ms": ([record["server"]["run_seconds"]] if record["server"]["run_seconds"] else [], [mean_of(histograms["run"])]),
        "CPU of a request, ms": ([record["server"]["cpu"] / record["server"]["requests"]] if record["server"]["requests"] else [], cpu),
        "start-up, s": ([one["ready"] for one in record["start_ups"]], values_of(histograms["start_up"])),
        "routing, chi²/df": ([record["routing_ratio"]] if record["routing_ratio"] is not None else [], []),
    }
    if "ages" in record:  # each signal has its way to the autoscaler
        ages = [age for one in record["ages"].values() for age in one]
        found[f"age of {cells.run_of(record['key']).words[0]}, s"] = (ages, values_of(histograms["signal_age"]))
    return found


def mean_of(histogram):
    count = sum(count for _, count in histogram["buckets"])
    return histogram["sum_ns"] / count / 1e9 if count else 0.0


def values_of(histogram, most=2000):
    """The middles of its buckets, each as often as it was seen (docs/reference/load-report.schema.json), thinned to so many."""
    unit, sub = histogram["unit_bits"], histogram["sub_bits"]
    found = []
    for bucket, count in histogram["buckets"]:
        power = max(0, (bucket >> sub) - 1)
        found += [((bucket - (power << sub) + 0.5) * 2**power * 2**unit) / 1e9] * count
    return found[:: max(1, len(found) // most)]


def distance(some, others):
    """Kolmogorov's: the largest difference of the two shares below any value. None where one is empty."""
    if not some or not others:
        return None
    return max(abs(sum(one <= at for one in some) / len(some) - sum(one <= at for one in others) / len(others)) for at in {*some, *others})


def by_cell(compared):
    found = {}
    for one in compared:
        found.setdefault(one["key"].rsplit("#", 1)[0], []).append(one)
    return dict(sorted(found.items(), key=lambda item: cells.CELLS.index(item[0]) if item[0] in cells.CELLS else len(cells.CELLS)))


def medians(runs, figure):
    """(of the real runs, of all simulated ones)"""
    return statistics.median(one[figure][0] for one in runs), statistics.median(value for one in runs for value in one[figure][1])


def decisions(runs):
    """(looks compared, rescales among them, differences)"""
    replays = [one["replay"] for one in runs if one["replay"]]
    return tuple(sum(one[key] for one in replays) for key in ("compared", "rescales")) + (sum(len(one["different"]) for one in replays),)


def loop_rows(compared):
    lines = ["| cell | runs | pod-seconds real / simulated | late, % | ready ± 1, % of seconds | runs inside the 90 % band | looks (rescales), "
             "different | dispersion |", "|---|---|---|---|---|---|---|---|"]
    for cell, runs in by_cell(compared).items():
        real, made = medians(runs, "pod_seconds")
        late, late_made = medians(runs, "late")
        spread, spread_made = medians(runs, "dispersion")
        looks, rescales, different = decisions(runs)
        busy = sum(one["is_busy"] for one in runs)
        lines.append(f"| {cell.removeprefix('loop:')} | {len(runs)}{f' ({busy}*)' if busy else ''} | {real:.0f} / {made:.0f} ({made / real - 1:+.0%}) | "
                     f"{late * 100:.0f} / {late_made * 100:.0f} ({(late_made - late) * 100:+.0f}) | {statistics.mean(one['near'] for one in runs):.0%} | "
                     f"{sum(one['inside'] for one in runs)} of {len(runs)} | {looks} ({rescales}), {different} | {spread:.1f} / {spread_made:.1f} |")
    return lines


def loop_aims(compared):
    """Text, value, aim and whether it is kept, of all closed loops together."""
    runs_of = by_cell(compared)
    errors = [abs(made / real - 1) for real, made in (medians(runs, "pod_seconds") for runs in runs_of.values())]
    late = max(abs(made - real) for real, made in (medians(runs, "late") for runs in runs_of.values()))
    near, inside = statistics.mean(one["near"] for one in compared), statistics.mean(one["inside"] for one in compared)
    different = decisions(compared)[2]
    return [
        ("pod-seconds, median error of the cells", f"{statistics.median(errors):.0%}", "≤ 9 %", statistics.median(errors) <= AIMS["pooled"]),
        ("pod-seconds, worst cell", f"{max(errors):.0%}", "≤ 20 %", max(errors) <= AIMS["worst"]),
        ("late, worst cell, points", f"{late * 100:.0f}", "≤ 5", late <= AIMS["late"]),
        ("ready pods within ± 1, share of seconds", f"{near:.0%}", "≥ 95 %", near >= AIMS["near"]),
        ("runs inside the 90 % band", f"{inside:.0%}", "≥ 85 %", inside >= AIMS["inside"]),
        ("decisions that differ", str(different), "0", different <= AIMS["different"]),
    ]


def fixed_rows(compared):
    lines = ["| cell | runs | " + " | ".join(f"{key}, ms" for key in QUANTILES) + " | late, % | within the aim |", "|---|---|---|---|---|---|---|"]
    for cell, runs in by_cell(compared).items():
        parts, kept = [], []
        for key in QUANTILES:
            real = statistics.median(one["quantiles"][key][0] for one in runs)
            made = statistics.median(value for one in runs for value in one["quantiles"][key][1])
            kept.append(abs(made - real) <= max(FIXED_AIMS["share"] * real, FIXED_AIMS["seconds"]))
            parts.append(f"{real * 1e3:.0f} / {made * 1e3:.0f} ({made / real - 1:+.0%})")
        late, made = medians(runs, "late")
        kept.append(abs(made - late) <= FIXED_AIMS["late"])
        busy = sum(one["is_busy"] for one in runs)
        lines.append(f"| {cell} | {len(runs)}{f' ({busy}*)' if busy else ''} | {' | '.join(parts)} | "
                     f"{late * 100:.1f} / {made * 100:.1f} ({(made - late) * 100:+.1f}) | {'yes' if all(kept) else 'no'} |")
    return lines


def stage_rows(compared):
    lines = ["| stage | real, median | simulated, median | Kolmogorov distance | seen |", "|---|---|---|---|---|"]
    for stage in {stage: None for one in compared for stage in one["stages"]}:
        real, made = ([value for one in compared if stage in one["stages"] for value in one["stages"][stage][side]] for side in (0, 1))
        scale = 1e3 if stage.endswith("ms") else 1
        apart = distance(real, made) if stage.endswith(", s") else None
        lines.append(f"| {stage} | {text_of(real, scale)} | {text_of(made, scale)} | {'' if apart is None else f'{apart:.2f}'} | {len(real)} |")
    return lines


def text_of(values, scale):
    return f"{statistics.median(values) * scale:.2f}" if values else "–"


def start_rows(records):
    lines = ["| pods at once | start-ups | ready after, s, median (least to most) |", "|---|---|---|"]
    for cell in sorted({record["key"].rsplit("#", 1)[0] for record in records}):
        times = [one["ready"] for record in records if record["key"].startswith(cell + "#") for one in record["start_ups"]]
        if times:
            lines.append(f"| {cell.split(':')[1]} | {len(times)} | {statistics.median(times):.2f} ({min(times):.2f} to {max(times):.2f}) |")
    return lines


def report(records, fitted, program, runs=SIMULATIONS):
    """Markdown; of the runs of one half."""
    loaded = [record for record in records if record["plan"]["seconds"]]
    compared = [held_against(record, simulate(program, fit.scenario(fitted, record), runs)) for record in loaded]
    loops = [one for one in compared if one["key"].startswith("loop:")]
    fixed = [one for one in compared if not one["key"].startswith("loop:")]
    starts = [record for record in records if not record["plan"]["seconds"]]
    machine = records[-1]["machine"]
    parts = [f"{machine['cpu']}, {machine['cores']} cores; {len(records)} runs, {sum(record['is_busy'] for record in records)} of them on a busy machine "
             f"(*); {runs} simulations of each; start from {fitted['start_from']}, kubelet {fitted['kubelet']} (windows {fitted['windows']}), routing {fitted['routing']}"]
    if unpaired := [one["key"] for one in compared if not one["paired"]]:
        parts.append(f"NOT THE SAME ARRIVALS: {', '.join(unpaired)}")
    if loops:
        aims = [f"| {text} | {value} | {aim} | {'yes' if kept else 'NO'} |" for text, value, aim, kept in loop_aims(loops)]
        parts += ["\n".join(loop_rows(loops)), "\n".join(["| all loops | | aim | kept |", "|---|---|---|---|", *aims])]
        parts += [difference for one in loops for difference in differences(one)]
    if fixed:
        parts.append("\n".join(fixed_rows(fixed)))
    if starts:
        parts.append("\n".join(start_rows(starts)))
    if compared:
        parts.append("\n".join(stage_rows(compared)))
    return "\n\n".join(parts) + "\n"


def differences(one):
    for different in one["replay"]["different"] if one["replay"] else []:
        yield f"{one['key']}: the controller wanted {different['real']}, the replay {different['replayed']}: " + " ".join(different["words"])
