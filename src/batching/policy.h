#pragma once

/// The decisions on admission and batching, as pure functions of (now, queue, profile). They have
/// no state and read no clock, so that the server and a simulation decide identically.

#include <algorithm>
#include <cstddef>

#include "base/clock.h"

namespace podsense::batching {

/// The bounds of the learned ratio of actual to expected waits. A fixed 12.5 % was enough only on
/// an idle machine.
inline constexpr double kLeastHeadroom = 1.125;
inline constexpr double kMostHeadroom = 2;

/// The capacity and batching limits of one model.
struct QueueCapacity {
  std::size_t max_batch = 1;  ///< maximum rows in one run, ≥ 1
  Duration max_delay{};       ///< how long a task may wait for a fuller batch; zero: never
  /// Executors available to this model: its concurrent runs, or its share of the threads while
  /// other models need them, too. > 0
  double executors = 1;
  /// The factor by which waits may exceed expectations before admitted tasks miss their deadlines,
  /// see learn_headroom. ≥ 1
  double headroom = kLeastHeadroom;
};

/// The state of a model's queue when a new task arrives.
struct QueueState {
  std::size_t rows = 0;  ///< waiting
  Duration ahead{};      ///< executor time of waiting tasks that would run before the new one
  Duration running{};    ///< executor time of running tasks
  bool executor_free = true;
  TimePoint oldest;  ///< arrival of the oldest waiting task; undefined without one
};

/// The expected time until a new task starts: the work ahead of it, divided among the executors.
/// Running tasks count half, because on average they are half done.
inline Duration expected_wait(const QueueState& queue, const QueueCapacity& capacity) {
  if (queue.ahead == Duration::zero() && queue.executor_free) {
    return Duration::zero();
  }
  return from_seconds((to_seconds(queue.ahead) + 0.5 * to_seconds(queue.running)) /
                      capacity.executors);
}

struct Admission {
  bool admitted = true;
  /// If refused: the time after which the queue will be short enough for the same deadline.
  Duration retry_after{};
};

/// The new headroom after a task with service time `cost` has waited. A wait beyond the headroom
/// raises it at once; it decays only over thousands of tasks. A queue that is shorter than
/// necessary costs no goodput, as executors still have work. Waits of a few service times are
/// ignored: the running tasks dominate them and may have just begun or be nearly done.
inline double learn_headroom(double headroom, Duration expected, Duration waited, Duration cost) {
  if (expected < 4 * cost || expected == Duration::zero()) {
    return headroom;
  }
  constexpr double kForget = 1.0 / 16384;
  const double seen = to_seconds(waited) / to_seconds(expected);
  const double next = std::max(seen, headroom - kForget * (headroom - seen));
  return std::clamp(next, kLeastHeadroom, kMostHeadroom);
}

/// The time from a new task's start until its answer: that of its whole batch, because all tasks of
/// a batch are answered together. `service`: time per row. If a full batch is already waiting, the
/// newcomer will run in a full batch, too.
inline Duration batch_cost(const QueueState& queue, const QueueCapacity& capacity, Duration cost,
                           Duration service) {
  return queue.rows < capacity.max_batch
             ? cost
             : std::max(cost, service * static_cast<Duration::rep>(capacity.max_batch));
}

/// Admits a task if it is expected to be done by its deadline. `cost`: time from its start to its
/// answer. An empty queue always admits, because the estimate may be wrong and only a run can
/// correct it.
inline Admission admit(TimePoint now, const QueueState& queue, const QueueCapacity& capacity,
                       Deadline deadline, Duration cost) {
  const Duration wait =
      from_seconds(capacity.headroom * to_seconds(expected_wait(queue, capacity)));
  if (!deadline.reachable() || wait == Duration::zero() || wait + cost <= deadline.left(now)) {
    return {};
  }
  const Duration excess = wait + cost - deadline.left(now);
  return {.admitted = false, .retry_after = std::max(excess, Duration(1))};
}

struct Take {
  bool run = false;
  TimePoint again;  ///< if tasks wait but do not run yet: when to call again
};

/// Natural batching: a free executor takes the waiting tasks, up to max_batch rows. A batch that is
/// not full waits only if max_delay is set, until that time after the arrival of its oldest task.
inline Take take(TimePoint now, const QueueState& queue, const QueueCapacity& capacity) {
  if (queue.rows == 0) {
    return {};
  }
  if (queue.rows < capacity.max_batch && now < queue.oldest + capacity.max_delay) {
    return {.run = false, .again = queue.oldest + capacity.max_delay};
  }
  return {.run = true, .again = {}};
}

/// Whether a task should not run, because it is not expected to be done by its deadline: later
/// tasks use the time better. The last waiting task always runs, because the estimate may be wrong.
inline bool cannot_meet_deadline(TimePoint now, Deadline deadline, Duration cost, bool last) {
  return deadline.passed(now) || (!last && cost > deadline.left(now));
}

/// A model's share of the executors by its weight, limited to its number of concurrent runs.
inline double executor_share(std::size_t threads, double weight, double weights,
                             std::size_t instances) {
  return std::min(static_cast<double>(instances),
                  static_cast<double>(threads) * weight / std::max(weight, weights));
}

/// An exponentially weighted average: it follows a change within about 2.5 × `parts` runs.
inline Duration follow(Duration estimate, Duration observed, int parts = 8) {
  return estimate == Duration::zero() ? observed : estimate + (observed - estimate) / parts;
}

/// The service time of a row for admission. In overload, requests are admitted whenever the
/// estimate is low, so it rises at once and falls only if run times stay low.
struct ServiceEstimate {
  Duration recent{};
  Duration lasting{};
  void observe(Duration row) {
    recent = follow(recent, row);
    lasting = follow(lasting, row, 64);
  }
  /// For a cancelled run, which would have taken longer: counts only if it raises the estimate.
  void observe_at_least(Duration row) { observe(std::max(row, conservative())); }
  [[nodiscard]] Duration conservative() const { return std::max(recent, lasting); }
};

}  // namespace podsense::batching
