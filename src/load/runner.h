#pragma once

/// What every kind of run shares: signals, the first connections, the loop that watches an engine.
/// Private to the module.

#include <csignal>
#include <functional>
#include <memory>

#include "load/job.h"
#include "load/load_engine.h"
#include "load/measuring/scrape.h"

namespace podsense::load {

/// SIGINT and SIGTERM, taken by the code that waits for them instead of by a handler.
/// @threads made before any other thread, used by one
class Signals {
 public:
  Signals();
  /// True when one came within the time, or before: then every later call returns true at once.
  bool wait(Duration at_most);
  [[nodiscard]] bool came() const { return came_; }

 private:
  sigset_t set_{};
  bool came_ = false;
};

/// Connects, for as long as the options allow the target to come up.
/// @errors kUnavailable and others, in one line with the URL
Result<std::unique_ptr<LoadEngine>> open_engine(const LoadOptions& options, const Job& job,
                                                Signals& signals);

/// The highest rate that holds the objective, by the rules of search_rules.h, within the options'
/// duration (five minutes). `results` are those of the best rate.
struct FoundRate {
  Search search;
  Results results;
  std::vector<Results> target_results;
  Circumstances circumstances;
  bool interrupted = false;
};
Result<FoundRate> find_max(const LoadOptions& options, const Job& job, Signals& signals,
                           ScrapeMetrics& metrics);

}  // namespace podsense::load
