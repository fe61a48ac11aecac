#pragma once

/// What all kinds of requests have in common while they wait and when they end. Private to this
/// module.

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
    return [served = served_, received = context_.received, protocol = context_.protocol,
            trace = context_.trace, done = std::move(done_)]() mutable {
      if (trace) {
        trace->set_model(served->name(), served->version);
      }
      served->metrics->failed(protocol, ErrorCode::kDeadlineExceeded,
                              served->clock->now() - received);
      done(fail(deadline_error()));
    };
  }

  /// Does nothing for one that was answered at its deadline.
  void finish(Result<Answer> answer, TimePoint now) {
    if (!claim()) {
      return;
    }
    if (!answer && answer.error().code == ErrorCode::kCancelled && deadline.passed(now)) {
      answer = fail(deadline_error());  // its run was cancelled a moment before the timer came
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
    } else if (answer) {
      // Nobody reads it.
      metrics.failed(context_.protocol, ErrorCode::kCancelled, now - context_.received);
    } else {
      metrics.failed(context_.protocol, answer.error().code, now - context_.received);
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
