#pragma once

/// How long clients wait for an answer, learned from those that leave: nothing else says it, as a
/// request does not carry its client's time-out.
///
/// A queue that outlives the patience of its clients wastes the executors: the client whose turn
/// comes has just left, or leaves during the run. Such runs are the sign, where clients leave more
/// often than they do after a short wait; those that leave while they wait cost no time.
/// @threads confined

#include <algorithm>
#include <cstddef>
#include <span>

#include "base/clock.h"
#include "batching/policy.h"
#include "batching/task.h"

namespace podsense::batching {

/// What came of a run.
struct RunOutcome {
  Duration elapsed{};
  std::size_t unreceived = 0;  ///< tasks whose client had left by its end
  std::size_t prompt = 0;      ///< tasks that had waited for no longer than the run took
  std::size_t outwaited = 0;   ///< unreceived ones that had waited for longer
  Duration patience{};         ///< of those, from when they came until about when they left
  bool cancelled = false;      ///< it was cut short, and would have taken longer
};

/// `tasks`: those of the run, all answered.
template <TaskHandle Handle>
RunOutcome outcome_of(std::span<const Handle> tasks, Duration elapsed) {
  RunOutcome outcome{.elapsed = elapsed};
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
  /// A run of `tasks` ended now.
  void observe(TimePoint now, std::size_t tasks, const RunOutcome& outcome) {
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

  /// A newcomer was refused for what is learned.
  void refused(TimePoint now) { refused_ = now; }

  /// Forgets slowly, since clients may have changed: twice as long after three quarters of a minute
  /// without a sign, and after twelve minutes while newcomers are refused, as the same clients
  /// would only show it again. To be called before `learned` is asked for.
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
  /// From arrival until a client leaves; kUnknown: none shows that it would.
  [[nodiscard]] Duration learned() const { return learned_; }

 private:
  /// The share of tasks run for nobody, of the last 64 runs or so, that is believed: at the least
  /// some six runs in a row; or twice what is usual after a short wait.
  static constexpr double kLeastWaste = 0.08;
  static constexpr double kMostWaste = 0.5;
  static constexpr Duration kStep = std::chrono::seconds(1);
  static constexpr Duration kHold = std::chrono::seconds(10);
  static constexpr Duration kForgotten = std::chrono::minutes(10);

  static void follow(double& share, std::size_t part, std::size_t all) {
    share += (static_cast<double>(part) / static_cast<double>(all) - share) / 64;
  }

  Duration learned_ = kUnknown;
  Duration seen_{};    ///< of those that left since it was learned last
  double wasted_ = 0;  ///< of all tasks, those run for nobody after a long wait
  double usual_ = 0;   ///< of tasks that waited shortly, those run for nobody
  TimePoint relaxed_;  ///< until when it has been forgotten
  TimePoint refused_;
};

/// The longest wait that a newcomer may be let in to. A quarter of the clients' patience keeps the
/// queue well below it whatever the estimates say, and a longer queue serves no more requests, only
/// later. Three runs keep executors busy at any load, where patience allows for them.
/// `run`: time of the run it will be in. `most`: what is configured; zero: nothing.
inline Duration wait_bound(Duration patience, Duration run, Duration most) {
  const Duration configured = most == Duration::zero() ? Patience::kUnknown : most;
  if (patience == Patience::kUnknown) {
    return configured;
  }
  return std::min(configured, std::max(patience / 4, std::min(3 * run, patience - 3 * run / 2)));
}

/// Who has waited for longer than this at its turn does not run: estimates may be wrong by a
/// factor, and clients leave soon.
inline Duration longest_wait(Duration patience, Duration run, Duration bound) {
  if (bound == Patience::kUnknown) {
    return Patience::kUnknown;
  }
  return std::max(bound,
                  std::min(2 * bound, patience == Patience::kUnknown ? patience : patience - run));
}

}  // namespace podsense::batching
