#pragma once

/// What a search for the highest rate goes by: when a rate holds, and which rate comes next. Pure:
/// no clock, no engine. Private to the module.

#include <deque>
#include <string>
#include <vector>

#include "base/clock.h"
#include "load/measuring/results.h"
#include "load/measuring/threshold.h"
#include "load/reports/report.h"

namespace podsense::load {

/// Judges one rate, window by window.
///
/// It holds when the last three windows are alike and hold together, or when five in a row hold
/// each by itself. It does not when two in a row do not hold, when a window answered less than half
/// of what came, or when `kMostWindows` have shown neither. A window holds when the objective does,
/// nothing was dropped and 95 % of the rate was answered.
/// @source perf_analyzer's rule: three windows whose throughput and latency differ by at most 10 %
class RateJudge {
 public:
  static constexpr unsigned kMostWindows = 8;

  /// @param scout  one window that stays far below the limits will do: `held`, but not `stable`
  RateJudge(const std::vector<LoadThreshold>& objective, double rate, bool scout);

  /// True when the verdict is there.
  bool add(Results window);
  /// What was under way then, when it had ended: a rate does not hold where the windows that
  /// decided do not hold with it. So what times out long after them counts, too.
  void end(const Results& late);
  /// Over the windows that decided so far.
  [[nodiscard]] const SearchStep& step() const { return step_; }

 private:
  void judge();
  void measure(const Results& all);
  [[nodiscard]] Results together() const;
  [[nodiscard]] bool alike() const;
  [[nodiscard]] std::string fault_of(const Results& results) const;
  [[nodiscard]] bool answers(const Results& results, double share) const;
  [[nodiscard]] bool far_below(const Results& window) const;
  [[nodiscard]] double latency_of(const Results& results) const;

  const std::vector<LoadThreshold>& objective_;
  const bool scout_;
  double quantile_ = 0.99;
  double limit_ = 0;  ///< of that quantile, in seconds; 0: the objective has none
  std::deque<Results> windows_;
  unsigned held_ = 0;    ///< windows in a row, to the last
  unsigned failed_ = 0;  ///< the same
  SearchStep step_;
};

/// The rates of a search: doubled until one does not hold, then the middle, until 5 % are left.
/// Rates that were only scouted are confirmed before they count, and the lowest one that failed is
/// tried once more: where it holds then, something else had the machine, and the search goes on.
class RateBracket {
 public:
  struct Next {
    double rate = 0;  ///< 0: the search is done
    bool scout = false;
  };
  RateBracket(double from, double to) : from_(from), to_(to) {}

  void add(const SearchStep& step);
  /// @param hurry  time is short: confirm what was scouted rather than look for more
  [[nodiscard]] Next next(bool hurry) const;

  [[nodiscard]] double best() const { return confirmed_; }  ///< 0: none was confirmed
  /// The lowest that does not hold; 0: none was tried.
  [[nodiscard]] double failed() const { return failures_.empty() ? 0 : failures_.back().rate; }
  [[nodiscard]] bool limited() const { return confirmed_ >= to_; }

 private:
  [[nodiscard]] double held() const;

  double from_;
  double to_;
  double confirmed_ = 0;
  struct Failure {
    double rate = 0;
    bool again = false;
  };
  std::vector<Failure> failures_;  ///< descending
  std::vector<double> scouted_;    ///< ascending, above `confirmed_` and below all failures
};

/// What a recorder saw in a window of this length, as Results that thresholds can be checked on.
Results as_window(const Recorder::Recent& recent, Duration length);

}  // namespace podsense::load
