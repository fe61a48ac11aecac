#include "load/measuring/threshold.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/text.h"
#include "text/numbers.h"
#include "text/split.h"

namespace podsense::load {
namespace {

constexpr std::string_view kAccepted =
    "accepted: METRIC>VALUE (also >= < <=) with p50 … p99.99, min, mean, max, service_p99, lag_p99 "
    "(durations: 50ms), errors, drops (0.1% or a number), failed, dropped, ok, sent, rps, "
    "status_503, status_UNAVAILABLE";

tl::unexpected<Error> bad(std::string_view text, std::string_view why) {
  return fail(ErrorCode::kInvalidArgument, "'" + std::string(text) + "' is no threshold: " +
                                               std::string(why) + "; " + std::string(kAccepted));
}

double share(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

double per_second(std::uint64_t count, Duration time) {
  return time <= Duration::zero() ? 0 : static_cast<double>(count) / to_seconds(time);
}

struct LatencyMetric {
  enum class Which { kLatency, kService, kLag } which = Which::kLatency;
  double quantile = -1;  ///< negative: `name`
  std::string_view name;
};

std::optional<LatencyMetric> latency_metric(std::string_view metric) {
  LatencyMetric found;
  if (metric.starts_with("service_")) {
    found.which = LatencyMetric::Which::kService;
    metric.remove_prefix(8);
  } else if (metric.starts_with("lag_")) {
    found.which = LatencyMetric::Which::kLag;
    metric.remove_prefix(4);
  }
  if (metric == "min" || metric == "mean" || metric == "max") {
    found.name = metric;
    return found;
  }
  const auto percent =
      metric.starts_with('p') ? text::parse_number(metric.substr(1)) : std::nullopt;
  if (!percent || *percent <= 0 || *percent > 100) {
    return std::nullopt;
  }
  found.quantile = *percent / 100;
  return found;
}

Duration measure_latency(const LatencyMetric& metric,
                         const quantiles::DurationHistogram& histogram) {
  if (metric.quantile >= 0) {
    return histogram.quantile(metric.quantile);
  }
  return metric.name == "min"   ? histogram.min()
         : metric.name == "max" ? histogram.max()
                                : histogram.mean();
}

quantiles::DurationHistogram together(const quantiles::DurationHistogram& answered,
                                      const quantiles::DurationHistogram& failed) {
  quantiles::DurationHistogram all = answered;
  all.merge(failed);
  return all;
}

/// How long at least failed requests waited is only a bound where it is part of the figure.
bool is_bound(const quantiles::DurationHistogram& failed, Duration value) {
  return failed.count() > 0 && failed.min() <= value;
}

constexpr std::array<std::string_view, 7> kCounts{"errors", "drops", "failed", "dropped",
                                                  "ok",     "sent",  "rps"};

bool is_count(std::string_view metric) {
  if (metric.starts_with("status_")) {
    return parse_status(metric.substr(7)).has_value();
  }
  return std::ranges::find(kCounts, metric) != kCounts.end();
}

}  // namespace

OfAll quantile_of_all(const quantiles::DurationHistogram& answered,
                      const quantiles::DurationHistogram& failed, double q) {
  const Duration value = together(answered, failed).quantile(q);
  return {.value = value, .at_least = is_bound(failed, value)};
}

std::string format_of_all(const OfAll& figure) {
  return (figure.at_least ? "≥ " : "") + text::format_duration(figure.value);
}

double error_share(const RequestCounts& counts) {
  return share(counts.failed + counts.dropped, counts.planned - counts.canceled);
}
double achieved_rate(const Results& results) {
  return per_second(results.counts.ok, std::max(results.measured, results.last_answer));
}
double offered_rate(const Results& results) {
  return per_second(results.counts.planned, results.measured);
}

Result<LoadThreshold> LoadThreshold::parse(std::string_view text) {
  const std::size_t at = text.find_first_of("<>");
  if (at == std::string_view::npos) {
    return bad(text, "there is no comparison");
  }
  LoadThreshold threshold;
  threshold.text_ = text::trim(text);
  threshold.metric_ = text::trim(text.substr(0, at));
  const bool equal = at + 1 < text.size() && text[at + 1] == '=';
  threshold.op_ =
      text[at] == '>' ? (equal ? Op::kAtLeast : Op::kAbove) : (equal ? Op::kAtMost : Op::kBelow);
  std::string_view value = text::trim(text.substr(at + (equal ? 2 : 1)));
  if (latency_metric(threshold.metric_)) {
    const auto limit = text::parse_duration(value);
    if (!limit) {
      return bad(text, "'" + std::string(value) + "' is no duration");
    }
    threshold.kind_ = Kind::kDuration;
    threshold.limit_ = to_seconds(*limit);
    return threshold;
  }
  if (!is_count(threshold.metric_)) {
    const std::string_view near = nearest_name(threshold.metric_, kCounts);
    return bad(text, "there is no metric '" + threshold.metric_ + "'" +
                         (near.empty() ? "" : " (did you mean " + std::string(near) + "?)"));
  }
  const bool percent = value.ends_with('%');
  if (percent) {
    value.remove_suffix(1);
    if (threshold.metric_ == "rps") {
      return bad(text, "a rate is no share");
    }
    threshold.kind_ = Kind::kShare;
  }
  const auto limit = text::parse_number(text::trim(value));
  if (!limit || *limit < 0 || (percent && *limit > 100)) {
    return bad(text,
               percent ? "the value is no share from 0% to 100%" : "the value is no number from 0");
  }
  threshold.limit_ = percent ? *limit / 100 : *limit;
  return threshold;
}

Result<std::vector<LoadThreshold>> LoadThreshold::parse_objective(std::string_view text) {
  std::vector<LoadThreshold> all;
  for (const std::string_view one : text::split(text, ',')) {
    const std::size_t at = one.find('=');
    if (at == std::string_view::npos || one.find_first_of("<>") != std::string_view::npos) {
      return fail(ErrorCode::kInvalidArgument,
                  "'" + std::string(one) +
                      "' is no objective; accepted: METRIC=LIMIT,… as p99=50ms,errors=0.1%");
    }
    auto threshold = parse(std::string(one.substr(0, at)) + ">" + std::string(one.substr(at + 1)));
    if (!threshold) {
      return fail(std::move(threshold.error()));
    }
    all.push_back(std::move(*threshold));
  }
  return all;
}

double LoadThreshold::quantile() const {
  const auto metric = latency_metric(metric_);
  return metric ? metric->quantile : -1;
}

double LoadThreshold::measure(const Results& results) const {
  const RequestCounts& counts = results.counts;
  if (metric_ == "rps") {
    return achieved_rate(results);
  }
  std::uint64_t count = 0;
  if (metric_.starts_with("status_")) {
    const auto found = results.status.find(*parse_status(std::string_view(metric_).substr(7)));
    count = found == results.status.end() ? 0 : found->second.count;
  } else {
    count = metric_ == "errors"                          ? counts.failed + counts.dropped
            : metric_ == "drops" || metric_ == "dropped" ? counts.dropped
            : metric_ == "failed"                        ? counts.failed
            : metric_ == "ok"                            ? counts.ok
                                                         : counts.sent;
  }
  return kind_ == Kind::kShare ? share(count, counts.planned - counts.canceled)
                               : static_cast<double>(count);
}

bool LoadThreshold::compare(double value) const {
  return op_ == Op::kAbove     ? value > limit_
         : op_ == Op::kAtLeast ? value >= limit_
         : op_ == Op::kBelow   ? value < limit_
                               : value <= limit_;
}

LoadThreshold::Verdict LoadThreshold::check_latency(const Results& results) const {
  using Which = LatencyMetric::Which;
  const LatencyMetric metric = latency_metric(metric_).value_or(LatencyMetric{});
  if (results.latency.count() == 0) {
    return {.holds = true, .measured = "no answer"};
  }
  const quantiles::DurationHistogram& answered = metric.which == Which::kLatency ? results.latency
                                                 : metric.which == Which::kService
                                                     ? results.service
                                                     : results.send_lag;
  const Duration of_answered = measure_latency(metric, answered);
  Verdict verdict{.holds = compare(to_seconds(of_answered)),
                  .value = to_seconds(of_answered),
                  .measured = text::format_duration(of_answered)};
  const RequestCounts& counts = results.counts;
  if (metric.which == Which::kLag) {
    return verdict;
  }
  const quantiles::DurationHistogram& failed =
      metric.which == Which::kLatency ? results.failed : results.failed_service;
  if (failed.count() > 0) {
    const Duration of_all = measure_latency(metric, together(answered, failed));
    const bool all_holds = compare(to_seconds(of_all));
    const bool upwards = op_ == Op::kAbove || op_ == Op::kAtLeast;
    if ((all_holds && !verdict.holds) ||
        (all_holds == verdict.holds && (of_all > of_answered) == upwards)) {
      verdict.value = to_seconds(of_all);
    }
    verdict.holds = verdict.holds || all_holds;
    verdict.measured = format_of_all({.value = of_all, .at_least = is_bound(failed, of_all)}) +
                       " of all, " + verdict.measured + " of the answered (" +
                       text::format_count(failed.count()) +
                       (failed.count() > counts.failed ? " failed or unfinished)" : " failed)");
  }
  if (counts.dropped > 0) {
    verdict.measured += ", without " + text::format_count(counts.dropped) + " that were not sent";
  }
  if (counts.canceled > 0) {
    verdict.measured += ", without " + text::format_count(counts.canceled) +
                        " that were not finished at the interrupt";
  }
  return verdict;
}

LoadThreshold::Verdict LoadThreshold::check(const Results& results) const {
  if (kind_ == Kind::kDuration) {
    return check_latency(results);
  }
  Verdict verdict{.value = measure(results)};
  verdict.holds = compare(verdict.value);
  verdict.measured = kind_ == Kind::kShare ? text::format_share(verdict.value)
                                           : text::format_number(verdict.value);
  return verdict;
}

}  // namespace podsense::load
