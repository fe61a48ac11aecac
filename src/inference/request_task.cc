#include "inference/request_task.h"

#include <algorithm>
#include <span>

#include "base/crash.h"
#include "inference/tasks/task.h"
#include "inference/tensor_task.h"

namespace podsense::inference {
namespace {

using batching::TaskPtr;

/// Runs all tasks together if they may share a run; if not, or if that run failed, each alone.
void run_tasks(const ServedModel& served, const Clock& clock, std::span<TaskPtr> batch,
               const std::stop_token& stop) {
  const bool together = batch.size() == 1 || served.stacking->shared();
  if (together && served.task->run(served, clock, batch, stop)) {
    return;
  }
  for (TaskPtr& task : batch) {
    std::span<TaskPtr> alone(&task, 1);
    static_cast<void>(served.task->run(served, clock, alone, stop));
  }
}

}  // namespace

void RequestTask::fill_head(protocol::AnswerHead& head, TimePoint now) const {
  head.model = served_->name();
  head.version = served_->version;
  head.owner = served_;
  head.timing.fetch = fetch;
  if (started != TimePoint()) {
    head.timing.queue = started - enqueued;
    served_->metrics->queued(started - enqueued);
  }
  head.timing.preprocess = preprocess;
  head.timing.compute = compute;
  head.timing.total = now - context_.received;
}

void RequestTask::trace_parts(TimePoint now) const {
  if (!context_.trace) {
    return;
  }
  context_.trace->set_model(served_->name(), served_->version);
  if (started != TimePoint()) {
    context_.trace->add("queue", enqueued, started);
  }
  if (preprocess) {
    context_.trace->add("decode", preprocessed - *preprocess, preprocessed);
  }
  if (compute) {
    context_.trace->add("compute", now - *compute, now);
  }
}

void run_batch(const ServedModel& served, const Clock& clock, std::span<TaskPtr> batch,
               const std::stop_token& stop) {
  const crash::Work work(
      served.name(), static_cast<const RequestTask&>(*batch.front()).context().request_id.data());
  if (served.faults != nullptr) {
    if (const auto error = served.faults->before_run(served.name())) {
      for (TaskPtr& task : batch) {
        task->drop(*error);
      }
      return;
    }
  }
  const auto tensors = std::ranges::partition(batch, [](const TaskPtr& task) {
    return static_cast<const RequestTask&>(*task).kind == RequestTask::Kind::kTask;
  });
  if (!tensors.empty()) {
    run_tensors(served, clock, tensors, stop);
    batch = batch.first(batch.size() - tensors.size());
  }
  if (!batch.empty()) {
    run_tasks(served, clock, batch, stop);
  }
  const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
  served.last_inference_ms.store(
      static_cast<std::uint64_t>(
          std::chrono::duration_cast<std::chrono::milliseconds>(since_epoch).count()),
      std::memory_order_relaxed);
}

}  // namespace podsense::inference
