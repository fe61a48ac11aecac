#include "batching/scheduler.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace podsense::batching {
namespace {

void drop_all(std::vector<TaskPtr>& tasks, ErrorCode code, const char* message) {
  for (TaskPtr& task : tasks) {
    task->drop(Error{.code = code, .message = message});
  }
  tasks.clear();
}

}  // namespace

Queue::Queue(Scheduler& scheduler, Options options, Run run)
    : scheduler_(scheduler),
      run_(std::move(run)), options_(options),
      service_{.recent = options.service, .lasting = options.service} {
  const MutexLock lock(scheduler_.mutex_);
  scheduler_.queues_.push_back(this);
}

Queue::~Queue() {
  std::vector<TaskPtr> left;
  {
    const MutexLock lock(scheduler_.mutex_);
    closed_ = true;
    left = waiting_.drain();
    while (running_batches_ > 0) {
      scheduler_.batch_ended_.wait(scheduler_.mutex_);
    }
    scheduler_.queues_.remove(this);
  }
  drop_all(left, ErrorCode::kUnavailable, "this model version is no longer served; ask again");
}

Result<void> Queue::submit(TaskPtr& task) {
  const TimePoint now = scheduler_.clock_.now();
  if (task->deadline.passed(now)) {
    const MutexLock lock(scheduler_.mutex_);
    ++unserved_.deadline;
    return fail(ErrorCode::kDeadlineExceeded, "the deadline passed before the request was queued");
  }
  if (task->cost > task->deadline.left(now)) {
    const MutexLock lock(scheduler_.mutex_);
    ++unserved_.cost;
    return fail(ErrorCode::kDeadlineExceeded,
                "the work asked for takes longer than the deadline allows");
  }
  {
    const MutexLock lock(scheduler_.mutex_);
    const bool known = task->cost != Duration::zero();
    if (!known) {
      task->cost = service_.careful() * static_cast<Duration::rep>(task->rows);
    }
    const Profile profile = scheduler_.profile_of(*this);
    const QueueState state = scheduler_.state_of(*this, *task);
    Admission admission = admit(now, state, profile, task->deadline,
                                batch_cost(state, profile, task->cost, service_.careful()));
    std::uint64_t* reason = &unserved_.queue_time;
    if (admission.admitted && waiting_.tasks() >= options_.max_waiting) {
      admission = {.admitted = false, .retry_after = expected_wait(state, profile)};
      reason = &unserved_.queue_length;
    }
    if (!admission.admitted) {
      ++*reason;
      if (!known) {
        task->cost = {};
      }
      Error error{.code = ErrorCode::kOverloaded,
                  .message =
                      "the queue is too long to answer within the deadline; ask again later "
                      "or elsewhere"};
      error.retry_after = std::chrono::ceil<std::chrono::milliseconds>(admission.retry_after);
      return fail(std::move(error));
    }
    if (waiting_.empty() && running_batches_ == 0) {
      // It has no claim on the time in which it wanted nothing.
      consumed_ = std::max(consumed_, scheduler_.virtual_time_);
    }
    task->enqueued = now;
    task->expected_wait = expected_wait(state, profile);
    waiting_.push(std::move(task));
  }
  scheduler_.work_came_.notify_one();
  return {};
}

Queue::Load Queue::load() const {
  const MutexLock lock(scheduler_.mutex_);
  // Of a client of its own: what it would find is the longest that a fair newcomer waits.
  class Newcomer final : public Task {
    void drop(Error) override {}
  } newcomer;
  newcomer.cost = service_.careful();
  const QueueState state = scheduler_.state_of(*this, newcomer);
  return {.waiting = waiting_.tasks(),
          .running = running_tasks_,
          .expected_wait = expected_wait(state, scheduler_.profile_of(*this)),
          .service = service_.recent,
          .unserved = unserved_};
}

Runs Scheduler::runs() const {
  const MutexLock lock(mutex_);
  return runs_;
}

Scheduler::Scheduler(Options options, const Clock& clock)
    : clock_(clock),
      executors_(std::max(1U, options.executors)),
      began_(std::max({1U, options.executors, options.most_executors})) {
  for (unsigned i = 0; i < executors_; ++i) {
    threads_.emplace_back([this, i] { work(i); });
  }
}

void Queue::set_max_batch(std::size_t rows) {
  const MutexLock lock(scheduler_.mutex_);
  options_.max_batch = rows;
}

void Scheduler::resize(unsigned executors) {
  {
    const MutexLock lock(mutex_);
    if (stopping_) {
      return;
    }
    executors_ = std::clamp(executors, 1U, static_cast<unsigned>(began_.size()));
    while (threads_.size() < executors_) {
      threads_.emplace_back([this, i = static_cast<unsigned>(threads_.size())] { work(i); });
    }
  }
  resized_.notify_all();
  work_came_.notify_all();
}

std::size_t Scheduler::instances_of(const Queue& queue) const {
  const std::size_t wanted = queue.options_.instances;
  return wanted == 0 ? executors() : std::min<std::size_t>(wanted, executors());
}

Scheduler::~Scheduler() {
  stop();
}

void Scheduler::stop() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
  }
  work_came_.notify_all();
  resized_.notify_all();
  for (std::jthread& thread : threads_) {
    if (thread.joinable()) {
      thread.join();
    }
  }
  // A task that waits keeps its model alive, which keeps the queue that it waits in.
  std::vector<TaskPtr> left;
  {
    const MutexLock lock(mutex_);
    for (Queue* queue : queues_) {
      std::ranges::move(queue->waiting_.drain(), std::back_inserter(left));
    }
  }
  drop_all(left, ErrorCode::kUnavailable, "the server is shutting down; ask another");
}

std::unique_ptr<Queue> Scheduler::add_queue(Queue::Options options, Queue::Run run) {
  return std::make_unique<Queue>(*this, options, std::move(run));
}

QueueState Scheduler::state_of(const Queue& queue, const Task& newcomer) const {
  return {.rows = queue.waiting_.rows(),
          .ahead = queue.waiting_.ahead_of(newcomer),
          .running = queue.running_cost_,
          .executor_free = queue.running_batches_ < instances_of(queue),
          .oldest = {}};
}

/// The threads are shared with those queues that have work now.
Profile Scheduler::profile_of(const Queue& queue) const {
  double weights = queue.options_.weight;
  for (const Queue* other : queues_) {
    if (other != &queue && (!other->waiting_.empty() || other->running_batches_ > 0)) {
      weights += other->options_.weight;
    }
  }
  return {
      .max_batch = queue.options_.max_batch,
      .max_delay = queue.options_.max_delay,
      .executors = executor_share(executors(), queue.options_.weight, weights, instances_of(queue)),
      .headroom = queue.headroom_};
}

Duration Scheduler::longest_run() const {
  const TimePoint::rep now = clock_.now().time_since_epoch().count();
  Duration longest{};
  for (const auto& began : began_) {
    if (const auto at = began.load(std::memory_order_relaxed); at != 0) {
      longest = std::max(longest, Duration(now - at));
    }
  }
  return longest;
}

Queue* Scheduler::pick(TimePoint now, TimePoint& wait_until) {
  Queue* best = nullptr;
  wait_until = TimePoint::max();
  for (Queue* queue : queues_) {
    if (queue->closed_ || queue->running_batches_ >= instances_of(*queue)) {
      continue;
    }
    if (queue->waiting_.empty()) {
      continue;
    }
    const bool delayed = queue->options_.max_delay > Duration::zero();
    const QueueState state{.rows = queue->waiting_.rows(),
                           .oldest = delayed ? queue->waiting_.oldest() : now};
    const Take decision =
        take(now, state,
             {.max_batch = queue->options_.max_batch, .max_delay = queue->options_.max_delay});
    if (!decision.run) {
      wait_until = std::min(wait_until, decision.again);
    } else if (best == nullptr || queue->consumed_ < best->consumed_) {
      best = queue;
    }
  }
  return best;
}

Scheduler::Work Scheduler::collect(Queue& queue, TimePoint now) {
  virtual_time_ = std::max(virtual_time_, queue.consumed_);
  Work work{.queue = &queue};
  const std::size_t most = std::max<std::size_t>(1, queue.options_.max_batch);
  const auto fits = [&] {
    return work.batch.empty() || work.rows + queue.waiting_.next().rows <= most;
  };
  while (!queue.waiting_.empty() && fits()) {
    TaskPtr task = queue.waiting_.pop();
    queue.headroom_ =
        learn_headroom(queue.headroom_, task->expected_wait, now - task->enqueued, task->cost);
    const bool last = queue.waiting_.empty() && work.batch.empty();
    if (task->abandoned()) {
      work.gone.push_back(std::move(task));
    } else if (hopeless(now, task->deadline, task->cost, last)) {
      work.late.push_back(std::move(task));
    } else {
      task->started = now;
      work.rows += task->rows;
      work.cost += task->cost;
      work.batch.push_back(std::move(task));
    }
  }
  queue.unserved_.gone += work.gone.size();
  queue.unserved_.late += work.late.size();
  queue.running_tasks_ += work.batch.size();
  queue.running_cost_ += work.cost;
  ++queue.running_batches_;
  return work;
}

void Scheduler::finish(const Work& work, std::size_t tasks, Duration elapsed) {
  Queue& queue = *work.queue;
  queue.running_tasks_ -= tasks;
  queue.running_cost_ -= work.cost;
  --queue.running_batches_;
  queue.consumed_ += from_seconds(to_seconds(elapsed) / queue.options_.weight);
  if (tasks > 0) {
    const double seconds = to_seconds(elapsed);
    runs_ = {.count = runs_.count + 1,
             .seconds = runs_.seconds + seconds,
             .square_seconds = runs_.square_seconds + seconds * seconds};
  }
  if (work.rows > 0) {
    queue.service_.observe(elapsed / static_cast<Duration::rep>(work.rows));
  }
}

void Scheduler::work(unsigned index) {
  std::atomic<TimePoint::rep>& began = began_[index];
  mutex_.lock();
  while (!stopping_) {
    if (index >= executors()) {
      work_came_.notify_one();  // the signal that woke this thread may have been for another
      resized_.wait(mutex_);
      continue;
    }
    const TimePoint now = clock_.now();
    TimePoint wait_until;
    Queue* queue = pick(now, wait_until);
    if (queue == nullptr) {
      if (wait_until == TimePoint::max()) {
        work_came_.wait(mutex_);
      } else {
        work_came_.wait_for(mutex_, wait_until - now);
      }
      continue;
    }
    Work work = collect(*queue, now);
    mutex_.unlock();
    work_came_.notify_one();  // one signal may have brought work for several executors

    drop_all(work.gone, ErrorCode::kCancelled, "the client went away");
    drop_all(work.late, ErrorCode::kDeadlineExceeded,
             "the request waited until its deadline could not be met any more");
    const std::size_t tasks = work.batch.size();
    Duration elapsed{};
    if (tasks > 0) {
      began.store(now.time_since_epoch().count(), std::memory_order_relaxed);
      queue->run_(std::move(work.batch));
      began.store(0, std::memory_order_relaxed);
      elapsed = clock_.now() - now;
    }

    mutex_.lock();
    finish(work, tasks, elapsed);
    if (queue->closed_) {
      batch_ended_.notify_all();
    }
  }
  mutex_.unlock();
}

}  // namespace podsense::batching
