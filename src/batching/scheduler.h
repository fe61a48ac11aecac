#pragma once

/// The scheduler: one pool of executor threads for all models, one queue per model version.
///
///   Scheduler scheduler({.executors = 2}, clock);
///   auto queue = scheduler.add_queue({.max_batch = 8}, run);
///   auto refused = queue->submit(std::move(task));    // never blocks
///
/// A free executor serves the queue that has had the least executor time for its weight, so that
/// one model's flood does not starve another; within a queue, tasks run by priority and client
/// (waiting.h). Admission is bounded in time (policy.h): a task whose deadline cannot be met is
/// refused at arrival. A task that can no longer meet its deadline, or whose client has
/// disconnected, is dropped before it runs, never after. Where clients leave before they are
/// answered, the wait is bounded below their patience (patience.h).
///
/// What is decided is decided in scheduler_core.h; here are the threads and the lock.
///
/// Who owns a task: the caller until `submit` succeeds, then the scheduler. Each task meets exactly
/// one of `Run` and `drop`, and is destroyed after that. They answer it, unless its deadline came
/// first (deadline_timer.h).
///
/// A run for which nobody waits any more is cancelled: when the last deadline of its tasks has
/// passed, or when all their clients have left. One that goes on all the same is disowned: it owns
/// all that it reads and writes, and another executor takes its place, up to a limit.

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

/// Runs that go on although the deadlines of all their tasks have passed.
struct Overdue {
  unsigned runs = 0;
  Duration longest{};  ///< since the deadline, from the calls of `note_overdue`
};

/// One model version's queue. @threads thread-safe
/// Destroying it waits until its running batch is done and drops what waits: never from `Run`.
class Queue {
 public:
  using Options = QueueOptions;
  using Load = QueueLoad;
  using Unserved = batching::Unserved;
  /// Answers every task of the batch, max_batch rows at most or one task that has more, and marks
  /// those whose client had left by then. `stop` is requested when the run is cancelled; the tasks
  /// are to be answered then, too. @threads executor
  using Run = std::function<void(std::span<TaskPtr> batch, const std::stop_token& stop)>;

  Queue(LockedCore& locked, const Options& options, Run run);
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  /// Never blocks. On an error `task` is untouched.
  /// @errors kOverloaded with retry_after: the deadline cannot be met, the queue is longer than
  ///         clients wait, or max_waiting is reached;
  ///         kDeadlineExceeded: already past it, or a known cost that does not fit before it
  Result<void> submit(TaskPtr& task);

  /// Rows of the runs that are put together from now on. @pre ≥ 1
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
    unsigned most_executors = 0;  ///< that `resize` may ask for; 0: the same
  };
  Scheduler(Options options, const Clock& clock);
  /// Every queue must be gone.
  ~Scheduler();
  /// Cancels what runs, ends the executors after it and drops what waits. Call it before
  /// the owner of the queues goes: an executor that drops the last reference to a queue would
  /// deadlock in the queue's destructor.
  void stop();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  [[nodiscard]] std::unique_ptr<Queue> add_queue(const Queue::Options& options, Queue::Run run);

  /// Takes effect as runs end; none is cut short, nothing that waits is lost. Clamped to
  /// 1..most_executors.
  void resize(unsigned executors);
  [[nodiscard]] unsigned executors() const;
  /// Since start, all threads together.
  [[nodiscard]] Runs runs() const;
  /// Cancels runs whose clients have all left. Finds runs that are overdue, and gives their
  /// executors' places to others. To be called about once a second. `passed`: since the last time,
  /// without what the process was stopped for.
  void note_overdue(Duration passed);
  [[nodiscard]] Overdue overdue() const;

 private:
  void work(unsigned index);
  void start_threads();

  const std::unique_ptr<LockedCore> locked_;
};

}  // namespace podsense::batching
