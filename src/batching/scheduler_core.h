#pragma once

/// The decisions of the scheduler, without threads, locks or clocks: the driver passes the time.
/// Drivers are the server (scheduler.h) and simulations in virtual time.
///
///   SchedulerCore<> core({.executors = 2});
///   const QueueId queue = core.add_queue({.max_batch = 8});
///   AdmissionVerdict verdict = core.submit(queue, task, now);  // admitted, or refused and why
///   auto next = core.next(now);                       // a batch, or when to ask again
///   core.finish(next.run, now + elapsed, outcome);    // its run has ended
///
/// The same calls give the same decisions on every machine. After each `submit`, `finish` and
/// `resize`, and at `again`, call `next` until it returns no batch.
/// @threads confined, or under its driver's lock

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "batching/patience.h"
#include "batching/policy.h"
#include "batching/saturation.h"
#include "batching/service_estimates.h"
#include "batching/task.h"
#include "batching/waiting.h"

namespace podsense::batching {

/// A queue of a core. The numbers of removed queues are reused.
enum class QueueId : std::uint32_t {};

struct QueueOptions {
  std::size_t max_batch = 1;  ///< rows
  Duration max_delay{};
  double weight = 1;               ///< for its share of the executors, > 0
  std::size_t instances = 1;       ///< concurrent runs of this queue; 0: all executors
  std::size_t max_waiting = 4096;  ///< tasks; limits the queue in addition to its wait
  Duration max_wait{};  ///< limit of a new task's expected wait; zero: only the learned patience
  Duration service{};   ///< first estimate per row, from warm-up
};

/// The number of tasks that never ran, by reason, since the queue was added.
struct Unserved {
  std::uint64_t queue_time = 0;           ///< refused: the deadline cannot be met
  std::uint64_t queue_length = 0;         ///< refused: max_waiting is reached
  std::uint64_t deadline = 0;             ///< refused: already past it
  std::uint64_t cost = 0;                 ///< refused: the known cost exceeds the time left
  std::uint64_t wait_bound = 0;           ///< refused: clients do not wait that long
  std::uint64_t late = 0;                 ///< dropped: the deadline can no longer be met
  std::uint64_t waited_too_long = 0;      ///< dropped: clients do not wait that long
  std::uint64_t client_disconnected = 0;  ///< dropped: the client has left
  /// Tasks that would have run with more executors.
  [[nodiscard]] std::uint64_t crowded_out() const {
    return queue_time + queue_length + wait_bound + late + waited_too_long;
  }
};

struct QueueLoad {
  std::size_t waiting = 0;
  std::size_t running = 0;
  Duration expected_wait{};      ///< of a new task with default priority
  Duration service{};            ///< per row
  Duration wait_bound{};         ///< the longest expected wait that is admitted; zero: no limit
  std::uint64_t unreceived = 0;  ///< executed tasks whose client had left by the end
  std::uint64_t cancelled = 0;   ///< runs cancelled because nobody waited for them
  Unserved unserved;
};

enum class Refusal {
  kPastDeadline,  ///< the deadline passed before it arrived
  kCost,          ///< its known cost exceeds the time left until its deadline
  kQueueTime,     ///< the queue is too long for its deadline
  kWaitBound,     ///< the queue is longer than clients wait, or than max_wait
  kQueueLength,   ///< max_waiting is reached
};
struct AdmissionVerdict {
  std::optional<Refusal> refused;  ///< nothing: admitted
  Duration retry_after{};          ///< kQueueTime, kWaitBound, kQueueLength
  [[nodiscard]] bool admitted() const { return !refused; }
};

enum class DropReason { kLate, kWaitedTooLong, kClientDisconnected };

/// A running batch, with the data that `finish` needs.
struct ActiveRun {
  QueueId queue{};
  std::size_t tasks = 0;
  std::size_t rows = 0;
  std::uint64_t size = 0;  ///< average bytes of a row, see Ticket::size
  Duration cost{};         ///< expected time of all its tasks
  TimePoint started;
};

template <TaskHandle Handle = TaskPtr>
class SchedulerCore {
 public:
  struct Options {
    unsigned executors = 1;  ///< concurrent runs of all queues together
  };
  struct Dropped {
    Handle task;
    DropReason reason;
  };
  struct Next {
    std::vector<Handle> batch;  ///< to run now; empty: nothing to run
    ActiveRun run;
    std::vector<Dropped> dropped;        ///< to answer without a run
    TimePoint again = TimePoint::max();  ///< without a batch: when to call again at the latest
  };

  explicit SchedulerCore(Options options) : executors_(std::max(1U, options.executors)) {}

  QueueId add_queue(QueueOptions options);
  /// Returns its waiting tasks; the queue gives no further batches.
  [[nodiscard]] std::vector<Handle> close_queue(QueueId id);
  /// @requires it is closed and has no runs
  void remove_queue(QueueId id) { queues_[index(id)].reset(); }
  /// Removes and returns the waiting tasks of all queues, in order.
  [[nodiscard]] std::vector<Handle> drain();

  /// Sets the maximum rows of future batches. @pre ≥ 1
  void set_max_batch(QueueId id, std::size_t rows) { queue_of(id).options.max_batch = rows; }

  /// Takes the task, or refuses it and leaves it unchanged.
  AdmissionVerdict submit(QueueId id, Handle& task, TimePoint now);
  Next next(TimePoint now);
  /// @requires `run` came from `next` and has not been finished
  void finish(const ActiveRun& run, TimePoint now, const FinishedRun& outcome);
  /// Instead of `finish`, for a run that may never end: frees its executor's place.
  void disown(const ActiveRun& run, TimePoint now);
  /// Call when a disowned run ends after all.
  void disowned_ended(const ActiveRun& run) {
    --queue_of(run.queue).disowned;
    ++queue_of(run.queue).cancelled;
  }
  /// Takes effect as runs end; no run is cancelled. At least 1.
  void resize(unsigned executors) { executors_ = std::max(1U, executors); }

  [[nodiscard]] unsigned executors() const { return executors_; }
  /// The current runs of a queue, including disowned ones.
  [[nodiscard]] std::size_t running(QueueId id) const {
    return queue_of(id).running_batches + queue_of(id).disowned;
  }
  [[nodiscard]] QueueLoad load(QueueId id) const;
  /// Totals since start.
  [[nodiscard]] Runs runs(TimePoint now) const;

 private:
  struct Queue {
    QueueOptions options;
    ServiceEstimates service;  ///< of a row
    Waiting<Handle> waiting;
    std::size_t running_tasks = 0;
    std::size_t running_batches = 0;
    std::size_t disowned = 0;  ///< runs
    Duration running_cost{};
    Duration consumed{};               ///< executor time used, divided by weight, for fairness
    double headroom = kLeastHeadroom;  ///< learned from past waits
    Patience patience;
    std::uint64_t unreceived = 0;
    std::uint64_t cancelled = 0;  ///< runs
    Unserved unserved;
    [[nodiscard]] bool idle() const { return waiting.empty() && running_batches == 0; }
  };

  static std::size_t index(QueueId id) { return static_cast<std::size_t>(id); }
  Queue& queue_of(QueueId id) { return *queues_[index(id)]; }
  const Queue& queue_of(QueueId id) const { return *queues_[index(id)]; }

  [[nodiscard]] std::size_t instances_of(const Queue& queue) const;
  [[nodiscard]] QueueState state_of(const Queue& queue, const Ticket& newcomer) const;
  [[nodiscard]] QueueCapacity capacity_of(const Queue& queue) const;
  /// Refusals that depend only on the task's deadline.
  static std::optional<Refusal> refuse_by_deadline(const Ticket& task, TimePoint now);
  /// Refusals that depend on the queue. @pre `task.cost` is set
  static AdmissionVerdict refuse_by_queue(const Queue& queue, const Ticket& task, TimePoint now,
                                          const QueueState& state, const QueueCapacity& capacity);
  static AdmissionVerdict refuse(Queue& queue, AdmissionVerdict verdict);
  /// The wait bound. `run`: time of a new task's run.
  static Duration bound_of(const Queue& queue, Duration run) {
    return wait_bound(queue.patience.learned(), run, queue.options.max_wait);
  }
  /// The queue to serve now. None: sets `again` if a queue only waits for a fuller batch.
  std::optional<QueueId> pick(TimePoint now, TimePoint& again) const;
  void collect(Queue& queue, TimePoint now, Next& next);
  /// `last`: no other task could run instead.
  static std::optional<DropReason> drop_reason(const Queue& queue, const Ticket& task,
                                               TimePoint now, bool last);
  static void drop(Queue& queue, Handle handle, DropReason reason, Next& next);
  /// The average row size of the run after adding the task.
  static std::uint64_t mean_size(const ActiveRun& run, const Ticket& task) {
    return run.size == task.size || run.rows == 0
               ? task.size
               : (run.size * run.rows + task.size * task.rows) / (run.rows + task.rows);
  }
  void begin(QueueId id, TimePoint now, Next& next);
  /// Frees the run's executor.
  void release(const ActiveRun& run, TimePoint now);
  /// Call before `running_` changes.
  void account(TimePoint now) {
    runs_ = runs(now);
    changed_ = std::max(changed_, now);
  }

  unsigned executors_;
  std::size_t running_ = 0;                     ///< batches
  std::vector<std::unique_ptr<Queue>> queues_;  ///< by QueueId; null: removed
  /// The `consumed` of the queue served last: where queues that were idle start.
  Duration virtual_time_{};
  Runs runs_;            ///< busy_seconds: until changed_
  TimePoint changed_{};  ///< when running_ did
};

template <TaskHandle Handle>
QueueId SchedulerCore<Handle>::add_queue(QueueOptions options) {
  auto queue = std::make_unique<Queue>();
  queue->service = ServiceEstimates(options.service);
  queue->options = options;
  const auto free = std::find(queues_.begin(), queues_.end(), nullptr);
  const auto id = static_cast<QueueId>(free - queues_.begin());
  if (free == queues_.end()) {
    queues_.push_back(std::move(queue));
  } else {
    *free = std::move(queue);
  }
  return id;
}

template <TaskHandle Handle>
std::vector<Handle> SchedulerCore<Handle>::close_queue(QueueId id) {
  return queue_of(id).waiting.drain();
}

template <TaskHandle Handle>
std::vector<Handle> SchedulerCore<Handle>::drain() {
  std::vector<Handle> all;
  for (const auto& queue : queues_) {
    if (queue) {
      std::ranges::move(queue->waiting.drain(), std::back_inserter(all));
    }
  }
  return all;
}

template <TaskHandle Handle>
std::size_t SchedulerCore<Handle>::instances_of(const Queue& queue) const {
  const std::size_t wanted = queue.options.instances;
  return wanted == 0 ? executors_ : std::min<std::size_t>(wanted, executors_);
}

template <TaskHandle Handle>
QueueState SchedulerCore<Handle>::state_of(const Queue& queue, const Ticket& newcomer) const {
  return {.rows = queue.waiting.rows(),
          .ahead = queue.waiting.ahead_of(newcomer),
          .running = queue.running_cost,
          .executor_free = queue.running_batches < instances_of(queue),
          .oldest = {}};
}

/// Executors are shared among the queues that have work now.
template <TaskHandle Handle>
QueueCapacity SchedulerCore<Handle>::capacity_of(const Queue& queue) const {
  double weights = queue.options.weight;
  for (const auto& other : queues_) {
    if (other && other.get() != &queue && !other->idle()) {
      weights += other->options.weight;
    }
  }
  return {
      .max_batch = queue.options.max_batch,
      .max_delay = queue.options.max_delay,
      .executors = executor_share(executors_, queue.options.weight, weights, instances_of(queue)),
      .headroom = queue.headroom};
}

template <TaskHandle Handle>
std::optional<Refusal> SchedulerCore<Handle>::refuse_by_deadline(const Ticket& task,
                                                                 TimePoint now) {
  if (task.deadline.passed(now)) {
    return Refusal::kPastDeadline;
  }
  if (task.cost > task.deadline.left(now)) {
    return Refusal::kCost;
  }
  return std::nullopt;
}

template <TaskHandle Handle>
AdmissionVerdict SchedulerCore<Handle>::refuse_by_queue(const Queue& queue, const Ticket& task,
                                                        TimePoint now, const QueueState& state,
                                                        const QueueCapacity& capacity) {
  const Duration until_answer =
      batch_cost(state, capacity, task.cost, queue.service.row(task.size));
  if (const Admission by_time = admit(now, state, capacity, task.deadline, until_answer);
      !by_time.admitted) {
    return {.refused = Refusal::kQueueTime, .retry_after = by_time.retry_after};
  }
  const Duration wait = expected_wait(state, capacity);
  if (const Duration bound = bound_of(queue, until_answer); wait > bound) {
    return {.refused = Refusal::kWaitBound, .retry_after = wait - bound};
  }
  if (queue.waiting.tasks() >= queue.options.max_waiting) {
    return {.refused = Refusal::kQueueLength, .retry_after = wait};
  }
  return {};
}

template <TaskHandle Handle>
AdmissionVerdict SchedulerCore<Handle>::refuse(Queue& queue, AdmissionVerdict verdict) {
  switch (*verdict.refused) {
    case Refusal::kPastDeadline:
      ++queue.unserved.deadline;
      break;
    case Refusal::kCost:
      ++queue.unserved.cost;
      break;
    case Refusal::kQueueTime:
      ++queue.unserved.queue_time;
      break;
    case Refusal::kWaitBound:
      ++queue.unserved.wait_bound;
      break;
    case Refusal::kQueueLength:
      ++queue.unserved.queue_length;
      break;
  }
  return verdict;
}

template <TaskHandle Handle>
AdmissionVerdict SchedulerCore<Handle>::submit(QueueId id, Handle& handle, TimePoint now) {
  Queue& queue = queue_of(id);
  Ticket& task = *handle;
  if (const auto refused = refuse_by_deadline(task, now)) {
    return refuse(queue, {.refused = refused});
  }
  const bool known = task.cost != Duration::zero();
  if (!known) {
    task.cost = queue.service.row(task.size) * static_cast<Duration::rep>(task.rows);
  }
  queue.patience.relax(now);
  const QueueCapacity capacity = capacity_of(queue);
  const QueueState state = state_of(queue, task);
  if (const AdmissionVerdict verdict = refuse_by_queue(queue, task, now, state, capacity);
      !verdict.admitted()) {
    if (!known) {
      task.cost = {};
    }
    if (verdict.refused == Refusal::kWaitBound) {
      queue.patience.refused(now);
    }
    return refuse(queue, verdict);
  }
  if (queue.idle()) {
    // A queue gets no credit for the time in which it was idle.
    queue.consumed = std::max(queue.consumed, virtual_time_);
  }
  task.enqueued = now;
  task.expected_wait = expected_wait(state, capacity);
  queue.waiting.push(std::move(handle));
  return {};
}

template <TaskHandle Handle>
std::optional<QueueId> SchedulerCore<Handle>::pick(TimePoint now, TimePoint& again) const {
  std::optional<QueueId> best;
  again = TimePoint::max();
  for (std::size_t i = 0; i < queues_.size(); ++i) {
    const Queue* queue = queues_[i].get();
    if (queue == nullptr || queue->waiting.empty() ||
        queue->running_batches >= instances_of(*queue)) {
      continue;
    }
    const bool delayed = queue->options.max_delay > Duration::zero();
    const QueueState state{.rows = queue->waiting.rows(),
                           .oldest = delayed ? queue->waiting.oldest() : now};
    const Take decision = take(
        now, state, {.max_batch = queue->options.max_batch, .max_delay = queue->options.max_delay});
    if (!decision.run) {
      again = std::min(again, decision.again);
    } else if (!best || queue->consumed < queue_of(*best).consumed) {
      best = static_cast<QueueId>(i);
    }
  }
  return best;
}

template <TaskHandle Handle>
std::optional<DropReason> SchedulerCore<Handle>::drop_reason(const Queue& queue, const Ticket& task,
                                                             TimePoint now, bool last) {
  if (cannot_meet_deadline(now, task.deadline, task.cost, last)) {
    return DropReason::kLate;
  }
  const Duration run =
      batch_cost({.rows = queue.waiting.rows() + task.rows}, {.max_batch = queue.options.max_batch},
                 task.cost, queue.service.row(task.size));
  const Duration longest = longest_wait(queue.patience.learned(), run, bound_of(queue, run));
  if (!last && now - task.enqueued > longest) {
    return DropReason::kWaitedTooLong;
  }
  return std::nullopt;
}

template <TaskHandle Handle>
void SchedulerCore<Handle>::drop(Queue& queue, Handle handle, DropReason reason, Next& next) {
  switch (reason) {
    case DropReason::kLate:
      ++queue.unserved.late;
      break;
    case DropReason::kWaitedTooLong:
      ++queue.unserved.waited_too_long;
      break;
    case DropReason::kClientDisconnected:
      ++queue.unserved.client_disconnected;
      break;
  }
  next.dropped.push_back({.task = std::move(handle), .reason = reason});
}

template <TaskHandle Handle>
void SchedulerCore<Handle>::collect(Queue& queue, TimePoint now, Next& next) {
  virtual_time_ = std::max(virtual_time_, queue.consumed);
  queue.patience.relax(now);
  const std::size_t most = std::max<std::size_t>(1, queue.options.max_batch);
  const auto fits = [&] {
    const Ticket& more = queue.waiting.next();
    return next.batch.empty() ||
           (next.run.rows + more.rows <= most && more.shape == (*next.batch.front()).shape);
  };
  while (!queue.waiting.empty() && fits()) {
    Handle handle = queue.waiting.pop();
    Ticket& task = *handle;
    queue.headroom =
        learn_headroom(queue.headroom, task.expected_wait, now - task.enqueued, task.cost);
    const bool last = queue.waiting.empty() && next.batch.empty();
    const std::optional<DropReason> reason = (*handle).abandoned()
                                                 ? DropReason::kClientDisconnected
                                                 : drop_reason(queue, task, now, last);
    if (reason) {
      drop(queue, std::move(handle), *reason, next);
      continue;
    }
    task.started = now;
    next.run.size = mean_size(next.run, task);
    next.run.rows += task.rows;
    next.run.cost += task.cost;
    next.batch.push_back(std::move(handle));
  }
}

template <TaskHandle Handle>
void SchedulerCore<Handle>::begin(QueueId id, TimePoint now, Next& next) {
  next.run.queue = id;
  next.run.tasks = next.batch.size();
  next.run.started = now;
  account(now);
  Queue& queue = queue_of(id);
  queue.running_tasks += next.run.tasks;
  queue.running_cost += next.run.cost;
  ++queue.running_batches;
  ++running_;
}

template <TaskHandle Handle>
typename SchedulerCore<Handle>::Next SchedulerCore<Handle>::next(TimePoint now) {
  Next next;
  while (running_ < executors_) {
    const std::optional<QueueId> id = pick(now, next.again);
    if (!id) {
      break;
    }
    collect(queue_of(*id), now, next);
    if (!next.batch.empty()) {
      begin(*id, now, next);
      break;
    }
  }
  return next;
}

template <TaskHandle Handle>
void SchedulerCore<Handle>::release(const ActiveRun& run, TimePoint now) {
  Queue& queue = queue_of(run.queue);
  queue.running_tasks -= run.tasks;
  queue.running_cost -= run.cost;
  --queue.running_batches;
  account(now);
  --running_;
}

template <TaskHandle Handle>
void SchedulerCore<Handle>::disown(const ActiveRun& run, TimePoint now) {
  release(run, now);
  ++queue_of(run.queue).disowned;
}

template <TaskHandle Handle>
void SchedulerCore<Handle>::finish(const ActiveRun& run, TimePoint now,
                                   const FinishedRun& outcome) {
  release(run, now);
  Queue& queue = queue_of(run.queue);
  const double seconds = to_seconds(outcome.elapsed);
  queue.consumed += from_seconds(seconds / queue.options.weight);
  const double tasks = static_cast<double>(std::max<std::size_t>(1, run.tasks));
  ++runs_.count;
  runs_.seconds += seconds;
  runs_.square_seconds += seconds * seconds;
  runs_.unreceived_seconds += seconds * static_cast<double>(outcome.unreceived) / tasks;
  queue.unreceived += outcome.unreceived;
  const Duration row =
      outcome.elapsed / static_cast<Duration::rep>(std::max<std::size_t>(1, run.rows));
  queue.cancelled += outcome.cancelled ? 1 : 0;
  queue.service.observe(run.size, row, outcome.cancelled);
  queue.patience.observe(now, run.tasks, outcome);
}

template <TaskHandle Handle>
Runs SchedulerCore<Handle>::runs(TimePoint now) const {
  Runs runs = runs_;
  if (running_ > 0 && now > changed_) {
    runs.busy_seconds += static_cast<double>(running_) * to_seconds(now - changed_);
  }
  return runs;
}

template <TaskHandle Handle>
QueueLoad SchedulerCore<Handle>::load(QueueId id) const {
  const Queue& queue = queue_of(id);
  // A task of a new client: its wait is the longest that a fair client has.
  const Ticket newcomer{.cost = queue.service.all().conservative()};
  const QueueState state = state_of(queue, newcomer);
  const QueueCapacity capacity = capacity_of(queue);
  const Duration bound = bound_of(queue, batch_cost(state, capacity, newcomer.cost, newcomer.cost));
  return {.waiting = queue.waiting.tasks(),
          .running = queue.running_tasks,
          .expected_wait = expected_wait(state, capacity),
          .service = queue.service.all().recent,
          .wait_bound = bound == Patience::kUnknown ? Duration::zero() : bound,
          .unreceived = queue.unreceived,
          .cancelled = queue.cancelled,
          .unserved = queue.unserved};
}

extern template class SchedulerCore<TaskPtr>;

}  // namespace podsense::batching
