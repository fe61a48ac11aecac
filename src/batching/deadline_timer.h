#pragma once

/// Answers tasks at their deadlines, whether they wait, run, or never end: a client gets its answer
/// in time even if no executor comes back. Private to this module.
/// @threads thread-safe; answers are given on a thread of its own

#include <functional>
#include <thread>

#include "base/clock.h"
#include "base/mutex.h"
#include "batching/task.h"

namespace podsense::batching {

class DeadlineTimer {
 public:
  /// `after_answers`: called on the timer's thread when tasks were answered at their deadlines, so
  /// that what still works for them can end.
  DeadlineTimer(const Clock& clock, std::function<void()> after_answers);
  /// No task may be watched any more.
  ~DeadlineTimer();
  DeadlineTimer(const DeadlineTimer&) = delete;
  DeadlineTimer& operator=(const DeadlineTimer&) = delete;

  /// Watches the task until it is answered or forgotten. One without a deadline is left alone.
  void watch(Task& task);
  /// Before a task is destroyed, wherever it is watched: the timer calls what a destructor ends.
  static void forget(Task& task);

 private:
  friend class Task;
  /// True when the caller came before the timer.
  bool claim(Task& task);
  void work();

  const Clock& clock_;
  const std::function<void()> after_answers_;
  Mutex mutex_;
  CondVar changed_;
  Watched watched_ GUARDED_BY(mutex_);
  /// What it waits for: an earlier deadline has to wake it.
  TimePoint wakes_at_ GUARDED_BY(mutex_) = TimePoint::max();
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::jthread thread_;
};

}  // namespace podsense::batching
