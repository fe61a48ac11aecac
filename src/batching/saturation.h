#pragma once

/// How full a pod is, as one number to scale on: a pure function, so that the server and a
/// simulation agree.
///
///   saturation = demand / u*          demand: executor time that arriving requests ask for, a
///   second
///                                     and executor; u*: the most of it within the latency
///                                     objective
///
/// Demand is what was done, plus what was refused, plus what the queues grew by: it is linear in
/// the load and does not stop at 1. So the average over pods, divided by a target, is the ratio by
/// which their number is wrong, which is what a HorizontalPodAutoscaler computes.
///
/// u* is the largest utilisation u at which the wanted share q of requests still meets the
/// objective L. Waiting in a queue with c servers, random arrivals and service times of mean s and
/// mean square s2 is, beyond its chance p(u) = u^(sqrt(2(c+1)) - 1) of being non-zero, close to
/// exponential with mean w(u) = s2 / (2 s c (1 - u)); u* solves  p(u) · exp(-(L - s) / w(u)) = 1 -
/// q.
/// The nearer a run of its own comes to the objective, the less any number of pods can do for it:
/// from four fifths of L on u* gives way to 1, which is plain utilisation.
/// @source Kingman's heavy-traffic approximation with Pollaczek and Khinchine's mean; p(u) after
///         Sakasegawa, "An approximation formula L_q ≃ α·ρ^β/(1-ρ)", 1977

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "base/clock.h"

namespace podsense::batching {

struct LatencyObjective {
  Duration latency = std::chrono::milliseconds(250);
  double quantile = 0.99;  ///< share of requests that have to meet it, below 1
};

/// Runs of executors during a window, or since start: differences of two are one, too.
struct Runs {
  std::uint64_t count = 0;
  double seconds = 0;             ///< together
  double square_seconds = 0;      ///< sum of squares
  double busy_seconds = 0;        ///< as `seconds`, with those under way as far as they have come
  double unreceived_seconds = 0;  ///< of `seconds`, for requests whose clients left before the end
};

/// u* is not taken to be smaller: it keeps the answer finite.
inline constexpr double kLeastUtilisation = 0.05;

/// The least u* where a run takes `share` of the objective: rises to 1 without a step, since a mean
/// that moves a little must not move the number of pods a lot.
inline double least_utilisation(double share) {
  constexpr double kFrom = 0.8;
  return std::clamp((share - kFrom) / (1 - kFrom), kLeastUtilisation, 1.0);
}

/// A single run takes the whole objective or more, so that no number of pods meets it. `before`:
/// what was said last, so that a mean at the border does not say both in turns.
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

/// What a pod was asked to do during a window. `seconds` of executor time; the rest likewise.
struct Demand {
  Duration window{};
  double done = 0;        ///< by runs
  double unreceived = 0;  ///< of those, for requests whose clients left before the end
  double refused = 0;     ///< asked for by requests that were refused, or dropped as time ran out
  double grown = 0;       ///< by what the queues are longer now; counts only when positive
  double cpu = 0;         ///< used by the whole process, in seconds
};

/// What it may use.
struct Means {
  unsigned executors = 1;
  double cpu_cores = 1;  ///< quota or affinity
};

/// 1: the objective starts to break; 2: twice as many pods are needed. Bounded at 100.
inline double saturation(const Demand& demand, const Means& means, const Runs& runs,
                         const LatencyObjective& objective) {
  const double seconds = to_seconds(demand.window);
  if (seconds <= 0) {
    return 0;
  }
  const double executors = std::max(1U, means.executors);
  const double waiting = demand.refused + std::max(0.0, demand.grown);
  // A client that left asks again as a rule, and is counted then. Time that was used was used,
  // though.
  const auto asked = [&](double used) {
    return std::max(used, used - demand.unreceived + waiting);
  };
  const double by_executors = asked(demand.done) / (seconds * executors);
  const double by_cpu = asked(demand.cpu) / (seconds * std::max(means.cpu_cores, 1e-3));
  const double usable = usable_utilisation(runs, means.executors, objective);
  return std::clamp(std::max(by_executors, by_cpu) / usable, 0.0, 100.0);
}

}  // namespace podsense::batching
