#include <algorithm>
#include <bit>

#include "load/reports/report.h"
#include "text/numbers.h"

namespace podsense::load {

namespace {

/// Figures of different targets in one sum say nothing of either.
Result<void> check_targets(const Circumstances& one, const Circumstances& other) {
  if (one.url == other.url && one.method == other.method && one.protocol == other.protocol &&
      one.targets == other.targets) {
    return {};
  }
  const auto name = [](const Circumstances& how) {
    std::string text = how.method + " " + how.url;
    for (const Circumstances::Target& target : how.targets) {
      text += " " + target.name + "=" + target.url;
    }
    return text;
  };
  return fail(ErrorCode::kInvalidArgument, "the reports are of different targets, " + name(one) +
                                               " and " + name(other) +
                                               ": only runs on one target merge");
}

/// Rates are per second of one window, and slices of equal number stand for one moment.
Result<void> check_plans(const LoadReport& one, const LoadReport& other) {
  const Circumstances& a = one.circumstances;
  const Circumstances& b = other.circumstances;
  if (a.open_loop != b.open_loop) {
    return fail(ErrorCode::kInvalidArgument,
                "one report is of an open and one of a closed loop: their latencies do not mean "
                "the same");
  }
  const auto length = [](const Circumstances& how) {
    return (how.seconds > 0 ? text::format_number(how.seconds) + " s"
                            : std::string("unknown length")) +
           (how.warm_up_seconds > 0 ? ", warm-up " + text::format_number(how.warm_up_seconds) + " s"
                                    : "") +
           (how.cool_down_seconds > 0
                ? ", cool-down " + text::format_number(how.cool_down_seconds) + " s"
                : "");
  };
  const auto [narrow, wide] = std::minmax(one.results.slice_width, other.results.slice_width);
  const bool fit = narrow > Duration::zero() && wide % narrow == Duration::zero() &&
                   std::has_single_bit(static_cast<std::uint64_t>(wide / narrow));
  if (a.seconds != b.seconds || a.warm_up_seconds != b.warm_up_seconds ||
      a.cool_down_seconds != b.cool_down_seconds || !fit) {
    return fail(ErrorCode::kInvalidArgument, "the reports are of runs of " + length(a) + " and " +
                                                 length(b) + ": only runs of one length merge");
  }
  return {};
}

}  // namespace

Result<LoadReport> merge_reports(std::vector<LoadReport> reports) {
  if (reports.empty()) {
    return fail(ErrorCode::kInvalidArgument, "there is no report to merge");
  }
  LoadReport all = std::move(reports.front());
  all.thresholds.clear();
  for (auto next = reports.begin() + 1; next != reports.end(); ++next) {
    if (auto same = check_targets(all.circumstances, next->circumstances); !same) {
      return fail(std::move(same.error()));
    }
    if (auto alike = check_plans(all, *next); !alike) {
      return fail(std::move(alike.error()));
    }
    Circumstances& how = all.circumstances;
    const Circumstances& other = next->circumstances;
    how.generators += other.generators;
    how.connections += other.connections;
    how.max_connections += other.max_connections;
    how.requests += other.requests;
    how.threads += other.threads;
    how.started_at = std::min(how.started_at, other.started_at);
    for (std::size_t i = 0; i < all.target_results.size(); ++i) {
      all.target_results[i].merge(next->target_results[i]);
    }
    how.shape = how.shape == other.shape ? how.shape : "several shapes";
    all.interrupted = all.interrupted || next->interrupted;
    all.results.merge(next->results);
  }
  return all;
}

}  // namespace podsense::load
