#pragma once

/// CPU time of one pod's threads under the kernel's CFS bandwidth control: in each period (100 ms)
/// all of them together may use the quota; then they stand still until the next period. Each thread
/// has a core of its own while it runs; that is, nodes are not overcommitted.
/// @source kernel Documentation/scheduler/sched-bwc.rst. Slices of 5 ms handed to each CPU, and so
///         the little that a pod may use beyond its quota, are left out.

#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.h"

namespace podsense::foresight {

/// @threads confined to one thread
class CpuShare {
 public:
  static constexpr Duration kPeriod = std::chrono::milliseconds(100);

  /// @param cores quota; nothing: no limit
  /// @param phase when one of its periods begins
  CpuShare(std::optional<double> cores, TimePoint phase);

  /// A thread begins to need so much CPU time. Zero counts as 1 ns.
  void begin(std::uint64_t job, Duration cpu, TimePoint now);
  /// The jobs that have had all of theirs by `now`, in the order they began; they are forgotten.
  /// Good until the next call.
  const std::vector<std::uint64_t>& ended(TimePoint now);
  /// When the next one ends, if none begins before; max: none runs.
  [[nodiscard]] TimePoint next_end() const;
  /// Nothing runs any more.
  void stop(TimePoint now);

  [[nodiscard]] Duration used(TimePoint now);
  /// Time in which threads wanted to run and stood still.
  [[nodiscard]] Duration throttled(TimePoint now);

 private:
  struct Job {
    std::uint64_t id = 0;
    Duration left{};
  };
  /// What moves with time.
  struct Budget {
    TimePoint at;
    TimePoint period_end;
    Duration left{};
  };
  [[nodiscard]] bool limited() const { return quota_ > Duration::zero(); }
  /// How long all jobs run from `budget.at` on without a change, and no longer than `most`; zero:
  /// they stand still until the period ends.
  [[nodiscard]] Duration stretch(const Budget& budget, Duration most) const;
  void spend(Budget& budget, Duration time) const;
  void begin_period(Budget& budget) const;
  void advance(TimePoint now);

  Duration quota_{};  ///< CPU time a period; zero: no limit
  Budget budget_;
  std::vector<Job> jobs_;
  std::vector<std::uint64_t> done_;  ///< by the last `ended`
  Duration used_{};
  Duration throttled_{};
};

}  // namespace podsense::foresight
