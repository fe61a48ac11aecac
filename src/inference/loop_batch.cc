#include "inference/loop_batch.h"

#include <utility>

#include "inference/request_task.h"
#include "inference/served_model.h"

namespace podsense::inference {

LoopBatch::LoopBatch(std::move_only_function<void()> at_end) : at_end_(std::move(at_end)) {}
LoopBatch::~LoopBatch() = default;

void LoopBatch::count() {
  if (!watched_ && (gathers_ || ++unwatched_ >= kWatchEvery)) {
    watched_ = true;
    unwatched_ = 0;
    brought_ = 0;
    at_end_();
  }
  ++brought_;
}

void LoopBatch::offer(const ServedModel& served, std::unique_ptr<RequestTask>& task) {
  const std::size_t most = served.shared_rows();
  if (most <= task->rows) {
    return;
  }
  count();
  if (!gathers_) {
    return;
  }
  ++size_;
  for (Group& group : groups_) {
    if (group.served == &served && group.rows + task->rows <= most) {
      group.rows += task->rows;
      group.tasks.push_back(std::move(task));
      return;
    }
  }
  Group& group = groups_.emplace_back(Group{.served = &served, .rows = task->rows, .tasks = {}});
  group.tasks.push_back(std::move(task));
}

void LoopBatch::end(const Clock& clock) {
  watched_ = false;
  lone_turns_ = brought_ > 1 ? 0 : lone_turns_ + 1;
  gathers_ = brought_ > 1 || (gathers_ && lone_turns_ < kLoneTurns);
  size_ = 0;
  auto groups = std::exchange(groups_, {});
  for (Group& group : groups) {
    const auto version = static_cast<const RequestTask&>(*group.tasks.front()).served();
    run_batch(*version, clock, group.tasks);
  }
}

}  // namespace podsense::inference
