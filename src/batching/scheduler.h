#pragma once

/// The scheduler: one pool of executor threads for all models, one queue per model version.
///
///   Scheduler scheduler({.executors = 2}, clock);
///   auto queue = scheduler.add_queue({.max_batch = 8}, run);
///   auto refused = queue->submit(std::move(task));    // never blocks
///
/// A free executor serves the queue with the least executor time relative to its weight, so that
/// many requests to one model do not starve others. Within a queue, tasks run by priority and
/// client (waiting.h). Admission limits the wait (policy.h): a task whose deadline cannot be met is
/// refused at arrival. A task that can no longer meet its deadline, or whose client has
/// disconnected, is dropped before it runs, never after. If clients leave before they are answered,
/// the wait is limited below their patience (patience.h).
///
/// scheduler_core.h makes all decisions; this file adds threads and a lock.
///
/// Ownership of a task: the caller until `submit` succeeds, then the scheduler. The scheduler
/// passes each task to exactly one of `Run` and `drop`, then destroys it. These answer the task,
/// unless its deadline came first (deadline_timer.h).
///
/// A run is cancelled when nobody waits for it any more: when the last deadline of its tasks has
/// passed, or when all their clients have left. If it continues anyway, it is disowned: it owns all
/// data that it uses, and another executor takes its place, up to a limit.

#include <functional>
#include <memory>
#include <span>
#include <stop_token>

#include "base/clock.h"
#include "base/error.h"
#include "base/mutex.h"
#include "batching/saturation.h"
#include "batching/scheduler_core.h"
#include "batching/task.h"

namespace podsense::batching {

struct LockedCore;

/// Runs that continue after the deadlines of all their tasks.
struct Overdue {
  unsigned runs = 0;
  Duration longest{};  ///< since the deadline, as measured by `note_overdue`
};

/// One model version's queue. @threads thread-safe The destructor waits for its running batches and
/// drops waiting tasks: never destroy it inside `Run`.
class Queue {
 public:
  using Options = QueueOptions;
  using Load = QueueLoad;
  using Unserved = batching::Unserved;
  /// Answers every task of the batch and marks those whose client has left. A batch has at most
  /// max_batch rows, or is a single task with more. `stop` is requested when the run is cancelled;
  /// the tasks must still be answered. @threads executor
  using Run = std::function<void(std::span<TaskPtr> batch, const std::stop_token& stop)>;

  Queue(LockedCore& locked, const Options& options, Run run);
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  /// Adds a task to the queue. Never blocks. On an error `task` is unchanged.
  /// @errors kOverloaded with retry_after: the deadline cannot be met, the queue is longer than
  /// clients wait, or max_waiting is reached; kDeadlineExceeded: already past it, or the known cost
  /// is longer than the time left
  Result<void> submit(TaskPtr& task);

  /// Sets the maximum rows of future batches. @pre ≥ 1
  void set_max_batch(std::size_t rows);
  [[nodiscard]] Load load() const;

 private:
  LockedCore& locked_;
  const Run run_;
  const QueueId id_;
};

/// @threads thread-safe. Outlives its queues.
class Scheduler {
 public:
  struct Options {
    unsigned executors = 1;
    unsigned most_executors = 0;  ///< the maximum for `resize`; 0: the same as `executors`
  };
  Scheduler(Options options, const Clock& clock);
  /// @pre all queues are destroyed
  ~Scheduler();
  /// Cancels running batches, waits for the executors to end, and drops waiting tasks. Call it
  /// before the owner of the queues is destroyed: an executor dropping the last reference to a
  /// queue would deadlock in the queue's destructor.
  void stop();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  [[nodiscard]] std::unique_ptr<Queue> add_queue(const Queue::Options& options, Queue::Run run);

  /// Takes effect as runs end; no run is cancelled, and no waiting task is lost. Clamped to
  /// 1..most_executors.
  void resize(unsigned executors);
  [[nodiscard]] unsigned executors() const;
  /// Totals of all executors since start.
  [[nodiscard]] Runs runs() const;
  /// Cancels runs whose clients have all left. Finds overdue runs and starts replacements for their
  /// executors. Call it about once per second. `passed`: time since the last call, without time
  /// during which the process was suspended.
  void note_overdue(Duration passed);
  [[nodiscard]] Overdue overdue() const;

 private:
  void work(unsigned index);
  void start_threads();

  const std::unique_ptr<LockedCore> locked_;
};

}  // namespace podsense::batching
