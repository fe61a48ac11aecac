#pragma once

/// Answers tasks at their deadlines, whether they wait, run or never end: a client gets its answer
/// in time even if all executors are stuck. Private to this module.
/// @threads thread-safe; answers are given on its own thread

#include <functional>
#include <thread>

#include "base/clock.h"
#include "base/mutex.h"
#include "batching/task.h"

namespace podsense::batching {

class DeadlineTimer {
 public:
  /// `after_answers`: called on the timer's thread after tasks were answered at their deadlines, so
  /// that their runs can be cancelled.
  DeadlineTimer(const Clock& clock, std::function<void()> after_answers);
  /// @pre no task is watched any more
  ~DeadlineTimer();
  DeadlineTimer(const DeadlineTimer&) = delete;
  DeadlineTimer& operator=(const DeadlineTimer&) = delete;

  /// Watches the task until it is answered or forgotten. Ignores a task without a deadline.
  void watch(Task& task);
  /// Stops watching a task. Call it before the task is destroyed, because the timer calls the task.
  static void forget(Task& task);

 private:
  friend class Task;
  /// True: the caller must answer, as the timer has not.
  bool claim(Task& task);
  void work();

  const Clock& clock_;
  const std::function<void()> after_answers_;
  Mutex mutex_;
  CondVar changed_;
  Watched watched_ GUARDED_BY(mutex_);
  /// The time until which the thread sleeps; an earlier deadline must wake it.
  TimePoint wakes_at_ GUARDED_BY(mutex_) = TimePoint::max();
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::jthread thread_;
};

}  // namespace podsense::batching
