#include "load/load.h"

#include <fstream>
#include <iostream>

#include "load/job.h"
#include "load/live.h"
#include "load/runner.h"
#include "load/scrape.h"

namespace podsense::load {
namespace {

constexpr Duration kTick = std::chrono::milliseconds(100);

/// Watches until the end; true when a signal cut it short.
bool run_engine(Engine& engine, LiveView& live, ScrapeMetrics& metrics, Signals& signals) {
  bool interrupted = false;
  engine.start();
  while (!engine.wait(interrupted ? kTick : Duration::zero())) {
    if (!interrupted && signals.wait(kTick)) {
      interrupted = true;
      engine.interrupt();
    }
    const Recorder::Recent recent = engine.recent();
    const std::size_t in_flight = engine.in_flight();
    metrics.update(recent, in_flight);
    live.update(std::chrono::steady_clock::now() - engine.started(), recent, in_flight);
  }
  live.finish();
  return interrupted;
}

Result<void> write_file(const std::filesystem::path& path, const std::string& content) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << content;
  file.close();
  if (!file) {
    return fail(ErrorCode::kUnavailable, "cannot write " + path.string());
  }
  return {};
}

Ending ending_of(const Report& report) {
  if (report.interrupted) {
    return Ending::kInterrupted;
  }
  for (const auto& [threshold, verdict] : report.thresholds) {
    if (verdict.holds) {
      return Ending::kThreshold;
    }
  }
  if (report.search && report.search->best == 0) {
    return Ending::kThreshold;
  }
  return report.results.counts.ok == 0 ? Ending::kNotRun : Ending::kOk;
}

/// Text, JSON, CSV and HTML, as the options ask.
Result<void> write_report(const Report& report, const Options& options) {
  if (options.json == "-") {
    std::cout << json_report(report) << std::flush;
  } else {
    std::cout << text_report(report) << std::flush;
    if (!options.json.empty()) {
      if (auto written = write_file(options.json, json_report(report)); !written) {
        return written;
      }
    }
  }
  if (!options.csv.empty()) {
    if (auto written = write_file(options.csv, csv_report(report)); !written) {
      return written;
    }
  }
  if (!options.html.empty()) {
    if (auto written = write_file(options.html, html_report(report)); !written) {
      return written;
    }
  }
  return {};
}

Result<Ending> conclude(Report& report, const Options& options) {
  for (const Threshold& threshold : options.fail_if) {
    report.thresholds.emplace_back(threshold, threshold.check(report.results));
  }
  if (auto written = write_report(report, options); !written) {
    return fail(std::move(written.error()));
  }
  return ending_of(report);
}

}  // namespace

Result<Ending> merge_files(const std::vector<std::string>& files, const Options& output) {
  std::vector<Report> reports;
  for (const std::string& file : files) {
    auto text = read_file(file);
    if (!text) {
      return fail(std::move(text.error()));
    }
    auto report = read_report(*text);
    if (!report) {
      return fail(ErrorCode::kInvalidArgument, file + ": " + report.error().message);
    }
    reports.push_back(std::move(*report));
  }
  auto merged = merge_reports(std::move(reports));
  if (!merged) {
    return fail(std::move(merged.error()));
  }
  return conclude(*merged, output);
}

Result<Ending> run(const Options& options) {
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
  Report report{.circumstances = job->circumstances};
  if (options.find_max) {
    auto found = find_max(options, *job, signals);
    if (!found) {
      return fail(std::move(found.error()));
    }
    report.circumstances = found->circumstances;
    report.results = std::move(found->results);
    report.search = std::move(found->search);
    report.interrupted = found->interrupted;
    return conclude(report, options);
  }
  auto engine = open_engine(options, *job, signals);
  if (!engine) {
    return fail(std::move(engine.error()));
  }
  LiveView live({.length = job->plan.duration,
                 .requests = job->circumstances.requests,
                 .quiet = options.quiet});
  report.interrupted = run_engine(**engine, live, metrics, signals);
  report.results = (*engine)->results();
  return conclude(report, options);
}

}  // namespace podsense::load
