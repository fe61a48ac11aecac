#pragma once

/// The figures that both reports show of a simulation's runs. For this module and for plan.

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "foresight/simulate.h"

namespace podsense::foresight {

enum class Unit : std::uint8_t { kCount, kSeconds, kShare, kNumber };

struct Figure {
  std::string_view key;   ///< in JSON
  std::string_view text;  ///< for people
  Unit unit = Unit::kCount;
  double (*of)(const RunResult& run);
};

template <RequestEnding E>
double share(const RunResult& run) {
  return run.requests() == 0 ? 0
                             : static_cast<double>(run.endings[static_cast<std::size_t>(E)]) /
                                   static_cast<double>(run.requests());
}
/// A quantile in hundredths.
template <int Percent>
double percentile(const RunResult& run) {
  return to_seconds(run.latency.quantile(Percent / 100.0));
}

inline constexpr std::array kFigures{
    Figure{"requests", "requests", Unit::kCount,
           [](const RunResult& run) { return static_cast<double>(run.requests()); }},
    Figure{"latency_mean_seconds", "latency, mean", Unit::kSeconds,
           [](const RunResult& run) { return to_seconds(run.latency.mean()); }},
    Figure{"latency_p50_seconds", "latency, p50", Unit::kSeconds, percentile<50>},
    Figure{"latency_p95_seconds", "latency, p95", Unit::kSeconds, percentile<95>},
    Figure{"latency_p99_seconds", "latency, p99", Unit::kSeconds, percentile<99>},
    Figure{"late_share", "above objective or failed", Unit::kShare,
           [](const RunResult& run) {
             return run.requests() == 0
                        ? 0
                        : static_cast<double>(run.late) / static_cast<double>(run.requests());
           }},
    Figure{"refused_share", "refused (503)", Unit::kShare, share<RequestEnding::kRefused>},
    Figure{"timed_out_share", "timed out", Unit::kShare, share<RequestEnding::kTimedOut>},
    Figure{"broken_share", "broken connections", Unit::kShare, share<RequestEnding::kBroken>},
    Figure{"unfinished_share", "unfinished at the end", Unit::kShare,
           share<RequestEnding::kUnfinished>},
    Figure{"attempts", "attempts", Unit::kCount,
           [](const RunResult& run) { return static_cast<double>(run.attempts); }},
    Figure{"pods_most", "pods at most", Unit::kCount,
           [](const RunResult& run) { return static_cast<double>(run.most_pods); }},
    Figure{"pod_seconds", "pod-seconds", Unit::kNumber,
           [](const RunResult& run) { return run.pod_seconds; }},
    Figure{"cpu_seconds", "CPU-seconds", Unit::kNumber,
           [](const RunResult& run) { return run.cpu_seconds; }},
    Figure{"throttled_seconds", "throttled pod-seconds", Unit::kNumber,
           [](const RunResult& run) { return run.throttled_seconds; }},
    Figure{"dispersion", "dispersion of arrivals", Unit::kNumber,
           [](const RunResult& run) { return run.dispersion; }},
};

struct Spread {
  double mean = 0;
  double error = 0;  ///< standard error of the mean over runs; NaN for a single run
  Band band;
};
inline Spread spread_of(const std::vector<double>& values) {
  const auto count = static_cast<double>(values.size());
  double sum = 0;
  for (const double value : values) {
    sum += value;
  }
  const double mean = sum / count;
  double squares = 0;
  for (const double value : values) {
    squares += (value - mean) * (value - mean);
  }
  return {.mean = mean,
          .error = values.size() < 2 ? std::nan("") : std::sqrt(squares / (count - 1) / count),
          .band = band_of(values)};
}
inline std::vector<double> values_of(const Figure& figure, const Simulation& simulation) {
  std::vector<double> values(simulation.runs.size());
  std::ranges::transform(simulation.runs, values.begin(), figure.of);
  return values;
}
/// Of those runs in which there were more pods than at the start.
inline std::vector<double> second_ready(const Simulation& simulation) {
  std::vector<double> values;
  for (const RunResult& run : simulation.runs) {
    if (run.second_ready) {
      values.push_back(to_seconds(*run.second_ready));
    }
  }
  return values;
}
/// The objective's share of all requests was within its latency.
inline bool met(const RunResult& run, const batching::LatencyObjective& objective) {
  return static_cast<double>(run.late) <=
         (1 - objective.quantile) * static_cast<double>(run.requests());
}
inline std::size_t runs_met(const Scenario& scenario, const Simulation& simulation) {
  return static_cast<std::size_t>(std::ranges::count_if(
      simulation.runs, [&](const RunResult& run) { return met(run, scenario.objective); }));
}

}  // namespace podsense::foresight
