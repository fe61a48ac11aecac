#pragma once

/// What a Prometheus knows of podsense: arrivals as a trace, times of runs and of starts, written
/// as a scenario that `podsense simulate` and `podsense plan` read.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

namespace podsense::plan {

/// A path with a query, such as /api/v1/query?…, to the body of the answer.
/// @errors those of asking
using AskPrometheus = std::function<Result<std::string>(const std::string& path)>;

struct TrafficOptions {
  std::string selector;  ///< {namespace="shop"}; empty: all
  Duration range = std::chrono::hours(24 * 7);
  Duration window = std::chrono::minutes(1);  ///< of increase(): a few scrapes at least
  std::int64_t now = 0;                       ///< Unix time
};

/// Seconds and how often: what a distribution of a scenario is made of.
using WeightedValues = std::vector<std::pair<double, double>>;

struct RecordedTraffic {
  std::vector<std::uint64_t> counts;  ///< requests of each minute
  WeightedValues runs;                ///< times of runs; empty: there were none
  double request_cpu = 0;             ///< seconds, without the run
  double rows = 1;                    ///< mean of runs
  WeightedValues starts;              ///< from a process's begin until it was first seen ready
  std::vector<std::string> notes;     ///< what is coarse or missing
};

/// "7d", "12h", "30m", as Prometheus has them; whole minutes.
/// @errors kInvalidArgument
Result<Duration> parse_range(std::string_view text);

/// @errors kInvalidArgument: Prometheus refuses the selector, or has no such series, with what it
/// has; those of asking
Result<RecordedTraffic> read_traffic(const AskPrometheus& ask, const TrafficOptions& options);

/// CSV: minute, count.
std::string traffic_csv(const RecordedTraffic& traffic);
/// YAML. @param trace  name of the CSV file
std::string traffic_scenario(const RecordedTraffic& traffic, const TrafficOptions& options,
                             std::string_view trace);

}  // namespace podsense::plan
