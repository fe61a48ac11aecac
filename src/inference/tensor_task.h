#pragma once

/// Requests with plain tensors. Private to this module.

#include <cstddef>
#include <span>
#include <vector>

#include "inference/answer_task.h"
#include "protocol/tensor.h"

namespace podsense::inference {

class TensorTask final : public AnswerTask<protocol::InferAnswer> {
 public:
  TensorTask(std::shared_ptr<const ServedModel> served, const Context& context,
             protocol::InferRequest wanted, Done<protocol::InferAnswer> done)
      : AnswerTask(std::move(served), context, std::move(done)), request(std::move(wanted)) {
    kind = Kind::kTensor;
    if (request.priority > 0) {
      priority = static_cast<std::uint32_t>(std::min<std::uint64_t>(request.priority, 1U << 16U));
    }
  }
  /// Inputs in the order of the model's signature.
  protocol::InferRequest request;
  /// The requested outputs, as indices into the signature's outputs.
  std::vector<std::size_t> outputs;
  bool has_rows = false;  ///< all inputs have `rows` rows, so the request can share a run
};

/// Sorts inputs into the signature's order and finds the requested outputs; changes nothing on an
/// error.
/// @errors kInvalidArgument: an unknown, missing or duplicate input or output, a different type or
/// shape, or classification of texts
Result<std::vector<std::size_t>> fit_to_signature(const ServedModel& served,
                                                  protocol::InferRequest& request);

/// Runs the tasks, which must all be of this kind. Tasks whose inputs differ only in their rows run
/// together.
void run_tensors(const ServedModel& served, const Clock& clock, std::span<batching::TaskPtr> batch,
                 const std::stop_token& stop);

}  // namespace podsense::inference
