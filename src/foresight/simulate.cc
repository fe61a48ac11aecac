#include "foresight/simulate.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <thread>

#include "foresight/world.h"

namespace podsense::foresight {

std::uint64_t RunResult::requests() const {
  return std::accumulate(endings.begin(), endings.end(), std::uint64_t{0});
}

/// Seconds, but so wide that there are no more than 3,600 of them.
Duration slice_length(const Scenario& scenario) {
  constexpr Duration kSecond = std::chrono::seconds(1);
  constexpr int kMost = 3600;
  const auto seconds = (scenario.length + kSecond * kMost - Duration(1)) / (kSecond * kMost);
  return kSecond * std::max<std::int64_t>(1, seconds);
}

Simulation simulate(const Scenario& scenario, const SimulateOptions& options) {
  std::vector<std::optional<RunResult>> results(options.runs);
  std::atomic<unsigned> next = 0;
  std::atomic<unsigned> done = 0;
  const auto work = [&] {
    while (options.stop == nullptr || !*options.stop) {
      const unsigned run = next++;
      if (run >= options.runs) {
        return;
      }
      results[run] = World(scenario, scenario.seed + run, options).run();
      if (results[run] && options.progress) {
        options.progress(++done);
      }
    }
  };
  {
    std::vector<std::jthread> threads;
    for (unsigned i = 1; i < std::min(options.threads, options.runs); ++i) {
      threads.emplace_back(work);
    }
    work();
  }
  Simulation simulation{.runs = {}, .slice = slice_length(scenario)};
  for (auto& result : results) {
    if (result) {
      simulation.runs.push_back(std::move(*result));
    }
  }
  return simulation;
}

Band band_of(std::vector<double> values) {
  std::ranges::sort(values);
  // The smallest value that so large a share does not exceed, as load's histograms have it.
  const auto at = [&](double share) {
    const double rank = std::ceil(share * static_cast<double>(values.size()));
    return values[static_cast<std::size_t>(std::max(1.0, rank)) - 1];
  };
  return {.low = at(0.05), .median = at(0.5), .high = at(0.95)};
}

}  // namespace podsense::foresight
