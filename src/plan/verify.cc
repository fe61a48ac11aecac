#include "plan/verify.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "foresight/yaml_json.h"
#include "text/columns.h"
#include "text/numbers.h"
#include "text/split.h"

namespace podsense::plan {
namespace {

using Json = nlohmann::ordered_json;
using foresight::RunResult;
using foresight::Simulation;

// Differences of a stage that are worth naming: in shares, and in what nobody would notice.
constexpr double kStartQuantile = 0.5;
// Where looks and rounds of metrics have one period, their ages in a run are all alike, anywhere up
// to that period: the oldest tell periods apart.
constexpr double kAgeQuantile = 0.9;
constexpr double kStartShare = 0.2;
constexpr double kStartSeconds = 2;
constexpr double kAgeShare = 0.5;
constexpr double kAgeSeconds = 5;
constexpr double kServiceShare = 0.15;
constexpr double kThrottledPoints = 0.05;
constexpr double kSharePoints = 0.05;
constexpr std::string_view kFormat = "podsense-verified/1";

/// Of this quantile of all runs that have one.
std::optional<foresight::Band> range_of(const Simulation& simulation,
                                        quantiles::DurationHistogram RunResult::* member,
                                        double quantile) {
  std::vector<double> values;
  for (const RunResult& run : simulation.runs) {
    if ((run.*member).count() > 0) {
      values.push_back(to_seconds((run.*member).quantile(quantile)));
    }
  }
  return values.empty() ? std::nullopt : std::optional(foresight::band_of(std::move(values)));
}

std::optional<foresight::Band> single(const quantiles::DurationHistogram& histogram,
                                      double quantile) {
  const double value = to_seconds(histogram.quantile(quantile));
  return histogram.count() == 0
             ? std::nullopt
             : std::optional(foresight::Band{.low = value, .median = value, .high = value});
}

std::string seconds_text(double seconds) {
  return text::format_duration(Duration(std::llround(seconds * 1e9)));
}

struct Least {
  double share = 0;
  double seconds = 0;
};
/// How far beyond the range of the simulated runs.
std::optional<StageFault> compare(std::string_view stage, std::string_view what,
                                  const std::optional<foresight::Band>& predicted,
                                  const std::optional<foresight::Band>& measured, Least least) {
  if (!predicted || !measured) {
    return std::nullopt;
  }
  const double nearest = std::clamp(measured->median, predicted->low, predicted->high);
  if (std::abs(measured->median - nearest) <= std::max(least.seconds, least.share * nearest)) {
    return std::nullopt;
  }
  return StageFault{.stage = stage,
                    .predicted = predicted->median,
                    .measured = measured->median,
                    .text = std::string(what) + " " + seconds_text(measured->median) +
                            ", the plan assumes " + seconds_text(predicted->median)};
}

std::optional<StageFault> compare_service(const Stages& predicted, const Stages& measured) {
  const bool has_cpu = predicted.cpu_per_request && measured.cpu_per_request;
  const auto& before = has_cpu ? predicted.cpu_per_request : predicted.run_seconds;
  const auto& after = has_cpu ? measured.cpu_per_request : measured.run_seconds;
  if (!before || !after || *before <= 0 || std::abs(*after / *before - 1) <= kServiceShare) {
    return std::nullopt;
  }
  return StageFault{.stage = "service time",
                    .predicted = *before,
                    .measured = *after,
                    .text = (has_cpu ? "a request uses " : "a run takes ") + seconds_text(*after) +
                            (has_cpu ? " of CPU" : "") + ", the plan assumes " +
                            seconds_text(*before) +
                            (has_cpu ? "" : " (CPU time was not seen: a limit may be the reason)")};
}

std::optional<StageFault> compare_limit(const Stages& predicted, const Stages& measured) {
  if (!predicted.throttled_share || !measured.throttled_share ||
      std::abs(*measured.throttled_share - *predicted.throttled_share) <= kThrottledPoints) {
    return std::nullopt;
  }
  return StageFault{.stage = "CPU limit",
                    .predicted = *predicted.throttled_share,
                    .measured = *measured.throttled_share,
                    .text = "pods are throttled for " +
                            text::format_share_tenths(*measured.throttled_share) +
                            " of the time, the plan assumes " +
                            text::format_share_tenths(*predicted.throttled_share)};
}

double share(std::uint64_t part, std::uint64_t all) {
  return all == 0 ? 0 : static_cast<double>(part) / static_cast<double>(all);
}

foresight::Band band(const Simulation& simulation, double (*of)(const RunResult&)) {
  std::vector<double> values(simulation.runs.size());
  std::ranges::transform(simulation.runs, values.begin(), of);
  return foresight::band_of(std::move(values));
}

template <int Percent>
double quantile(const RunResult& run) {
  return to_seconds(run.latency.quantile(Percent / 100.0));
}

std::string figure_text(FigureKind kind, double value) {
  return kind == FigureKind::kSeconds ? seconds_text(value)
         : kind == FigureKind::kShare ? text::format_share_tenths(value)
                                      : text::format_number(value);
}

std::string error_text(const VerifiedFigure& figure) {
  const std::string sign = figure.error() < 0 ? "-" : "+";
  const double size = std::abs(figure.error());
  return sign + (figure.kind == FigureKind::kShare
                     ? text::format_rate(std::round(size * 1000) / 10) + " points"
                     : text::format_share_tenths(size));
}

}  // namespace

Stages stages_of(const Simulation& simulation) {
  Stages out{.start_up = range_of(simulation, &RunResult::start_up, kStartQuantile),
             .signal_age = range_of(simulation, &RunResult::signal_age, kAgeQuantile)};
  quantiles::DurationHistogram runs{quantiles::DurationHistogram::kCoarse};
  double cpu = 0;
  double requests = 0;
  double throttled = 0;
  double pods = 0;
  for (const RunResult& run : simulation.runs) {
    runs.merge(run.run_time);
    cpu += run.cpu_seconds;
    requests += static_cast<double>(
        run.endings[static_cast<std::size_t>(foresight::RequestEnding::kAnswered)]);
    throttled += run.throttled_seconds;
    pods += run.pod_seconds;
  }
  if (runs.count() > 0) {
    out.run_seconds = to_seconds(runs.mean());
  }
  if (requests > 0 && pods > 0) {
    out.cpu_per_request = cpu / requests;
    out.throttled_share = throttled / pods;
  }
  return out;
}

std::vector<StageFault> diagnose(const Stages& predicted, const Stages& measured) {
  std::vector<StageFault> out;
  const auto add = [&out](std::optional<StageFault> fault) {
    if (fault) {
      out.push_back(std::move(*fault));
    }
  };
  add(compare("start-up", "new pods are ready (median) after", predicted.start_up,
              measured.start_up, {.share = kStartShare, .seconds = kStartSeconds}));
  add(compare("metric age", "what the autoscaler sees is old by (nine of ten)",
              predicted.signal_age, measured.signal_age,
              {.share = kAgeShare, .seconds = kAgeSeconds}));
  auto service = compare_service(predicted, measured);
  if (!service || !predicted.cpu_per_request || !measured.cpu_per_request) {
    if (auto limit = compare_limit(predicted, measured)) {
      // Longer runs without the CPU time to show for it are the limit's.
      service.reset();
      add(std::move(limit));
    }
  }
  add(std::move(service));
  std::ranges::sort(out, std::ranges::greater(), [](const StageFault& one) {
    return std::abs(std::log((one.measured + 1e-3) / (one.predicted + 1e-3)));
  });
  return out;
}

double VerifiedFigure::error() const {
  return kind == FigureKind::kShare ? measured - predicted.median
         : predicted.median > 0     ? measured / predicted.median - 1
         : measured > 0             ? 1
                                    : 0;
}

bool VerifiedFigure::is_within(double bound) const {
  if (measured >= predicted.low && measured <= predicted.high) {
    return true;
  }
  return std::abs(error()) <= (kind == FigureKind::kShare ? kSharePoints : bound);
}

bool Verification::is_within() const {
  return std::ranges::all_of(figures,
                             [&](const VerifiedFigure& one) { return one.is_within(bound); });
}

bool tells_metric_age(const foresight::Scenario& scenario) {
  using foresight::MetricSource;
  return scenario.autoscaler &&
         std::ranges::all_of(scenario.autoscaler->spec.metrics, [](const auto& metric) {
           return metric.source == MetricSource::kResource ||
                  metric.source == MetricSource::kContainerResource;
         });
}

Verification verify(const Simulation& predicted, const Measurement& measured, double bound) {
  Verification out{.bound = bound};
  const auto add = [&](std::string_view key, std::string_view text, FigureKind kind,
                       foresight::Band range, double value) {
    out.figures.push_back(
        {.key = key, .text = text, .kind = kind, .predicted = range, .measured = value});
  };
  const auto quantile_of = [&](double q) { return to_seconds(measured.latency.quantile(q)); };
  add("latency_p50_seconds", "p50", FigureKind::kSeconds, band(predicted, quantile<50>),
      quantile_of(0.5));
  add("latency_p95_seconds", "p95", FigureKind::kSeconds, band(predicted, quantile<95>),
      quantile_of(0.95));
  add("latency_p99_seconds", "p99", FigureKind::kSeconds, band(predicted, quantile<99>),
      quantile_of(0.99));
  add("late_share", "above objective or failed", FigureKind::kShare,
      band(predicted, [](const RunResult& run) { return share(run.late, run.requests()); }),
      share(measured.late, measured.requests));
  add("error_share", "not answered", FigureKind::kShare,
      band(predicted,
           [](const RunResult& run) {
             return 1 -
                    share(
                        run.endings[static_cast<std::size_t>(foresight::RequestEnding::kAnswered)],
                        run.requests());
           }),
      share(measured.failed, measured.requests));
  if (measured.pods) {
    add("pods_most", "pods at most", FigureKind::kNumber,
        band(predicted, [](const RunResult& run) { return static_cast<double>(run.most_pods); }),
        measured.pods->most);
    add("pod_seconds", "pod-seconds", FigureKind::kNumber,
        band(predicted, [](const RunResult& run) { return run.pod_seconds; }),
        measured.pods->seconds);
  }
  const Stages& seen = measured.stages;
  out.has_stages = seen.start_up || seen.signal_age || seen.run_seconds || seen.cpu_per_request ||
                   seen.throttled_share;
  if (!out.is_within()) {
    out.faults = diagnose(stages_of(predicted), seen);
  }
  return out;
}

std::string verification_text(const Verification& verification) {
  std::string out = text::right("", 28) + text::right("predicted", 12) +
                    text::right("5 % .. 95 %", 26) + text::right("measured", 12) +
                    text::right("error", 14) + "\n";
  for (const VerifiedFigure& one : verification.figures) {
    out += std::string(one.text) +
           text::right("", 28 - std::min<std::size_t>(28, one.text.size())) +
           text::right(figure_text(one.kind, one.predicted.median), 12) +
           text::right(figure_text(one.kind, one.predicted.low) + " .. " +
                           figure_text(one.kind, one.predicted.high),
                       26) +
           text::right(figure_text(one.kind, one.measured), 12) + text::right(error_text(one), 14) +
           (one.is_within(verification.bound) ? "" : "  OUTSIDE") + "\n";
  }
  if (verification.is_within()) {
    return out + "all within " + text::format_share_tenths(verification.bound) +
           ", or the range of 90 % of the simulated runs\n";
  }
  for (const StageFault& fault : verification.faults) {
    out += "off: " + std::string(fault.stage) + ": " + fault.text + "\n";
  }
  if (verification.faults.empty()) {
    out += verification.has_stages
               ? "off: none of start-up, metric age, service time and CPU limit, as far as they "
                 "were seen: routing, or another load on the pods or their nodes\n"
               : "off: nothing was seen of start-up, metric age and service time; say -n NAMESPACE "
                 "or --admin URL\n";
  }
  return out;
}

std::string verification_line(const Verification& verification, std::string_view time) {
  Json figures = Json::object();
  for (const VerifiedFigure& one : verification.figures) {
    figures[std::string(one.key)] = {{"predicted", one.predicted.median},
                                     {"low", one.predicted.low},
                                     {"high", one.predicted.high},
                                     {"measured", one.measured},
                                     {"error", one.error()}};
  }
  Json faults = Json::array();
  for (const StageFault& fault : verification.faults) {
    faults.push_back(
        {{"stage", fault.stage}, {"predicted", fault.predicted}, {"measured", fault.measured}});
  }
  const Json line{{"format", kFormat},
                  {"time", time},
                  {"cluster", verification.cluster},
                  {"plan", verification.plan},
                  {"bound", verification.bound},
                  {"is_within", verification.is_within()},
                  {"figures", std::move(figures)},
                  {"off", std::move(faults)}};
  return line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string last_cluster(std::string_view lines) {
  std::string cluster;
  for (const std::string_view line : text::split(lines, '\n')) {
    const Json one = Json::parse(line, nullptr, false);
    const Json name = one.is_object() ? one.value("cluster", Json()) : Json();
    if (name.is_string() && one.value("format", Json()) == kFormat) {
      cluster = name.get<std::string>();
    }
  }
  return cluster;
}

std::string recent_errors(std::string_view lines, std::string_view cluster, std::size_t most) {
  std::vector<Json> found;
  for (const std::string_view line : text::split(lines, '\n')) {
    Json one = Json::parse(line, nullptr, false);
    if (one.is_object() && one.value("format", Json()) == kFormat &&
        one.value("cluster", Json()) == cluster && one.value("figures", Json()).is_object()) {
      found.push_back(std::move(one));
    }
  }
  if (found.size() > most) {
    found.erase(found.begin(), found.end() - static_cast<std::ptrdiff_t>(most));
  }
  std::string out;
  for (const auto& [key, text, is_share] : {std::tuple("latency_p50_seconds", "p50", false),
                                            std::tuple("latency_p99_seconds", "p99", false),
                                            std::tuple("late_share", "share late", true),
                                            std::tuple("pod_seconds", "pod-seconds", false)}) {
    double sum = 0;
    int count = 0;
    for (const Json& one : found) {
      const Json figure = one["figures"].value(key, Json());
      const Json error = figure.is_object() ? figure.value("error", Json()) : Json();
      if (error.is_number()) {
        sum += std::abs(error.get<double>());
        ++count;
      }
    }
    if (count > 0) {
      const double mean = sum / count;
      out += (out.empty() ? "" : ", ") + std::string(text) + " " +
             (is_share ? text::format_rate(std::round(mean * 1000) / 10) + " points"
                       : text::format_share_tenths(mean));
    }
  }
  return out.empty() ? ""
                     : "error of the last " +
                           (found.size() == 1 ? "verified plan"
                                              : std::to_string(found.size()) + " verified plans") +
                           " on " + std::string(cluster) + ": " + out;
}

Result<Verifiable> read_verifiable(std::string_view text, std::string_view name) {
  const auto document = foresight::parse_yaml(text);
  if (!document) {
    return fail(ErrorCode::kInvalidArgument, std::string(name) + ": " + document.error().message);
  }
  const bool is_plan = document->is_object() && document->contains("verdict");
  if (!is_plan) {
    return Verifiable{.text = std::string(text), .files = {}};
  }
  const auto scenario = document->find("scenario");
  if (scenario == document->end() || !scenario->is_object()) {
    return fail(ErrorCode::kInvalidArgument, std::string(name) + ": the plan has no scenario");
  }
  Verifiable out{.text = scenario->dump(), .files = {}};
  const auto files = document->find("files");
  if (files != document->end() && files->is_object()) {
    for (const auto& [path, content] : files->items()) {
      if (content.is_string()) {
        out.files[path] = content.get<std::string>();
      }
    }
  }
  return out;
}

void PodWatch::add(Duration now, const foresight::Deployed& seen) {
  const auto workload = std::ranges::find_if(
      seen.workloads, [&](const auto& one) { return one.name.name == workload_; });
  if (workload == seen.workloads.end()) {
    return;
  }
  is_found_ = true;
  if (begin_) {
    pods_.seconds += there_ * to_seconds(now - last_);
  }
  last_ = now;
  there_ = 0;
  std::int32_t wanted = 0;
  std::int32_t ready = 0;
  for (const foresight::DeployedPod& pod : seen.pods) {
    if (!workload->selector.finds(pod.labels) || pod.phase == foresight::PodPhase::kFailed ||
        pod.phase == foresight::PodPhase::kSucceeded) {
      continue;
    }
    ++there_;
    wanted += pod.is_deleted ? 0 : 1;
    ready += pod.is_ready && !pod.is_deleted ? 1 : 0;
    if (begin_ && pod.is_ready && pod.created && pod.ready_since && *pod.created >= *begin_) {
      starts_.try_emplace(pod.name.name, *pod.ready_since - *pod.created);
    }
  }
  if (!begin_) {
    begin_ = now;
    ready_at_begin_ = ready;
  }
  pods_.most = std::max(pods_.most, wanted);
  if (!pods_.second_ready && ready > ready_at_begin_) {
    pods_.second_ready = now - *begin_;
  }
}

void PodWatch::add_samples(Duration now, const std::vector<Duration>& at) {
  for (const Duration sample : at) {
    ages_.record(now - sample);
  }
}

Result<Measurement::Pods> PodWatch::pods() const {
  return is_found_ ? Result<Measurement::Pods>(pods_)
                   : Result<Measurement::Pods>(fail(
                         ErrorCode::kInvalidArgument,
                         "the namespace has no Deployment or StatefulSet called " + workload_));
}

std::optional<foresight::Band> PodWatch::start_up() const {
  quantiles::DurationHistogram out{quantiles::DurationHistogram::kCoarse};
  for (const auto& [pod, took] : starts_) {
    out.record(took);
  }
  return single(out, kStartQuantile);
}

std::optional<foresight::Band> PodWatch::signal_age() const {
  return single(ages_, kAgeQuantile);
}

}  // namespace podsense::plan
