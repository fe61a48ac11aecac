#pragma once

/// Settings and what came of playing them.

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "foresight/simulate_figures.h"
#include "plan/problem.h"

namespace podsense::plan {

/// Of one run, without its histograms.
struct TrialRun {
  std::uint64_t requests = 0;
  std::vector<std::uint64_t> late;  ///< for each latency of the objective
  std::uint64_t errors = 0;
  double cost = 0;  ///< an hour
  /// CPU that a pod uses in the busiest minute, of what it requests; 0 where its limit keeps it
  /// from using more.
  double use = 0;
  std::array<double, foresight::kFigures.size()> figures{};
  std::optional<Duration> more_ready;  ///< when there were first more pods than at the start
};

/// What runs say together.
struct Judgement {
  std::vector<ShareEstimate> late;
  ShareEstimate errors;
  double cost = 0;       ///< mean
  double use = 0;        ///< mean; above 1 it lives on what other pods leave
  double violation = 0;  ///< largest of mean share ÷ allowed share; above 1: not held on average
  bool holds = false;    ///< all upper bounds keep the objective
  bool might = false;    ///< no lower bound breaks it
  double reach = 0;      ///< largest of upper bound ÷ allowed
};
/// @param runs at least one
Judgement judge(const Objective& objective, const std::vector<TrialRun>& runs);

struct PlanTrial {
  Point point{};
  PlanSettings settings;
  std::shared_ptr<const foresight::Scenario> scenario;
  std::vector<TrialRun> runs;  ///< of the seeds from the scenario's on
  std::string refused;         ///< why it is not played
  bool is_expanded = false;    ///< its neighbours are known
  bool is_rejected = false;    ///< after all, by more runs
};

/// For a terminal.
struct Progress {
  std::uint64_t done = 0;  ///< runs
  std::uint64_t most = 0;
  std::string now;  ///< what is being done
};

struct PlayOptions {
  unsigned threads = 1;
  const std::atomic<bool>* stop = nullptr;
  /// Called from any thread, after a run.
  std::function<void(std::uint64_t done)> progress;
};

/// Plays what is missing of the first `runs` runs of each.
/// @returns false: stopped; all trials are as they were
bool play(const Problem& problem, const std::vector<PlanTrial*>& trials, unsigned runs,
          const PlayOptions& options);

/// Runs with all that they brought, of seeds that the search did not see.
struct Fresh {
  std::vector<TrialRun> runs;
  quantiles::DurationHistogram latency;
  quantiles::DurationHistogram run_time{quantiles::DurationHistogram::kCoarse};
  quantiles::DurationHistogram start_up{quantiles::DurationHistogram::kCoarse};
  quantiles::DurationHistogram signal_age{quantiles::DurationHistogram::kCoarse};
};
inline constexpr std::uint64_t kFreshSeeds = 1'000'000;  ///< after the search's first one
std::optional<Fresh> play_fresh(const Problem& problem, const foresight::Scenario& scenario,
                                unsigned runs, const PlayOptions& options);

}  // namespace podsense::plan
