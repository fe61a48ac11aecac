#include <algorithm>

#include "load/quantity.h"
#include "load/report.h"

namespace podsense::load {

Result<Report> merge_reports(std::vector<Report> reports) {
  if (reports.empty()) {
    return fail(ErrorCode::kInvalidArgument, "there is no report to merge");
  }
  Report all = std::move(reports.front());
  all.thresholds.clear();
  for (auto next = reports.begin() + 1; next != reports.end(); ++next) {
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
    how.url = how.url == other.url ? how.url : "several targets";
    how.shape = how.shape == other.shape ? how.shape : "several shapes";
    all.interrupted = all.interrupted || next->interrupted;
    all.results.merge(next->results);
  }
  return all;
}

}  // namespace podsense::load
