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
/// refused at arrival. A task that can no longer meet its deadline, or whose client has gone, is
/// dropped before it runs, never after.
///
/// Who owns a task: the caller until `submit` succeeds, then the scheduler until it hands it to
/// `Run`, or back to it by `drop`. Each task meets exactly one of the two.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/mutex.h"
#include "batching/policy.h"
#include "batching/saturation.h"
#include "batching/task.h"
#include "batching/waiting.h"

namespace podsense::batching {

class Scheduler;

/// One model version's queue. @threads thread-safe
/// Destroying it waits until its running batch is done and drops what waits: never from `Run`.
class Queue {
 public:
  struct Options {
    std::size_t max_batch = 1;  ///< rows
    Duration max_delay{};
    double weight = 1;               ///< of its share of the executors, > 0
    std::size_t instances = 1;       ///< runs of this queue at the same time; 0: all executors
    std::size_t max_waiting = 4096;  ///< tasks; a second bound beside the one in time
    Duration service{};              ///< first estimate per row, from warm-up
  };
  /// Answers every task of the batch: max_batch rows at most, or one task that has more.
  /// @threads executor
  using Run = std::function<void(std::vector<TaskPtr> batch)>;

  Queue(Scheduler& scheduler, Options options, Run run);
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  /// Never blocks. On an error `task` is untouched.
  /// @errors kOverloaded with retry_after: the deadline cannot be met or max_waiting is reached;
  ///         kDeadlineExceeded: already past it, or a known cost that does not fit before it
  Result<void> submit(TaskPtr& task);

  /// Rows of the runs that are put together from now on. @pre ≥ 1
  void set_max_batch(std::size_t rows);

  /// Why tasks never ran, in counts since the queue was added.
  struct Unserved {
    std::uint64_t queue_time = 0;    ///< refused: the deadline cannot be met
    std::uint64_t queue_length = 0;  ///< refused: max_waiting is reached
    std::uint64_t deadline = 0;      ///< refused: already past it
    std::uint64_t cost = 0;          ///< refused: a known cost that does not fit before it
    std::uint64_t late = 0;          ///< dropped: it waited until the deadline was out of reach
    std::uint64_t gone = 0;          ///< dropped: nobody waits for the answer any more
    /// For lack of time or room: with more executors they would have run.
    [[nodiscard]] std::uint64_t crowded_out() const { return queue_time + queue_length + late; }
  };
  struct Load {
    std::size_t waiting = 0;
    std::size_t running = 0;
    Duration expected_wait{};  ///< of a newcomer of usual priority
    Duration service{};        ///< per row
    Unserved unserved;
  };
  [[nodiscard]] Load load() const;

 private:
  friend class Scheduler;
  Scheduler& scheduler_;
  const Run run_;
  // Protected by Scheduler::mutex_.
  Options options_;
  Waiting waiting_;
  std::size_t running_tasks_ = 0;
  std::size_t running_batches_ = 0;
  Duration running_cost_{};
  ServiceEstimate service_;           ///< of a row
  Duration consumed_{};               ///< executor time had, by weight, for fairness
  double headroom_ = kLeastHeadroom;  ///< learned from what waited
  Unserved unserved_;
  bool closed_ = false;
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
  /// Ends the executors once their runs have ended and drops what waits. Call it before
  /// the owner of the queues goes: an executor that lets go of a queue last would wait for itself.
  void stop();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  [[nodiscard]] std::unique_ptr<Queue> add_queue(Queue::Options options, Queue::Run run);

  /// Takes effect as runs end; none is cut short, nothing that waits is lost. Clamped to
  /// 1..most_executors.
  void resize(unsigned executors);
  [[nodiscard]] unsigned executors() const { return executors_.load(std::memory_order_relaxed); }
  /// Since start, all threads together.
  [[nodiscard]] Runs runs() const;
  /// How long the run that began first has been going on; zero when nothing runs.
  [[nodiscard]] Duration longest_run() const;

 private:
  friend class Queue;
  struct Work {
    Queue* queue = nullptr;
    std::vector<TaskPtr> batch;
    std::vector<TaskPtr> late, gone;
    std::size_t rows = 0;
    Duration cost{};
  };

  void work(unsigned index);
  [[nodiscard]] std::size_t instances_of(const Queue& queue) const;
  [[nodiscard]] QueueState state_of(const Queue& queue, const Task& newcomer) const
      REQUIRES(mutex_);
  [[nodiscard]] Profile profile_of(const Queue& queue) const REQUIRES(mutex_);
  /// The queue to serve now, or null with `wait_until` set when one only waits for company.
  Queue* pick(TimePoint now, TimePoint& wait_until) REQUIRES(mutex_);
  Work collect(Queue& queue, TimePoint now) REQUIRES(mutex_);
  void finish(const Work& work, std::size_t tasks, Duration elapsed) REQUIRES(mutex_);

  const Clock& clock_;
  mutable Mutex mutex_;
  CondVar work_came_;    ///< for executors: something waits, or stopping
  CondVar resized_;      ///< for threads that are more than the executors wanted
  CondVar batch_ended_;  ///< for queues being destroyed
  std::list<Queue*> queues_ GUARDED_BY(mutex_);
  bool stopping_ GUARDED_BY(mutex_) = false;
  /// What the queue served last had had by then: where queues begin that were idle.
  Duration virtual_time_ GUARDED_BY(mutex_){};
  Runs runs_ GUARDED_BY(mutex_);
  std::atomic<unsigned> executors_;  ///< changed under mutex_
  /// When each executor's present run began; 0: it has none. As many as may ever be.
  std::vector<std::atomic<TimePoint::rep>> began_;
  std::vector<std::jthread> threads_;
};

}  // namespace podsense::batching
