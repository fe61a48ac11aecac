#pragma once

/// What runs now, and what is let in: pure functions of (now, queue, profile). They keep no state
/// and read no clock, so that the server and a simulation decide alike.

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "base/clock.h"

namespace podsense::batching {

/// What the policy knows of one model's cost.
struct Profile {
  Duration service{};         ///< one executor, per task, at the batch size now usual
  std::size_t max_batch = 1;  ///< tasks in one run at most, ≥ 1
  Duration max_delay{};       ///< how long a task may wait for company; zero: never
  std::size_t executors = 1;  ///< runs of this model at the same time, ≥ 1
};

/// One model's queue at one moment.
struct QueueState {
  std::size_t waiting = 0;
  std::size_t running = 0;  ///< tasks inside runs
  TimePoint oldest;         ///< when the first waiting task came; meaningless when none waits
};

/// Time until a task that came now would start: what is ahead of it, spread over the executors.
/// A running task counts half: on average it is half done.
inline Duration expected_wait(const QueueState& queue, const Profile& profile) {
  if (queue.waiting == 0 && queue.running < profile.executors) {
    return Duration::zero();
  }
  const double ahead =
      static_cast<double>(queue.waiting) + 0.5 * static_cast<double>(queue.running);
  const double seconds =
      ahead * to_seconds(profile.service) / static_cast<double>(profile.executors);
  return from_seconds(seconds);
}

struct Admission {
  bool admitted = true;
  /// When refused: after this the queue will be short enough for the same deadline.
  Duration retry_after{};
};

/// Lets a task in when it can be expected to be done by its deadline. `cost` is its own service
/// time. An empty queue always admits: the estimate may be wrong, and somebody has to correct it.
inline Admission admit(TimePoint now, const QueueState& queue, const Profile& profile,
                       Deadline deadline, Duration cost) {
  const Duration wait = expected_wait(queue, profile);
  if (!deadline.reachable() || wait == Duration::zero() || wait + cost <= deadline.left(now)) {
    return {};
  }
  const Duration excess = wait + cost - deadline.left(now);
  return {.admitted = false, .retry_after = std::max(excess, Duration(1))};
}

struct Take {
  std::size_t tasks = 0;  ///< how many of the waiting ones to run now
  TimePoint again;        ///< with 0 tasks and some waiting: when to ask again
};

/// Natural batching: a free executor takes what waits, up to max_batch. Only where max_delay is set
/// does a batch that is not full wait, and then no longer than that after its oldest task came.
inline Take take(TimePoint now, const QueueState& queue, const Profile& profile) {
  const std::size_t full = std::max<std::size_t>(profile.max_batch, 1);
  if (queue.waiting == 0) {
    return {};
  }
  if (queue.waiting < full && now < queue.oldest + profile.max_delay) {
    return {.tasks = 0, .again = queue.oldest + profile.max_delay};
  }
  return {.tasks = std::min(queue.waiting, full), .again = {}};
}

/// Exponentially weighted: the estimate follows a change within some twenty runs.
inline Duration follow(Duration estimate, Duration observed) {
  return estimate == Duration::zero() ? observed : estimate + (observed - estimate) / 8;
}

}  // namespace podsense::batching
