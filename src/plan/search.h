#pragma once

/// The cheapest settings that hold an objective. Settings are played on the same seeds, first few
/// times; those that promise most are tried one step away on each axis, and played more often,
/// until the cheapest that is left holds with seeds that nothing was chosen by. The same problem
/// gives the same result on any number of threads.

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>

#include "plan/plan_trials.h"

namespace podsense::plan {

/// Runs of a point at each stage; the last is that of the fresh seeds, too.
using Rungs = std::array<unsigned, 3>;
inline constexpr Rungs kRungs{8, 30, 100};

struct SearchOptions {
  Rungs rungs = kRungs;
  unsigned threads = 1;
  std::uint64_t simulations = 6'000;  ///< about so many runs at most
  const std::atomic<bool>* stop = nullptr;
  std::function<void(const Progress&)> progress;
};

enum class SearchVerdict : std::uint8_t { kHolds, kNoneHolds, kInterrupted };
inline constexpr std::array<std::string_view, 3> kVerdictNames{"holds", "none_holds",
                                                               "interrupted"};

struct SearchResult {
  SearchVerdict verdict = SearchVerdict::kInterrupted;
  std::map<Point, PlanTrial> trials;  ///< by point; those that were refused, too
  std::optional<Point> best;          ///< none: nothing was played
  std::optional<Fresh> fresh;         ///< of the best
  std::uint64_t simulations = 0;
  std::uint64_t refused = 0;  ///< points by bounds
};

SearchResult search(const Problem& problem, const SearchOptions& options);

/// Settings as a trial, without runs; refused where bounds or Kubernetes refuse it.
PlanTrial new_trial(const Problem& problem, const Point& point);

}  // namespace podsense::plan
