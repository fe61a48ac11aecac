#!/usr/bin/env python3
"""Puts deliberate errors into the autoscaler, one at a time, and asks whether the committed vectors find each.

    ninja -C build/release hpa_replay && tests/foresight/mutants.py [--jobs 2] [NUMBER…]

Exit code 1 where one is not found, or no longer fits the source.
"""

import argparse
import concurrent.futures
import json
import pathlib
import shlex
import subprocess
import sys
import tempfile

import hpa_vectors

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src/foresight"
BUILD = ROOT / "build/release"

# file, what stands there, what is put in its place
MUTANTS = [
    ("hpa.cc", "best.failed > 0 && best.replicas < look.current", "best.failed > 0 && best.replicas <= look.current"),
    ("hpa.cc", "best.failed >= spec_.metrics.size() || ", "best.failed > 0 || "),
    ("hpa.cc", "std::max(0, best.replicas)", "std::max(1, best.replicas)"),
    ("hpa.cc", "current > spec_.max_replicas", "current >= spec_.max_replicas + 2"),
    ("hpa.cc", "current < least ?", "current + 1 < least ?"),
    ("hpa.cc", "current == 0 && least != 0", "current == 0 && least > 1"),
    ("hpa.cc", "memory_.begin(now, look.current);", ""),
    ("hpa.cc", "if (const auto& own = spec_.behavior->down->tolerance)", "if (const auto& own = spec_.behavior->up->tolerance)"),
    ("hpa.cc", "memory_.record_rescale(now, look.current, look.desired, spec_);", ""),
    ("hpa_metrics.h", "1.0 - down <= ratio &&", "1.0 - down < ratio &&"),
    ("hpa_metrics.h", "ratio <= 1.0 + up", "ratio < 1.0 + up"),
    ("hpa_metrics.cc", "cpu_initialization_period > now_", "cpu_initialization_period >= now_"),
    ("hpa_metrics.cc", "sample.at < pod.ready_since + sample.window", "sample.at <= pod.ready_since + sample.window"),
    ("hpa_metrics.cc", "initial_readiness_delay > pod.ready_since", "initial_readiness_delay >= pod.ready_since"),
    ("hpa_metrics.cc", "is_false && never ?", "never ?"),
    ("hpa_metrics.cc", "pod.ready == ReadyCondition::kFalse", "pod.ready != ReadyCondition::kTrue"),
    ("hpa_metrics.cc", "resource == kCpu ? cpu_fate", "true ? cpu_fate"),
    ("hpa_metrics.cc", "for (const auto* const names : {&ignored, &unready_})", "for (const auto* const names : {&unready_, &unready_})"),
    ("hpa_metrics.cc", "fate == PodFate::kDeleted || fate == PodFate::kFailed;", "fate == PodFate::kDeleted;"),
    ("hpa_metrics.cc", "std::max(kWhole, trace_.target)", "std::max(std::int64_t{0}, trace_.target)"),
    ("hpa_metrics.cc", "is_up_with_unready = !unready_.empty() && ratio > 1.0", "is_up_with_unready = !unready_.empty()"),
    ("hpa_metrics.cc", "std::ceil(ratio * trace_.ready_pods)", "std::ceil(ratio * trace_.current)"),
    ("hpa_metrics.cc", "std::ceil(ratio * trace_.ready_pods)", "std::floor(ratio * trace_.ready_pods)"),
    ("hpa_metrics.cc", "again * static_cast<double>(samples_.size())", "again * trace_.current"),
    ("hpa_metrics.cc", "(ratio < 1.0 && again > 1.0) ||", ""),
    ("hpa_metrics.cc", "(ratio > 1.0 && again < 1.0)", "false"),
    ("hpa_metrics.cc", "(again < 1.0 && replicas > trace_.current) ||", ""),
    ("hpa_metrics.cc", "(again > 1.0 && replicas < trace_.current)", "false"),
    ("hpa_metrics.cc", "if (trace.current == 0) {", "if (false) {"),
    ("hpa_metrics.cc", "pod.phase == PodPhase::kRunning && pod.ready == ReadyCondition::kTrue ? 1", "pod.ready == ReadyCondition::kTrue ? 1"),
    ("hpa_metrics.cc", "view.status_replicas, trace)", "view.spec_replicas, trace)"),
    ("hpa_metrics.cc", "source == MetricSource::kExternal && replicas > kMost", "replicas > kMost"),
    ("pod_requests.cc", "{ContainerKind::kMain, ContainerKind::kSidecar}", "{ContainerKind::kMain, ContainerKind::kMain}"),
    ("pod_requests.cc", "base.plus(amount(pod.overhead, resource)).milli()", "base.milli()"),
    ("hpa_rules.cc", "one->at < now - trace.down_window", "one->at <= now - trace.down_window"),
    ("hpa_rules.cc", "if (one->at > up_cut)", "if (one->at >= up_cut)"),
    ("hpa_rules.cc", "if (one->at > down_cut)", "if (one->at >= down_cut)"),
    ("hpa_rules.cc", "std::min(std::max(current, trace.lowest), trace.highest)", "std::max(current, trace.lowest)"),
    ("hpa_rules.cc", "event.at > now - period", "event.at >= now - period"),
    ("hpa_rules.cc", "std::max(2.0 * current, 4.0)", "std::max(2.0 * current, 5.0)"),
    ("hpa_rules.cc", "wrap_add(wrap_subtract(current, one.added), one.removed)", "wrap_subtract(current, one.added)"),
    ("hpa_rules.cc", "wrap_add(wrap_subtract(current, one.added), one.removed)", "wrap_add(current, one.removed)"),
    ("hpa_rules.cc", "static_cast<double>(start) * (1 + share)", "static_cast<double>(start) + start * policy.value / 100"),
    ("hpa_rules.cc", "to_int32(static_cast<double>(start) * (1 - share))", "to_int32(std::ceil(static_cast<double>(start) * (1 - share)))"),
    ("hpa_rules.cc", "is_up == (*rules.select == SelectPolicy::kMax)", "is_up"),
    ("hpa_rules.cc", "if (rules.select == SelectPolicy::kDisabled) {", "if (false) {"),
    ("hpa_rules.cc", "event->at < now - seconds(longest)", "event->at < now"),
    ("hpa_spec.cc", "PolicyType::kPods, .value = 4", "PolicyType::kPods, .value = 5"),
    ("quantity.cc", "return left ? value + 1 : value;", "return value;"),
    ("quantity.cc", "base * power_of_ten(exponent_)", "base / power_of_ten(-exponent_)"),
]  # fmt: skip


def commands():
    """How each source is compiled, and how hpa_replay is linked."""
    entries = json.loads((BUILD / "compile_commands.json").read_text("utf-8"))
    compile_ = {pathlib.Path(one["file"]).name: one["command"] for one in entries if "/src/foresight/" in one["file"]}
    asked = subprocess.run(["ninja", "-C", BUILD, "-t", "commands", "hpa_replay"], capture_output=True, text=True, check=True)
    return compile_, asked.stdout.splitlines()[-1]


def compiled(command, source, folder, include):
    """The command with another source and output, and a folder that is looked into first."""
    words = shlex.split(command)
    words[words.index("-o") + 1] = str(folder / (source.name + ".o"))
    words[words.index("-c") + 1] = str(source)
    at = next(i for i, word in enumerate(words) if word.startswith("-I"))
    # An error may leave a parameter without a use: that is not for the compiler to find.
    subprocess.run([*words[:at], f"-I{include}", *words[at:], "-w"], cwd=BUILD, check=True)
    return folder / (source.name + ".o")


def linked(command, objects, program):
    words = shlex.split(command.replace(": && ", "", 1).replace(" && :", ""))
    words[words.index("-o") + 1] = str(program)
    first = next(i for i, word in enumerate(words) if word.endswith(".o"))
    subprocess.run([*words[:first], *map(str, objects), *words[first:]], cwd=BUILD, check=True)


def is_found(mutant, tools):
    """None where the mutant no longer fits; else the look that gives it away, or ""."""
    name, old, new = mutant
    text = (SOURCE / name).read_text("utf-8")
    if text.count(old) != 1:
        return None
    compile_, link = tools
    with tempfile.TemporaryDirectory() as made:
        folder = pathlib.Path(made)
        (folder / "foresight").mkdir()
        changed = folder / "foresight" / name
        changed.write_text(text.replace(old, new), "utf-8")
        # A header changes every source that includes it.
        sources = [changed] if name.endswith(".cc") else [SOURCE / "hpa.cc", SOURCE / "hpa_metrics.cc"]
        objects = [compiled(compile_[one.name], one, folder, folder) for one in sources]
        linked(link, objects, folder / "program")
        for version in hpa_vectors.versions():
            expected = hpa_vectors.answers(version)
            try:
                actual = hpa_vectors.ask([folder / "program"], version, hpa_vectors.cases(version))
            except RuntimeError as error:
                return str(error)[:80]
            fault = next(hpa_vectors.differences(expected, actual), "")
            if fault:
                return f"{version}: {fault.split(':')[0]}"
    return ""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("numbers", nargs="*", type=int)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    tools = commands()
    chosen = options.numbers or range(len(MUTANTS))
    missed = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        running = {number: pool.submit(is_found, MUTANTS[number], tools) for number in chosen}
        for number, future in running.items():
            found = future.result()
            missed += not found
            verdict = f"found by {found}" if found else "NOT FOUND" if found == "" else "does not fit the source"
            print(f"{number:2} {MUTANTS[number][0]}: {MUTANTS[number][1]!r} -> {MUTANTS[number][2]!r}: {verdict}", flush=True)
    print(f"{len(running) - missed} of {len(running)} deliberate errors found")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
