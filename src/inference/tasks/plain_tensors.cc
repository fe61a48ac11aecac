#include "inference/tasks/kinds.h"
#include "inference/tasks/signatures.h"

namespace podsense::inference {
namespace {

/// For models that only take plain tensors, which models of every task take; tensor_task.h runs
/// them.
class PlainTensors final : public ModelTask {
 public:
  using ModelTask::ModelTask;
  [[nodiscard]] bool run(const ServedModel& /*served*/, const Clock& /*clock*/,
                         std::span<batching::TaskPtr>& /*batch*/,
                         const std::stop_token& /*stop*/) const override {
    return true;
  }
};

class Kind final : public TaskKind {
 public:
  using TaskKind::TaskKind;
  [[nodiscard]] Result<std::unique_ptr<ModelTask>> fit(const model::Model& model) const override {
    auto task = std::make_unique<PlainTensors>(*this);
    if (auto done = take_labels(model, 0, *task); !done) {
      return fail(std::move(done.error()));
    }
    return task;
  }
};

}  // namespace

const TaskKind& plain_tensors() {
  static const Kind kKind("tensor", Form::kTensors, "/v2/models/{model}/infer");
  return kKind;
}

}  // namespace podsense::inference
