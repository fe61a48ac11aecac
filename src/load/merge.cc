#include <algorithm>

#include "load/quantity.h"
#include "load/report.h"

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

}  // namespace

Result<Report> merge_reports(std::vector<Report> reports) {
  if (reports.empty()) {
    return fail(ErrorCode::kInvalidArgument, "there is no report to merge");
  }
  Report all = std::move(reports.front());
  all.thresholds.clear();
  for (auto next = reports.begin() + 1; next != reports.end(); ++next) {
    if (auto same = check_targets(all.circumstances, next->circumstances); !same) {
      return fail(std::move(same.error()));
    }
    if (next->results.slice_width != all.results.slice_width) {
      return fail(ErrorCode::kInvalidArgument,
                  "the reports have slices of " + format_duration(all.results.slice_width) +
                      " and " + format_duration(next->results.slice_width) +
                      ": only runs of one length merge");
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
