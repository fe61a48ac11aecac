#pragma once

/// What can be said of settings without playing them. Bounds here are on the safe side: what they
/// refuse no simulation would accept.

#include <cstdint>
#include <string>
#include <vector>

#include "foresight/scenario.h"
#include "plan/objective.h"

namespace podsense::plan {

/// Requests due, in steps of equal length.
class RequestDemand {
 public:
  explicit RequestDemand(const foresight::Scenario& scenario);
  [[nodiscard]] double requests() const { return sum_; }
  [[nodiscard]] double seconds() const { return step_ * static_cast<double>(counts_.size()); }
  /// Where the most are due within about a minute.
  struct Peak {
    double at = 0;       ///< seconds since the start: its middle
    double seconds = 0;  ///< how long it is
    double rate = 0;     ///< a second
  };
  [[nodiscard]] const Peak& peak() const { return peak_; }
  /// Due a second during the first half minute.
  [[nodiscard]] double first_rate() const;
  /// At least so many of the requests due cannot be answered within `latency` by servers that do
  /// `rate` requests a second, whatever the order.
  [[nodiscard]] double least_late(double rate, Duration latency) const;

 private:
  double step_ = 1;  ///< seconds
  std::vector<double> counts_;
  double sum_ = 0;
  bool is_random_ = false;
  Peak peak_;
};

/// One pod at its best: runs as large and as cheap as its settings allow, no limit in the way.
struct PodRate {
  double per_second = 0;   ///< requests, by CPU and by executors
  double servers = 1;      ///< runs at once, at full speed
  double run_seconds = 0;  ///< a run's mean CPU time, of one row
};
PodRate pod_rate(const foresight::Scenario& scenario);

/// The chance to wait in a queue with Poisson arrivals, `servers` of them and a load of `erlangs`
/// (Erlang C). @pre 0 ≤ erlangs; 1 where the load is not below the servers
double erlang_c(double servers, double erlangs);

/// Of requests at a steady rate, the share that waits longer than `patience` before its run, all
/// pods behind one queue: Erlang C, with Allen and Cunneen's correction for how runs vary.
struct QueueModel {
  double rate = 0;  ///< a second
  double servers = 1;
  double service = 0;    ///< seconds
  double variation = 1;  ///< (ca² + cs²) / 2
};
double waits_longer(const QueueModel& queue, double patience);

/// The fewest pods that can hold the objective in the busiest minute, by the queue above: the real
/// ones do not share a queue, and may well need more. At least 1.
std::int32_t least_pods(const foresight::Scenario& scenario, const RequestDemand& demand,
                        const Objective& objective);

/// Why so many pods at most cannot hold the objective; empty: they might.
std::string refused_by_bounds(const foresight::Scenario& scenario, std::int32_t pods,
                              const RequestDemand& demand, const Objective& objective);

}  // namespace podsense::plan
