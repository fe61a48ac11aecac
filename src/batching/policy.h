#pragma once

/// What runs now, and what is let in: pure functions of (now, queue, capacity). They keep no state
/// and read no clock, so that the server and a simulation decide alike.

#include <algorithm>
#include <cstddef>

#include "base/clock.h"

namespace podsense::batching {

/// Bounds of what is learned of how far waits exceed what was expected. A fixed eighth was enough
/// on a calm machine only.
inline constexpr double kLeastHeadroom = 1.125;
inline constexpr double kMostHeadroom = 2;

/// What the policy knows of what serves one model's queue.
struct QueueCapacity {
  std::size_t max_batch = 1;  ///< rows in one run at most, ≥ 1
  Duration max_delay{};       ///< how long a task may wait for company; zero: never
  /// Executors that this model can count on: the number of its runs at the same time, or its share
  /// of the threads while other models want them too. > 0
  double executors = 1;
  /// How many times longer than expected a wait may turn out without costing the admitted their
  /// deadline: `learn_headroom`. ≥ 1
  double headroom = kLeastHeadroom;
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
inline Duration expected_wait(const QueueState& queue, const QueueCapacity& capacity) {
  if (queue.ahead == Duration::zero() && queue.executor_free) {
    return Duration::zero();
  }
  return from_seconds((to_seconds(queue.ahead) + 0.5 * to_seconds(queue.running)) /
                      capacity.executors);
}

struct Admission {
  bool admitted = true;
  /// When refused: after this the queue will be short enough for the same deadline.
  Duration retry_after{};
};

/// The headroom after one more task, of service time `cost`, has waited. One that waited longer
/// than there was room for is believed at once, and forgotten over thousands: a queue shorter than
/// need be costs no goodput, as executors have work all the same. Waits of a few services say
/// nothing: what runs is a large part of them, and may have just begun or be nearly done.
inline double learn_headroom(double headroom, Duration expected, Duration waited, Duration cost) {
  if (expected < 4 * cost || expected == Duration::zero()) {
    return headroom;
  }
  constexpr double kForget = 1.0 / 16384;
  const double seen = to_seconds(waited) / to_seconds(expected);
  const double next = std::max(seen, headroom - kForget * (headroom - seen));
  return std::clamp(next, kLeastHeadroom, kMostHeadroom);
}

/// Time from a newcomer's start until its answer: that of the batch it will be in, as its fellows
/// are answered together. `service` is that of a row. If a full batch is already waiting, the
/// newcomer will run in a full batch, too.
inline Duration batch_cost(const QueueState& queue, const QueueCapacity& capacity, Duration cost,
                           Duration service) {
  return queue.rows < capacity.max_batch
             ? cost
             : std::max(cost, service * static_cast<Duration::rep>(capacity.max_batch));
}

/// Lets a task in when it can be expected to be done by its deadline. `cost` is the time from its
/// start to its answer. An empty queue always admits: the estimate may be wrong, and somebody has
/// to correct it.
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
  TimePoint again;  ///< when something waits and does not run yet: when to ask again
};

/// Natural batching: a free executor takes what waits, up to max_batch rows. Only where max_delay
/// is set does a batch that is not full wait, and then no longer than that after its oldest task
/// came.
inline Take take(TimePoint now, const QueueState& queue, const QueueCapacity& capacity) {
  if (queue.rows == 0) {
    return {};
  }
  if (queue.rows < capacity.max_batch && now < queue.oldest + capacity.max_delay) {
    return {.run = false, .again = queue.oldest + capacity.max_delay};
  }
  return {.run = true, .again = {}};
}

/// A task whose turn has come, and which cannot be expected to be done by its deadline, does not
/// run: its time is better spent on those behind it. The last one that waits runs in any case,
/// since the estimate may be wrong.
inline bool cannot_meet_deadline(TimePoint now, Deadline deadline, Duration cost, bool last) {
  return deadline.passed(now) || (!last && cost > deadline.left(now));
}

/// Of several models that want an executor: its weight's share, not more than it can use at once.
inline double executor_share(std::size_t threads, double weight, double weights,
                             std::size_t instances) {
  return std::min(static_cast<double>(instances),
                  static_cast<double>(threads) * weight / std::max(weight, weights));
}

/// Exponentially weighted: the estimate follows a change within some 2.5 × `parts` runs.
inline Duration follow(Duration estimate, Duration observed, int parts = 8) {
  return estimate == Duration::zero() ? observed : estimate + (observed - estimate) / parts;
}

/// A row's service time by which admission goes. In overload somebody is let in at every moment at
/// which it looks short, so what looks long is believed at once and what looks short only when it
/// lasts.
struct ServiceEstimate {
  Duration recent{};
  Duration lasting{};
  void observe(Duration row) {
    recent = follow(recent, row);
    lasting = follow(lasting, row, 64);
  }
  /// A run that was cut short would have taken longer: it says nothing unless it took long already.
  void observe_at_least(Duration row) { observe(std::max(row, conservative())); }
  [[nodiscard]] Duration conservative() const { return std::max(recent, lasting); }
};

}  // namespace podsense::batching
