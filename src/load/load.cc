#include "load/load.h"

#include <algorithm>
#include <filesystem>
#include <iostream>

#include "load/job.h"
#include "load/measuring/live.h"
#include "load/measuring/scrape.h"
#include "load/outputs.h"
#include "load/runner.h"

namespace podsense::load {
namespace {

constexpr Duration kTick = std::chrono::milliseconds(100);

/// What looks on while a run goes.
struct Watchers {
  LiveView& live;
  ScrapeMetrics& metrics;
  RunOutputs& outputs;
  const Circumstances& how;
};

/// Watches until the end; true when a signal cut it short.
bool run_engine(LoadEngine& engine, const Watchers& watchers, Signals& signals) {
  bool interrupted = false;
  engine.start();
  while (!engine.wait(interrupted ? kTick : Duration::zero())) {
    if (!interrupted && signals.wait(kTick)) {
      interrupted = true;
      engine.interrupt();
    }
    const Recorder::Recent recent = engine.recent();
    const std::size_t in_flight = engine.in_flight();
    watchers.metrics.update(recent, in_flight);
    watchers.live.update(std::chrono::steady_clock::now() - engine.started(), recent, in_flight);
    watchers.outputs.add(engine.take_rows(), watchers.how);
  }
  watchers.outputs.add(engine.take_rows(), watchers.how);
  watchers.live.finish();
  return interrupted;
}

RunEnding ending_of(const LoadReport& report) {
  if (report.interrupted) {
    return RunEnding::kInterrupted;
  }
  for (const auto& [threshold, verdict] : report.thresholds) {
    if (verdict.holds) {
      return RunEnding::kThreshold;
    }
  }
  if (report.search && report.search->best == 0) {
    return RunEnding::kThreshold;
  }
  return report.results.counts.ok == 0 ? RunEnding::kNotRun : RunEnding::kOk;
}

Result<RunEnding> conclude(LoadReport& report, const LoadOptions& options, RunOutputs& outputs) {
  for (const LoadThreshold& threshold : options.fail_if) {
    report.thresholds.emplace_back(threshold, threshold.check(report.results));
  }
  if (auto written = outputs.write(report); !written) {
    return fail(std::move(written.error()));
  }
  return ending_of(report);
}

/// The same file by another name is the same file.
Result<void> check_distinct(const std::vector<std::string>& files) {
  std::error_code error;
  for (auto file = files.begin(); file != files.end(); ++file) {
    for (auto other = files.begin(); other != file; ++other) {
      if (*file == *other || std::filesystem::equivalent(*file, *other, error)) {
        return fail(ErrorCode::kInvalidArgument,
                    *file + " is given twice" + (*file == *other ? "" : ", also as " + *other) +
                        ": its requests would be counted twice");
      }
    }
  }
  return {};
}

}  // namespace

Result<RunEnding> merge_files(const std::vector<std::string>& files, const LoadOptions& output) {
  if (auto distinct = check_distinct(files); !distinct) {
    return fail(std::move(distinct.error()));
  }
  std::vector<LoadReport> reports;
  std::vector<std::string> texts;
  for (const std::string& file : files) {
    auto text = text::read_file(file);
    if (!text) {
      return fail(std::move(text.error()));
    }
    auto report = read_load_report(*text);
    if (!report) {
      return fail(ErrorCode::kInvalidArgument, file + ": " + report.error().message);
    }
    if (const auto same = std::ranges::find(texts, *text); same != texts.end()) {
      return fail(ErrorCode::kInvalidArgument,
                  file + " holds the same report as " +
                      files[static_cast<std::size_t>(same - texts.begin())] +
                      ": its requests would be counted twice");
    }
    texts.push_back(std::move(*text));
    reports.push_back(std::move(*report));
  }
  auto merged = merge_reports(std::move(reports));
  if (!merged) {
    return fail(std::move(merged.error()));
  }
  auto outputs = RunOutputs::open(output);
  if (!outputs) {
    return fail(std::move(outputs.error()));
  }
  return conclude(*merged, output, *outputs);
}

namespace {

Result<LoadReport> measure_into(const LoadOptions& options, RunOutputs& outputs) {
  auto job = make_job(options);
  if (!job) {
    return fail(std::move(job.error()));
  }
  Signals signals;
  ScrapeMetrics metrics;
  std::unique_ptr<ScrapePage> page;
  if (!options.prometheus.empty()) {
    auto listening = ScrapePage::listen(options.prometheus, metrics);
    if (!listening) {
      return fail(std::move(listening.error()));
    }
    page = std::move(*listening);
    std::cerr << "metrics for Prometheus on port " << page->port() << '\n';
  }
  LoadReport report{.circumstances = job->circumstances};
  if (options.find_max) {
    auto found = find_max(options, *job, signals, metrics);
    if (!found) {
      return fail(std::move(found.error()));
    }
    report.circumstances = found->circumstances;
    report.results = std::move(found->results);
    report.target_results = std::move(found->target_results);
    report.search = std::move(found->search);
    report.interrupted = found->interrupted;
    return report;
  }
  auto engine = open_engine(options, *job, signals);
  if (!engine) {
    return fail(std::move(engine.error()));
  }
  LiveView live({.length = job->plan.duration,
                 .requests = job->circumstances.requests,
                 .quiet = options.quiet});
  const Watchers watchers{
      .live = live, .metrics = metrics, .outputs = outputs, .how = report.circumstances};
  report.interrupted = run_engine(**engine, watchers, signals);
  RunResults results = (*engine)->results();
  report.results = std::move(results.all);
  if (!report.circumstances.targets.empty()) {
    report.target_results = std::move(results.targets);
  }
  return report;
}

}  // namespace

Result<RunEnding> run_load(const LoadOptions& options) {
  // Flags first: a wrong one leaves no empty file behind.
  if (auto valid = options.validate(); !valid) {
    return fail(std::move(valid.error()));
  }
  auto outputs = RunOutputs::open(options);
  if (!outputs) {
    return fail(std::move(outputs.error()));
  }
  auto report = measure_into(options, *outputs);
  if (!report) {
    return fail(std::move(report.error()));
  }
  return conclude(*report, options, *outputs);
}

Result<LoadReport> measure_load(const LoadOptions& options) {
  RunOutputs none;
  return measure_into(options, none);
}

}  // namespace podsense::load
