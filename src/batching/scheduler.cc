#include "batching/scheduler.h"

#include <algorithm>
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
    : scheduler_(scheduler), options_(options), run_(std::move(run)), service_(options.service) {
  const MutexLock lock(scheduler_.mutex_);
  // A newcomer starts level with the least served, not with a claim on all the past.
  bool first = true;
  for (const Queue* other : scheduler_.queues_) {
    consumed_ = first ? other->consumed_ : std::min(consumed_, other->consumed_);
    first = false;
  }
  scheduler_.queues_.push_back(this);
}

Queue::~Queue() {
  std::vector<TaskPtr> left;
  {
    const MutexLock lock(scheduler_.mutex_);
    closed_ = true;
    for (TaskPtr& task : waiting_) {
      left.push_back(std::move(task));
    }
    waiting_.clear();
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
    return fail(ErrorCode::kDeadlineExceeded, "the deadline passed before the request was queued");
  }
  if (task->cost > task->deadline.left(now)) {
    return fail(ErrorCode::kDeadlineExceeded,
                "the work asked for takes longer than the deadline allows");
  }
  {
    const MutexLock lock(scheduler_.mutex_);
    const Profile profile = scheduler_.profile_of(*this);
    const QueueState state = scheduler_.state_of(*this);
    const Duration cost = task->cost == Duration::zero() ? profile.service : task->cost;
    Admission admission = admit(now, state, profile, task->deadline, cost);
    if (admission.admitted && waiting_.size() >= options_.max_waiting) {
      admission = {.admitted = false, .retry_after = expected_wait(state, profile)};
    }
    if (!admission.admitted) {
      Error error{.code = ErrorCode::kOverloaded,
                  .message =
                      "the queue is too long to answer within the deadline; ask again later "
                      "or elsewhere"};
      error.retry_after = std::chrono::ceil<std::chrono::milliseconds>(admission.retry_after);
      return fail(std::move(error));
    }
    task->enqueued = now;
    waiting_.push_back(std::move(task));
  }
  scheduler_.work_came_.notify_one();
  return {};
}

Queue::Load Queue::load() const {
  const MutexLock lock(scheduler_.mutex_);
  return {.waiting = waiting_.size(),
          .running = running_tasks_,
          .expected_wait = expected_wait(scheduler_.state_of(*this), scheduler_.profile_of(*this)),
          .service = service_};
}

Scheduler::Scheduler(Options options, const Clock& clock) : clock_(clock) {
  for (unsigned i = 0; i < std::max(1U, options.executors); ++i) {
    threads_.emplace_back([this] { work(); });
  }
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
  for (std::jthread& thread : threads_) {
    if (thread.joinable()) {
      thread.join();
    }
  }
}

std::unique_ptr<Queue> Scheduler::add_queue(Queue::Options options, Queue::Run run) {
  return std::make_unique<Queue>(*this, options, std::move(run));
}

QueueState Scheduler::state_of(const Queue& queue) const {
  return {.waiting = queue.waiting_.size(),
          .running = queue.running_tasks_,
          .oldest = queue.waiting_.empty() ? TimePoint() : queue.waiting_.front()->enqueued};
}

Profile Scheduler::profile_of(const Queue& queue) const {
  return {.service = queue.service_,
          .max_batch = queue.options_.max_batch,
          .max_delay = queue.options_.max_delay,
          .executors = std::min<std::size_t>(queue.options_.instances, threads_.size())};
}

Queue* Scheduler::pick(TimePoint now, TimePoint& wait_until) {
  Queue* best = nullptr;
  wait_until = TimePoint::max();
  for (Queue* queue : queues_) {
    if (queue->closed_ || queue->running_batches_ >= queue->options_.instances) {
      continue;
    }
    const Take decision = take(now, state_of(*queue), profile_of(*queue));
    if (decision.tasks > 0) {
      if (best == nullptr || queue->consumed_ < best->consumed_) {
        best = queue;
      }
    } else if (!queue->waiting_.empty()) {
      wait_until = std::min(wait_until, decision.again);
    }
  }
  return best;
}

Scheduler::Work Scheduler::collect(Queue& queue, TimePoint now) {
  Work work{.queue = &queue};
  const std::size_t most = std::max<std::size_t>(1, queue.options_.max_batch);
  while (!queue.waiting_.empty() && work.batch.size() < most) {
    TaskPtr task = std::move(queue.waiting_.front());
    queue.waiting_.pop_front();
    if (task->abandoned()) {
      work.gone.push_back(std::move(task));
    } else if (task->deadline.passed(now)) {
      work.late.push_back(std::move(task));
    } else {
      task->started = now;
      work.batch.push_back(std::move(task));
    }
  }
  queue.running_tasks_ += work.batch.size();
  ++queue.running_batches_;
  return work;
}

void Scheduler::finish(Queue& queue, std::size_t tasks, Duration elapsed) {
  queue.running_tasks_ -= tasks;
  --queue.running_batches_;
  queue.consumed_ += elapsed;
  if (tasks > 0) {
    queue.service_ = follow(queue.service_, elapsed / static_cast<Duration::rep>(tasks));
  }
}

void Scheduler::work() {
  mutex_.lock();
  while (!stopping_) {
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
             "the deadline passed while the request waited");
    const std::size_t tasks = work.batch.size();
    Duration elapsed{};
    if (tasks > 0) {
      queue->run_(std::move(work.batch));
      elapsed = clock_.now() - now;
      busy_.fetch_add(elapsed.count(), std::memory_order_relaxed);
    }

    mutex_.lock();
    finish(*queue, tasks, elapsed);
    if (queue->closed_) {
      batch_ended_.notify_all();
    }
  }
  mutex_.unlock();
}

}  // namespace podsense::batching
