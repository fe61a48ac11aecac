#pragma once

/// The scheduler: one pool of executor threads for all models, one queue per model version.
///
///   Scheduler scheduler({.executors = 2}, clock);
///   auto queue = scheduler.add_queue({.max_batch = 8}, run);
///   auto refused = queue->submit(std::move(task));    // never blocks
///
/// A free executor serves the queue that has had the least executor time, so that one model's flood
/// does not starve another. Admission is bounded in time (policy.h): a task whose deadline cannot
/// be met is refused at arrival. A task past its deadline, or whose client has gone, is dropped
/// before it runs, never after.
///
/// Who owns a task: the caller until `submit` succeeds, then the scheduler until it hands it to
/// `Run`, or back to it by `drop`. Each task meets exactly one of the two.

#include <atomic>
#include <cstddef>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/mutex.h"
#include "batching/policy.h"

namespace podsense::batching {

/// A request on its way through a queue.
class Task {
 public:
  Task() = default;
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  virtual ~Task() = default;

  /// Answers a task that will not run. Called once, outside any lock; must not block.
  virtual void drop(Error error) = 0;
  /// Nobody waits for the answer any more. @threads any
  [[nodiscard]] virtual bool abandoned() const { return false; }

  Deadline deadline;
  Duration cost{};     ///< own service time where known beforehand, else zero
  TimePoint enqueued;  ///< set by submit
  TimePoint started;   ///< set when taken
};
using TaskPtr = std::unique_ptr<Task>;

class Scheduler;

/// One model version's queue. @threads thread-safe
/// Destroying it waits until its running batch is done and drops what waits: never from `Run`.
class Queue {
 public:
  struct Options {
    std::size_t max_batch = 1;
    Duration max_delay{};
    std::size_t instances = 1;       ///< runs of this queue at the same time
    std::size_t max_waiting = 4096;  ///< tasks; a second bound beside the one in time
    Duration service{};              ///< first estimate per task, from warm-up
  };
  /// Answers every task of the batch (1..max_batch). @threads executor
  using Run = std::function<void(std::vector<TaskPtr> batch)>;

  Queue(Scheduler& scheduler, Options options, Run run);
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  /// Never blocks. On an error `task` is untouched.
  /// @errors kOverloaded with retry_after: the deadline cannot be met or max_waiting is reached;
  ///         kDeadlineExceeded: already past it, or a known cost that does not fit before it
  Result<void> submit(TaskPtr& task);

  struct Load {
    std::size_t waiting = 0;
    std::size_t running = 0;
    Duration expected_wait{};
    Duration service{};
  };
  [[nodiscard]] Load load() const;

 private:
  friend class Scheduler;
  Scheduler& scheduler_;
  const Options options_;
  const Run run_;
  // Protected by Scheduler::mutex_.
  std::deque<TaskPtr> waiting_;
  std::size_t running_tasks_ = 0;
  std::size_t running_batches_ = 0;
  Duration service_;
  Duration consumed_{};  ///< executor time had, for fairness
  bool closed_ = false;
};

/// @threads thread-safe. Outlives its queues.
class Scheduler {
 public:
  struct Options {
    unsigned executors = 1;
  };
  Scheduler(Options options, const Clock& clock);
  /// Every queue must be gone.
  ~Scheduler();
  /// Ends the executors once their runs have ended; what waits is left to its queue. Call it before
  /// the owner of the queues goes: an executor that lets go of a queue last would wait for itself.
  void stop();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  [[nodiscard]] std::unique_ptr<Queue> add_queue(Queue::Options options, Queue::Run run);

  [[nodiscard]] unsigned executors() const { return static_cast<unsigned>(threads_.size()); }
  /// Executor time spent since start, all threads together.
  [[nodiscard]] Duration busy() const { return Duration(busy_.load(std::memory_order_relaxed)); }

 private:
  friend class Queue;
  struct Work {
    Queue* queue = nullptr;
    std::vector<TaskPtr> batch;
    std::vector<TaskPtr> late, gone;
  };

  void work();
  [[nodiscard]] QueueState state_of(const Queue& queue) const REQUIRES(mutex_);
  [[nodiscard]] Profile profile_of(const Queue& queue) const REQUIRES(mutex_);
  /// The queue to serve now, or null with `wait_until` set when one only waits for company.
  Queue* pick(TimePoint now, TimePoint& wait_until) REQUIRES(mutex_);
  Work collect(Queue& queue, TimePoint now) REQUIRES(mutex_);
  void finish(Queue& queue, std::size_t tasks, Duration elapsed) REQUIRES(mutex_);

  const Clock& clock_;
  mutable Mutex mutex_;
  CondVar work_came_;    ///< for executors: something waits, or stopping
  CondVar batch_ended_;  ///< for queues being destroyed
  std::list<Queue*> queues_ GUARDED_BY(mutex_);
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::atomic<Duration::rep> busy_{0};
  std::vector<std::jthread> threads_;
};

}  // namespace podsense::batching
