#pragma once

/// A request in a model's queue, with its measurements and the destination of its answer.

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>

#include "batching/scheduler.h"
#include "inference/context.h"
#include "inference/served_model.h"
#include "protocol/messages.h"
#include "protocol/tensor.h"

namespace podsense::inference {

/// A queued request. Keeps its model version alive until it is answered.
class RequestTask : public batching::Task {
 public:
  /// kTask: a request of the model's task. Models of any task also accept plain tensors (kTensor).
  enum class Kind { kTask, kTensor };

  RequestTask(std::shared_ptr<const ServedModel> served, const Context& context)
      : served_(std::move(served)), context_(context) {
    const auto& own = served_->model->manifest().timeout;
    deadline = own ? std::min(context.deadline, Deadline::after(context.received, *own))
                   : context.deadline;
    client = context.client.empty() ? 0 : std::hash<std::string>()(context.client);
  }
  [[nodiscard]] bool abandoned() const override { return context_.abandoned(); }
  [[nodiscard]] const Context& context() const { return context_; }
  [[nodiscard]] const std::shared_ptr<const ServedModel>& served() const { return served_; }

  /// Fills the common fields of an answer and counts the phases.
  void fill_head(protocol::AnswerHead& head, TimePoint now) const;

  /// Adds the model and what happened until `now` to the request's trace.
  void trace_parts(TimePoint now) const;

  std::optional<Duration> fetch;
  std::optional<Duration> preprocess;
  std::optional<Duration> compute;
  TimePoint preprocessed;  ///< when preprocessing ended
  Kind kind = Kind::kTask;

 protected:
  std::shared_ptr<const ServedModel> served_;
  Context context_;
};

/// Counts a request that ends now without an answer.
inline void count_failed(const ServedModel& served, const Context& context, ErrorCode code,
                         TimePoint now) {
  const Ending end = context.ending(code, now);
  served.metrics->failed(context.protocol, end.code, end.elapsed);
}

/// Runs a batch of tasks and answers each of them.
/// @param stop cancels runs of the model; unanswered tasks then get kCancelled, or
/// kDeadlineExceeded after their deadline
/// @threads executor, or any for an inline model
void run_batch(const ServedModel& served, const Clock& clock, std::span<batching::TaskPtr> batch,
               const std::stop_token& stop = {});

/// @errors kInvalidArgument: inputs or outputs do not match the model; `done` is then unchanged
Result<std::unique_ptr<RequestTask>> make_task(std::shared_ptr<const ServedModel> served,
                                               const Context& context,
                                               protocol::InferRequest request,
                                               Done<protocol::InferAnswer>& done);

}  // namespace podsense::inference
