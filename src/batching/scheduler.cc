#include "batching/scheduler.h"

#include <algorithm>
#include <deque>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "base/crash.h"
#include "batching/deadline_timer.h"
#include "batching/running_tasks.h"

namespace podsense::batching {

namespace {

/// How long after its last deadline a run counts as overdue.
constexpr Duration kOverdue = std::chrono::seconds(1);

/// The maximum of replacement executors. At least two, so that a pod with one executor survives two
/// runs that never end.
constexpr unsigned most_replaced(unsigned executors) {
  return std::max(2U, executors);
}

}  // namespace

/// The state of one executor.
struct Executor {
  ActiveRun run;
  TimePoint due = TimePoint::max();  ///< the latest deadline of its tasks; max: idle
  Duration overdue{};                ///< time since `due`, as measured by `note_overdue`
  bool disowned = false;             ///< its run is disowned
  bool cancelled = false;            ///< its run is cancelled: `stop` was requested
  std::stop_source stop{};           ///< reused for the next run unless this one was cancelled
};

/// The core with its lock and condition variables.
struct LockedCore {
  LockedCore(const Scheduler::Options& options, const Clock& time)
      : clock(time),
        most(std::max({1U, options.executors, options.most_executors})),
        core({.executors = options.executors}),
        executors(most + most_replaced(most)),
        running(executors.size()),
        timer(time, [this] { cancel_late(); }) {}

  const Clock& clock;
  const unsigned most;  ///< maximum of working executors
  Mutex mutex;
  CondVar work_came;    ///< for executors: tasks are waiting, or stopping
  CondVar resized;      ///< for threads beyond the required number
  CondVar batch_ended;  ///< for queues being destroyed
  SchedulerCore<> core GUARDED_BY(mutex);
  std::vector<const Queue::Run*> runs GUARDED_BY(mutex);  ///< by QueueId
  bool stopping GUARDED_BY(mutex) = false;
  std::vector<Executor> executors GUARDED_BY(mutex);  ///< one for each possible thread
  unsigned disowned GUARDED_BY(mutex) = 0;            ///< number of disowned executors
  std::vector<std::jthread> threads GUARDED_BY(mutex);
  std::deque<RunningTasks> running;  ///< by executor
  DeadlineTimer timer;

  QueueId add(const QueueOptions& options, const Queue::Run& run) {
    const MutexLock lock(mutex);
    const QueueId id = core.add_queue(options);
    runs.resize(std::max(runs.size(), static_cast<std::size_t>(id) + 1));
    runs[static_cast<std::size_t>(id)] = &run;
    return id;
  }
  /// The required number of threads: each disowned run has a replacement, up to a limit.
  [[nodiscard]] unsigned wanted() const REQUIRES(mutex) {
    const unsigned own = core.executors();
    return own + std::min(disowned, most_replaced(own));
  }
  void begin(unsigned index, const SchedulerCore<>::Next& next) REQUIRES(mutex);
  void end(Executor& executor, TimePoint now, FinishedRun outcome) REQUIRES(mutex);
  /// Called under the lock, so that it cannot stop the next run.
  static void cancel(Executor& executor);
  /// Cancels runs whose tasks were all answered at their deadlines.
  void cancel_late();
};

namespace {

using Next = SchedulerCore<>::Next;

Error refusal_error(const AdmissionVerdict& verdict) {
  switch (*verdict.refused) {
    case Refusal::kPastDeadline:
      return {.code = ErrorCode::kDeadlineExceeded,
              .message = "the deadline passed before the request was queued"};
    case Refusal::kCost:
      return {.code = ErrorCode::kDeadlineExceeded,
              .message = "the work asked for takes longer than the deadline allows"};
    case Refusal::kQueueTime:
    case Refusal::kQueueLength:
    case Refusal::kWaitBound:
      break;
  }
  Error error{
      .code = ErrorCode::kOverloaded,
      .message = *verdict.refused == Refusal::kWaitBound
                     ? "the queue is longer than clients usually wait; ask again later or elsewhere"
                     : "the queue is too long to answer within the deadline; ask again "
                       "later or elsewhere"};
  error.retry_after = std::chrono::ceil<std::chrono::milliseconds>(verdict.retry_after);
  return error;
}

Error drop_error(DropReason reason) {
  switch (reason) {
    case DropReason::kClientDisconnected:
      return {.code = ErrorCode::kCancelled, .message = "the client went away"};
    case DropReason::kWaitedTooLong:
      return {
          .code = ErrorCode::kOverloaded,
          .message =
              "the request waited longer than clients usually do; ask again later or elsewhere"};
    case DropReason::kLate:
      break;
  }
  return {.code = ErrorCode::kDeadlineExceeded,
          .message = "the request waited until its deadline could not be met any more"};
}

void drop_all(std::vector<SchedulerCore<>::Dropped>& dropped) {
  for (auto& [task, reason] : dropped) {
    task->drop(drop_error(reason));
    DeadlineTimer::forget(*task);
  }
  dropped.clear();
}

void drop_all(std::vector<TaskPtr>& tasks, const char* message) {
  for (const TaskPtr& task : tasks) {
    task->drop(Error{.code = ErrorCode::kUnavailable, .message = message});
    DeadlineTimer::forget(*task);
  }
  tasks.clear();
}

}  // namespace

void LockedCore::begin(unsigned index, const Next& next) {
  Executor& executor = executors[index];
  executor.run = next.run;
  executor.due = TimePoint::min();
  for (const TaskPtr& task : next.batch) {
    executor.due = std::max(executor.due, task->deadline.at());
  }
  running[index].watch(next.batch);
}

void LockedCore::end(Executor& executor, TimePoint now, FinishedRun outcome) {
  outcome.cancelled = executor.cancelled;
  if (executor.disowned) {
    core.disowned_ended(executor.run);
    --disowned;
  } else {
    core.finish(executor.run, now, outcome);
  }
  executor.due = TimePoint::max();
  executor.overdue = {};
  executor.disowned = false;
  if (std::exchange(executor.cancelled, false)) {
    executor.stop = std::stop_source();
  }
}

void LockedCore::cancel(Executor& executor) {
  executor.cancelled = true;
  executor.stop.request_stop();
}

void LockedCore::cancel_late() {
  const TimePoint now = clock.now();
  const MutexLock lock(mutex);
  for (Executor& executor : executors) {
    if (now >= executor.due) {
      cancel(executor);
    }
  }
}

Queue::Queue(LockedCore& locked, const Options& options, Run run)
    : locked_(locked), run_(std::move(run)), id_(locked.add(options, run_)) {}

Queue::~Queue() {
  std::vector<TaskPtr> left;
  {
    const MutexLock lock(locked_.mutex);
    left = locked_.core.close_queue(id_);
    while (locked_.core.running(id_) > 0) {
      locked_.batch_ended.wait(locked_.mutex);
    }
    locked_.core.remove_queue(id_);
  }
  drop_all(left, "this model version is no longer served; ask again");
}

Result<void> Queue::submit(TaskPtr& task) {
  const TimePoint now = locked_.clock.now();
  AdmissionVerdict verdict;
  {
    const MutexLock lock(locked_.mutex);
    Task& watched = *task;
    verdict = locked_.core.submit(id_, task, now);
    if (verdict.admitted()) {
      locked_.timer.watch(watched);  // must happen before an executor can take it
    }
  }
  if (!verdict.admitted()) {
    return fail(refusal_error(verdict));
  }
  locked_.work_came.notify_one();
  return {};
}

void Queue::set_max_batch(std::size_t rows) {
  const MutexLock lock(locked_.mutex);
  locked_.core.set_max_batch(id_, rows);
}

Queue::Load Queue::load() const {
  const MutexLock lock(locked_.mutex);
  return locked_.core.load(id_);
}

Scheduler::Scheduler(Options options, const Clock& clock)
    : locked_(std::make_unique<LockedCore>(options, clock)) {
  resize(options.executors);
}

Scheduler::~Scheduler() {
  stop();
}

void Scheduler::resize(unsigned executors) {
  {
    const MutexLock lock(locked_->mutex);
    if (locked_->stopping) {
      return;
    }
    locked_->core.resize(std::clamp(executors, 1U, locked_->most));
  }
  start_threads();
}

/// Starts the missing threads.
void Scheduler::start_threads() {
  {
    const MutexLock lock(locked_->mutex);
    try {
      while (!locked_->stopping && locked_->threads.size() < locked_->wanted()) {
        const auto index = static_cast<unsigned>(locked_->threads.size());
        locked_->threads.emplace_back([this, index] { work(index); });
      }
    } catch (const std::system_error&) {  // continue with the existing threads
      if (locked_->threads.empty()) {
        throw;
      }
      const auto there = static_cast<unsigned>(locked_->threads.size());
      locked_->core.resize(std::min(locked_->core.executors(), there));
    }
  }
  locked_->resized.notify_all();
  locked_->work_came.notify_all();
}

unsigned Scheduler::executors() const {
  const MutexLock lock(locked_->mutex);
  return locked_->core.executors();
}

Runs Scheduler::runs() const {
  const TimePoint now = locked_->clock.now();
  const MutexLock lock(locked_->mutex);
  return locked_->core.runs(now);
}

void Scheduler::stop() {
  std::vector<std::jthread> threads;
  {
    const MutexLock lock(locked_->mutex);
    locked_->stopping = true;
    std::ranges::for_each(locked_->executors, LockedCore::cancel);
    threads.swap(locked_->threads);
  }
  locked_->work_came.notify_all();
  locked_->resized.notify_all();
  threads.clear();  // joins
  // A waiting task keeps its model alive, and so its own queue.
  std::vector<TaskPtr> left;
  {
    const MutexLock lock(locked_->mutex);
    left = locked_->core.drain();
  }
  drop_all(left, "the server is shutting down; ask another");
}

std::unique_ptr<Queue> Scheduler::add_queue(const Queue::Options& options, Queue::Run run) {
  return std::make_unique<Queue>(*locked_, options, std::move(run));
}

void Scheduler::note_overdue(Duration passed) {
  const TimePoint now = locked_->clock.now();
  std::vector<TaskPtr> left;
  {
    const MutexLock lock(locked_->mutex);
    for (std::size_t i = 0; i < locked_->executors.size(); ++i) {
      Executor& executor = locked_->executors[i];
      if (now >= executor.due || locked_->running[i].all_abandoned()) {
        LockedCore::cancel(executor);
      }
      if (now < executor.due) {
        continue;
      }
      executor.overdue = std::min<Duration>(executor.overdue + passed, now - executor.due);
      if (!executor.disowned && executor.overdue >= kOverdue) {
        executor.disowned = true;
        ++locked_->disowned;
        locked_->core.disown(executor.run, now);
      }
    }
    if (locked_->disowned >= locked_->wanted()) {
      left = locked_->core.drain();
    }
  }
  start_threads();
  drop_all(left, "every executor is stuck in a run that does not end; ask another server");
}

Overdue Scheduler::overdue() const {
  const MutexLock lock(locked_->mutex);
  Overdue all{.runs = locked_->disowned};
  for (const Executor& executor : locked_->executors) {
    all.longest = std::max(all.longest, executor.overdue);
  }
  return all;
}

void Scheduler::work(unsigned index) {
  const crash::Thread me("executor");
  LockedCore& locked = *locked_;
  locked.mutex.lock();
  while (!locked.stopping) {
    if (index >= locked.wanted()) {
      locked.work_came.notify_one();  // pass on the signal, which may be meant for another thread
      locked.resized.wait(locked.mutex);
      continue;
    }
    const TimePoint now = locked.clock.now();
    Next next = locked.core.next(now);
    if (next.batch.empty() && next.dropped.empty()) {
      if (next.again == TimePoint::max()) {
        locked.work_came.wait(locked.mutex);
      } else {
        locked.work_came.wait_for(locked.mutex, next.again - now);
      }
      continue;
    }
    const Queue::Run* run = nullptr;
    std::stop_token stop;
    if (!next.batch.empty()) {
      run = locked.runs[static_cast<std::size_t>(next.run.queue)];
      locked.begin(index, next);
      stop = locked.executors[index].stop.get_token();
    }
    locked.mutex.unlock();
    locked.work_came.notify_one();  // there may be work for further executors

    drop_all(next.dropped);
    if (run == nullptr) {
      locked.mutex.lock();
      continue;
    }
    (*run)(next.batch, stop);
    const TimePoint end = locked.clock.now();
    const FinishedRun outcome = outcome_of(std::span<const TaskPtr>(next.batch), end - now);
    locked.running[index].forget();
    std::ranges::for_each(next.batch, [](const TaskPtr& task) { DeadlineTimer::forget(*task); });
    next.batch.clear();  // before the run counts as ended, when its queue may be destroyed

    locked.mutex.lock();
    locked.end(locked.executors[index], end, outcome);
    locked.batch_ended.notify_all();
  }
  locked.mutex.unlock();
}

}  // namespace podsense::batching
