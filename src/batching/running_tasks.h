#pragma once

/// The tasks of an executor's current run, for other threads to inspect. The run itself may reorder
/// them in its batch. Private to this module.
/// @threads thread-safe

#include <span>

#include "base/mutex.h"
#include "batching/task.h"

namespace podsense::batching {

class RunningTasks {
 public:
  /// @pre not empty
  void watch(std::span<const TaskPtr> batch) {
    Task* first = nullptr;
    for (const TaskPtr& task : batch) {
      task->next_running_ = first;
      first = task.get();
    }
    const MutexLock lock(mutex_);
    first_ = first;
  }
  /// Call before the tasks are destroyed.
  void forget() {
    const MutexLock lock(mutex_);
    first_ = nullptr;
  }
  /// Whether there are tasks and all of their clients have left.
  [[nodiscard]] bool all_abandoned() const {
    const MutexLock lock(mutex_);
    const Task* task = first_;
    while (task != nullptr && task->abandoned()) {
      task = task->next_running_;
    }
    return first_ != nullptr && task == nullptr;
  }

 private:
  mutable Mutex mutex_;
  Task* first_ GUARDED_BY(mutex_) = nullptr;
};

}  // namespace podsense::batching
