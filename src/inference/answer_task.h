#pragma once

/// The common base of all queued requests: waiting and answering. Private to this module.

#include <cstddef>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "inference/request_task.h"

namespace podsense::inference {

/// Ends a request: counts it, then hands the answer over.
template <class Answer>
class AnswerTask : public RequestTask {
 public:
  AnswerTask(std::shared_ptr<const ServedModel> served, const Context& context, Done<Answer> done)
      : RequestTask(std::move(served), context), done_(std::move(done)) {}

  void drop(Error error) override { finish(fail(std::move(error)), served_->clock->now()); }

  [[nodiscard]] DeadlineAnswer answer_at_deadline() override {
    return [served = served_, context = context_, done = std::move(done_)]() mutable {
      if (context.trace) {
        context.trace->set_model(served->name(), served->version);
      }
      count_failed(*served, context, ErrorCode::kDeadlineExceeded, served->clock->now());
      done(fail(deadline_error()));
    };
  }

  /// Does nothing if the request was already answered at its deadline.
  void finish(Result<Answer> answer, TimePoint now) {
    if (!claim()) {
      return;
    }
    if (!answer && answer.error().code == ErrorCode::kCancelled && deadline.passed(now)) {
      // Its run was cancelled just before the deadline timer fired.
      answer = fail(deadline_error());
    }
    metrics::ModelMetrics& metrics = *served_->metrics;
    unreceived = abandoned();
    trace_parts(now);
    if (answer) {
      fill_head(*answer, now);
    }
    if (answer && !abandoned()) {
      metrics.ok(context_.protocol, answer->timing.total,
                 trace::sampled_trace_id(context_.traceparent));
    } else {
      // An answer whose client has gone counts as cancelled.
      count_failed(*served_, context_, answer ? ErrorCode::kCancelled : answer.error().code, now);
    }
    std::exchange(done_, nullptr)(std::move(answer));
  }

 private:
  static Error deadline_error() {
    return {.code = ErrorCode::kDeadlineExceeded,
            .message = "the deadline passed before there was an answer"};
  }

  Done<Answer> done_;
};

template <class Task>
void fail_all(std::span<batching::TaskPtr> batch, const Error& error, TimePoint now) {
  for (batching::TaskPtr& task : batch) {
    static_cast<Task&>(*task).finish(fail(error), now);
  }
}

}  // namespace podsense::inference
