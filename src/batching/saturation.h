#pragma once

/// The saturation of a pod, as one number for autoscaling. Pure, so that the server and a
/// simulation compute the same.
///
///   saturation = demand / u*
///
/// Demand is the executor time that arriving requests need, per second and executor. u* is the
/// largest demand that can be served within the latency objective.
///
/// Demand is the work that was done, plus what was refused, plus the growth of the queues. It is
/// linear in the load and not limited to 1. So the average over pods divided by a target is the
/// factor by which the number of pods must change, which is what a HorizontalPodAutoscaler
/// computes.
///
/// u* is the largest utilisation u at which the share q of requests still meets the objective L. In
/// a queue with c servers, random arrivals and service times with mean s and mean square s2, a
/// request waits with probability p(u) = u^(sqrt(2(c+1)) - 1). If it waits, the time is roughly
/// exponential with mean w(u) = s2 / (2 s c (1 - u)). u* solves p(u) · exp(-(L - s) / w(u)) = 1 -
/// q. If a single run takes nearly the whole objective, more pods help little. So if a run takes
/// more than 80 % of L, u* rises towards 1, which is plain utilisation.
/// @source Kingman's heavy-traffic approximation with Pollaczek and Khinchine's mean; p(u) after
///         Sakasegawa, "An approximation formula L_q ≃ α·ρ^β/(1-ρ)", 1977

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "base/clock.h"

namespace podsense::batching {

struct LatencyObjective {
  Duration latency = std::chrono::milliseconds(250);
  double quantile = 0.99;  ///< share of requests that must meet it, below 1
};

/// Totals of executors' runs during a window or since start. The difference of two totals is also
/// one.
struct Runs {
  std::uint64_t count = 0;
  double seconds = 0;         ///< together
  double square_seconds = 0;  ///< sum of squares
  double busy_seconds = 0;    ///< as `seconds`, plus the elapsed time of current runs
  /// part of `seconds` for requests whose clients left before the end
  double unreceived_seconds = 0;
};

/// The minimum of u*: keeps the result finite.
inline constexpr double kLeastUtilisation = 0.05;

/// The minimum of u* if a run takes `share` of the objective. It rises to 1 continuously, because a
/// small change of the mean must not change the number of pods a lot.
inline double least_utilisation(double share) {
  constexpr double kFrom = 0.8;
  return std::clamp((share - kFrom) / (1 - kFrom), kLeastUtilisation, 1.0);
}

/// Whether a single run takes the whole objective or more, so that no number of pods can meet it.
/// `before`: the last result, for hysteresis, so that a mean near the limit does not make the
/// result alternate.
inline bool objective_out_of_reach(bool before, Duration run, Duration objective) {
  return run >= objective || (before && run >= objective / 10 * 9);
}

/// u* of the formula above, in [kLeastUtilisation, 1]; 1 without any run.
inline double usable_utilisation(const Runs& runs, unsigned servers,
                                 const LatencyObjective& objective) {
  if (runs.count == 0 || runs.seconds <= 0) {
    return 1;
  }
  const double count = static_cast<double>(runs.count);
  const double c = std::max(1U, servers);
  const double s = runs.seconds / count;
  const double s2 = runs.square_seconds / count;
  const double left = to_seconds(objective.latency) - s;
  const double least = least_utilisation(s / to_seconds(objective.latency));
  if (left <= 0) {
    return least;
  }
  const double exponent = std::sqrt(2 * (c + 1)) - 1;
  const auto late = [&](double u) {
    return std::pow(u, exponent) * std::exp(-left * 2 * s * c * (1 - u) / s2);
  };
  double low = least;
  double high = 1;
  for (int i = 0; i < 40; ++i) {
    const double middle = (low + high) / 2;
    (late(middle) <= 1 - objective.quantile ? low : high) = middle;
  }
  return low;
}

/// The work requested from a pod during a window, in seconds of executor time.
struct Demand {
  Duration window{};
  double done = 0;        ///< executed by runs
  double unreceived = 0;  ///< part of `done` for requests whose clients left before the end
  double refused = 0;     ///< of requests that were refused, or dropped because of their deadlines
  double grown = 0;       ///< growth of the queues; counts only if positive
  double cpu = 0;         ///< used by the whole process, in seconds
};

/// The resources it may use.
struct Means {
  unsigned executors = 1;
  double cpu_cores = 1;  ///< quota or affinity
};

/// 1: the objective is just met; 2: twice as many pods are needed. At most 100.
inline double saturation(const Demand& demand, const Means& means, const Runs& runs,
                         const LatencyObjective& objective) {
  const double seconds = to_seconds(demand.window);
  if (seconds <= 0) {
    return 0;
  }
  const double executors = std::max(1U, means.executors);
  const double waiting = demand.refused + std::max(0.0, demand.grown);
  // Clients that left usually retry and are counted then, so their share is subtracted. But time
  // that was really used always counts.
  const auto asked = [&](double used) {
    return std::max(used, used - demand.unreceived + waiting);
  };
  const double by_executors = asked(demand.done) / (seconds * executors);
  const double by_cpu = asked(demand.cpu) / (seconds * std::max(means.cpu_cores, 1e-3));
  const double usable = usable_utilisation(runs, means.executors, objective);
  return std::clamp(std::max(by_executors, by_cpu) / usable, 0.0, 100.0);
}

}  // namespace podsense::batching
