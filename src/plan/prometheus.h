#pragma once

/// What a Prometheus knows of podsense: arrivals as a trace, times of runs and of starts, written
/// as a scenario that `podsense simulate` and `podsense plan` read.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "foresight/scenario.h"

namespace podsense::plan {

/// A path with a query, such as /api/v1/query?…, to the body of the answer.
/// @errors those of asking
using AskPrometheus = std::function<Result<std::string>(const std::string& path)>;

struct TrafficOptions {
  std::string selector;  ///< {namespace="shop"}; empty: all
  std::string model;     ///< empty: all; the process's own metrics have no model
  Duration range = std::chrono::hours(24 * 7);
  Duration window = std::chrono::minutes(1);  ///< of increase(): a few scrapes at least
  std::int64_t now = 0;                       ///< Unix time
};

/// Seconds and how often: what a distribution of a scenario is made of.
using WeightedValues = std::vector<std::pair<double, double>>;

struct RecordedTraffic {
  std::vector<std::uint64_t> counts;        ///< requests of each minute
  WeightedValues runs;                      ///< times of runs; empty: there were none
  double request_cpu = 0;                   ///< seconds, without the run
  double rows = 1;                          ///< mean of runs
  std::map<unsigned, double> rows_seconds;  ///< of a run by its rows, as measured at load
  WeightedValues waits;   ///< from a pod's creation to its process's begin; empty:
                          ///< kube-state-metrics' are not there
  WeightedValues starts;  ///< from a process's begin until it was first seen ready
  double memory = 0;      ///< bytes, the most that a pod used
  std::vector<std::pair<std::string, double>> models;  ///< with their requests, most first
  std::vector<std::string> notes;                      ///< what is coarse or missing
};

/// "7d", "12h", "30m", as Prometheus has them; whole minutes.
/// @errors kInvalidArgument
Result<Duration> parse_range(std::string_view text);

/// @errors kInvalidArgument: Prometheus refuses the selector, or has no such series, with what it
/// has; those of asking
Result<RecordedTraffic> read_traffic(const AskPrometheus& ask, const TrafficOptions& options);

/// Of so many minutes, those that have the busiest one, and of these the ones with most requests;
/// what is left out is noted.
/// @param length  whole minutes count; the range where it is longer
void keep_busiest(RecordedTraffic& traffic, Duration length);

/// CSV: minute, count.
std::string traffic_csv(const RecordedTraffic& traffic);
/// YAML. @param trace  name of the CSV file
std::string traffic_scenario(const RecordedTraffic& traffic, const TrafficOptions& options,
                             std::string_view trace);

/// The trace that `recorded_scenario` names: `traffic_csv`.
inline constexpr std::string_view kRecordedTrace = "recorded.csv";

/// What was recorded as a scenario, and in its place what a scenario of one's own says, but for its
/// traffic. What is taken on trust is added to the traffic's notes.
/// @param has_start  it is given elsewhere
/// @errors kInvalidArgument: the traffic is of several models, there is no start-up or no run
/// anywhere; those of reading the own one
Result<foresight::ScenarioText> recorded_scenario(
    RecordedTraffic& traffic, const TrafficOptions& options,
    const std::optional<foresight::ScenarioText>& own_text, bool has_start);

}  // namespace podsense::plan
