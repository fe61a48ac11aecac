#include "batching/deadline_timer.h"

#include <utility>
#include <vector>

#include "base/crash.h"

namespace podsense::batching {

bool Task::claim() {
  return timer_ == nullptr || std::exchange(timer_, nullptr)->claim(*this);
}

DeadlineTimer::DeadlineTimer(const Clock& clock, std::function<void()> after_answers)
    : clock_(clock), after_answers_(std::move(after_answers)), thread_([this] { work(); }) {}

DeadlineTimer::~DeadlineTimer() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
}

void DeadlineTimer::watch(Task& task) {
  if (!task.deadline.reachable()) {
    return;
  }
  const TimePoint at = task.deadline.at();
  task.timer_ = this;
  bool earlier = false;
  {
    const MutexLock lock(mutex_);
    // Most tasks arrive in the order of their deadlines.
    task.place_ = watched_.emplace_hint(watched_.end(), at, &task);
    earlier = at < wakes_at_;
  }
  if (earlier) {
    changed_.notify_one();
  }
}

void DeadlineTimer::forget(Task& task) {
  if (task.timer_ != nullptr) {
    static_cast<void>(task.claim());
  }
}

bool DeadlineTimer::claim(Task& task) {
  const MutexLock lock(mutex_);
  if (!task.place_) {
    return false;
  }
  watched_.erase(*std::exchange(task.place_, std::nullopt));
  return true;
}

void DeadlineTimer::work() {
  const crash::Thread me("deadlines");
  std::vector<Task::DeadlineAnswer> answers;
  mutex_.lock();
  while (!stopping_) {
    const TimePoint now = clock_.now();
    while (!watched_.empty() && watched_.begin()->first <= now) {
      Task& task = *watched_.begin()->second;
      // Called under the lock, while the task exists; the returned function may outlive it.
      answers.push_back(task.answer_at_deadline());
      task.place_.reset();
      watched_.erase(watched_.begin());
    }
    if (!answers.empty()) {
      mutex_.unlock();
      for (Task::DeadlineAnswer& answer : answers) {
        if (answer) {
          answer();
        }
      }
      answers.clear();
      after_answers_();
      mutex_.lock();
      continue;
    }
    if (watched_.empty()) {
      wakes_at_ = TimePoint::max();
      changed_.wait(mutex_);
    } else {
      wakes_at_ = watched_.begin()->first;
      changed_.wait_for(mutex_, wakes_at_ - now);
    }
  }
  mutex_.unlock();
}

}  // namespace podsense::batching
