#pragma once

/// Learns how long clients wait for an answer, from those that leave. There is no other source,
/// because a request does not contain its client's time-out.
///
/// If the wait in a queue exceeds the patience of its clients, executors waste time: the next
/// client has just left, or leaves during the run. Such runs show that the wait is too long, if
/// clients leave more often than after a short wait. Clients that leave while waiting cost no
/// executor time, so they do not count.
/// @threads confined

#include <algorithm>
#include <cstddef>
#include <span>

#include "base/clock.h"
#include "batching/policy.h"
#include "batching/task.h"

namespace podsense::batching {

/// The result of a run.
struct FinishedRun {
  Duration elapsed{};
  std::size_t unreceived = 0;  ///< tasks whose client had left by its end
  std::size_t prompt = 0;      ///< tasks that had waited at most as long as the run took
  std::size_t outwaited = 0;   ///< unreceived tasks that had waited longer
  Duration patience{};         ///< of those, from arrival until about when they left
  bool cancelled = false;      ///< it was cancelled and would have taken longer
};

/// The outcome of a run. `tasks`: all tasks of the run, answered.
template <TaskHandle Handle>
FinishedRun outcome_of(std::span<const Handle> tasks, Duration elapsed) {
  FinishedRun outcome{.elapsed = elapsed};
  Duration waits{};
  for (const Handle& handle : tasks) {
    const Ticket& task = *handle;
    const Duration waited = task.started - task.enqueued;
    outcome.unreceived += task.unreceived ? 1 : 0;
    if (waited <= elapsed) {
      ++outcome.prompt;
    } else if (task.unreceived) {
      ++outcome.outwaited;
      waits += waited;
    }
  }
  if (outcome.outwaited > 0) {
    outcome.patience = waits / static_cast<Duration::rep>(outcome.outwaited) + elapsed / 2;
  }
  return outcome;
}

class Patience {
 public:
  /// Learns from a run with `tasks` tasks that has ended now.
  void observe(TimePoint now, std::size_t tasks, const FinishedRun& outcome) {
    relax(now);
    if (tasks == 0) {
      return;
    }
    if (outcome.prompt > 0) {
      follow(usual_, outcome.unreceived - outcome.outwaited, outcome.prompt);
    }
    follow(wasted_, outcome.outwaited, tasks);
    if (outcome.outwaited == 0) {
      return;
    }
    seen_ = batching::follow(seen_, outcome.patience, 4);
    if (wasted_ > std::clamp(2 * usual_, kLeastWaste, kMostWaste)) {
      learned_ = learned_ == kUnknown ? seen_ : std::min(seen_, learned_ - learned_ / 8);
      relaxed_ = now;
      wasted_ = 0;
      seen_ = {};
    }
  }

  /// A request was refused because of the learned patience.
  void refused(TimePoint now) { refused_ = now; }

  /// Forgets slowly, because clients may have changed: `learned` doubles after about 45 seconds
  /// without new evidence, or after twelve minutes while requests are refused because of it, as the
  /// same clients would only leave again. Call it before `learned`.
  void relax(TimePoint now) {
    while (learned_ != kUnknown && now - relaxed_ >= kStep) {
      relaxed_ += kStep;
      learned_ += learned_ / (relaxed_ - refused_ < kHold ? 1024 : 64);
      if (learned_ > kForgotten) {
        learned_ = kUnknown;
      }
    }
  }

  static constexpr Duration kUnknown = Duration::max();
  /// The learned time from arrival until a client leaves; kUnknown: no client has shown a limit.
  [[nodiscard]] Duration learned() const { return learned_; }

 private:
  /// The share of wasted tasks, over about the last 64 runs, that counts as evidence: at least
  /// kLeastWaste, about six runs in a row, and twice the usual share after a short wait, but at
  /// most kMostWaste.
  static constexpr double kLeastWaste = 0.08;
  static constexpr double kMostWaste = 0.5;
  static constexpr Duration kStep = std::chrono::seconds(1);
  static constexpr Duration kHold = std::chrono::seconds(10);
  static constexpr Duration kForgotten = std::chrono::minutes(10);

  static void follow(double& share, std::size_t part, std::size_t all) {
    share += (static_cast<double>(part) / static_cast<double>(all) - share) / 64;
  }

  Duration learned_ = kUnknown;
  Duration seen_{};    ///< patience of clients that left since `learned_` last changed
  double wasted_ = 0;  ///< share of tasks whose client left after a long wait
  double usual_ = 0;   ///< share of briefly waiting tasks whose client left
  TimePoint relaxed_;  ///< the time up to which `relax` has been applied
  TimePoint refused_;
};

/// The longest expected wait with which a new request is admitted: a quarter of the clients'
/// patience, which leaves a margin for wrong estimates. A longer queue would not serve more
/// requests, only later. At least three runs, if patience allows, so that executors stay busy at
/// any load. `run`: time of the request's run. `most`: the configured limit; zero: none.
inline Duration wait_bound(Duration patience, Duration run, Duration most) {
  const Duration configured = most == Duration::zero() ? Patience::kUnknown : most;
  if (patience == Patience::kUnknown) {
    return configured;
  }
  return std::min(configured, std::max(patience / 4, std::min(3 * run, patience - 3 * run / 2)));
}

/// A task that has waited longer than this when its turn comes does not run: estimates may be wrong
/// by a factor, and its client would soon leave.
inline Duration longest_wait(Duration patience, Duration run, Duration bound) {
  if (bound == Patience::kUnknown) {
    return Patience::kUnknown;
  }
  return std::max(bound,
                  std::min(2 * bound, patience == Patience::kUnknown ? patience : patience - run));
}

}  // namespace podsense::batching
