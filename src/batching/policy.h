#pragma once

/// What runs now, and what is let in: pure functions of (now, queue, profile). They keep no state
/// and read no clock, so that the server and a simulation decide alike.

#include <algorithm>
#include <cstddef>

#include "base/clock.h"

namespace podsense::batching {

/// What the policy knows of one model's cost.
struct Profile {
  std::size_t max_batch = 1;  ///< rows in one run at most, ≥ 1
  Duration max_delay{};       ///< how long a task may wait for company; zero: never
  /// Executors that this model can count on: the number of its runs at the same time, or its share
  /// of the threads while other models want them too. > 0
  double executors = 1;
};

/// One model's queue at one moment, as a newcomer finds it.
struct QueueState {
  std::size_t rows = 0;  ///< that wait
  Duration ahead{};      ///< executor time of what waits and would run before the newcomer
  Duration running{};    ///< executor time of what runs
  bool executor_free = true;
  TimePoint oldest;  ///< when the first waiting task came; meaningless when none waits
};

/// Time until a task that came now would start: what is ahead of it, spread over the executors.
/// What runs counts half: on average it is half done.
inline Duration expected_wait(const QueueState& queue, const Profile& profile) {
  if (queue.ahead == Duration::zero() && queue.executor_free) {
    return Duration::zero();
  }
  return from_seconds((to_seconds(queue.ahead) + 0.5 * to_seconds(queue.running)) /
                      profile.executors);
}

struct Admission {
  bool admitted = true;
  /// When refused: after this the queue will be short enough for the same deadline.
  Duration retry_after{};
};

/// How much longer than expected a wait may turn out without costing the admitted their deadline.
/// Without it, at three times the peak one admitted request in twenty waited for nothing.
inline constexpr double kWaitHeadroom = 1.125;

/// Lets a task in when it can be expected to be done by its deadline. `cost` is its own service
/// time. An empty queue always admits: the estimate may be wrong, and somebody has to correct it.
inline Admission admit(TimePoint now, const QueueState& queue, const Profile& profile,
                       Deadline deadline, Duration cost) {
  const Duration wait = from_seconds(kWaitHeadroom * to_seconds(expected_wait(queue, profile)));
  if (!deadline.reachable() || wait == Duration::zero() || wait + cost <= deadline.left(now)) {
    return {};
  }
  const Duration excess = wait + cost - deadline.left(now);
  return {.admitted = false, .retry_after = std::max(excess, Duration(1))};
}

struct Take {
  bool run = false;
  TimePoint again;  ///< when something waits and does not run yet: when to ask again
};

/// Natural batching: a free executor takes what waits, up to max_batch rows. Only where max_delay
/// is set does a batch that is not full wait, and then no longer than that after its oldest task
/// came.
inline Take take(TimePoint now, const QueueState& queue, const Profile& profile) {
  if (queue.rows == 0) {
    return {};
  }
  if (queue.rows < profile.max_batch && now < queue.oldest + profile.max_delay) {
    return {.run = false, .again = queue.oldest + profile.max_delay};
  }
  return {.run = true, .again = {}};
}

/// Of several models that want an executor: its weight's share, not more than it can use at once.
inline double executor_share(std::size_t threads, double weight, double weights,
                             std::size_t instances) {
  return std::min(static_cast<double>(instances),
                  static_cast<double>(threads) * weight / std::max(weight, weights));
}

/// Exponentially weighted: the estimate follows a change within some twenty runs.
inline Duration follow(Duration estimate, Duration observed) {
  return estimate == Duration::zero() ? observed : estimate + (observed - estimate) / 8;
}

}  // namespace podsense::batching
