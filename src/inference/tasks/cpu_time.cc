#include "inference/tasks/cpu_time.h"

#include <array>
#include <chrono>

#include "inference/tasks/kinds.h"
#include "inference/tasks/signatures.h"

namespace podsense::inference {
namespace {

using batching::TaskPtr;
using Milliseconds = std::chrono::duration<double, std::milli>;

class CpuTime final : public ModelTask {
 public:
  using ModelTask::ModelTask;

  [[nodiscard]] bool run(const ServedModel& served, const Clock& clock, std::span<TaskPtr>& batch,
                         const std::stop_token& stop) const override {
    static constexpr std::array<std::int64_t, 1> kOne{1};
    thread_local model::Outputs outputs;
    for (TaskPtr& owned : batch) {
      auto& task = static_cast<CpuTimeTask&>(*owned);
      const TimePoint begin = clock.now();
      const double wanted = std::chrono::duration_cast<Milliseconds>(task.cpu).count();
      const model::TensorView input{
          .type = DataType::kFp64, .shape = kOne, .data = std::as_bytes(std::span(&wanted, 1))};
      const auto run = served.model->run({&input, 1}, outputs, stop);
      const TimePoint end = clock.now();
      if (!run) {
        task.finish(fail(run.error()), end);
        continue;
      }
      protocol::SimulateAnswer answer;
      answer.cpu = std::chrono::round<Duration>(Milliseconds(elements<double>(outputs[0]).front()));
      task.compute = end - begin;
      served.metrics->computed(end - begin, 1);
      task.finish(std::move(answer), end);
    }
    return true;
  }
};

/// Whether `tensor` has this name and holds one number [1], milliseconds.
bool is_number(const model::TensorInfo& tensor, std::string_view name) {
  return tensor.name == name && tensor.type == DataType::kFp64 &&
         tensor.shape == std::vector<std::int64_t>{1};
}

/// For models that burn the requested CPU time, recognised by their signature.
class Kind final : public TaskKind {
 public:
  using TaskKind::TaskKind;
  [[nodiscard]] bool looks_like(const model::Model& model,
                                std::vector<std::string>& /*warnings*/) const override {
    const model::Signature& signature = model.signature();
    return signature.inputs.size() == 1 && signature.outputs.size() == 1 &&
           is_number(signature.inputs[0], "cpu_ms") && is_number(signature.outputs[0], "burned_ms");
  }
  [[nodiscard]] Result<std::unique_ptr<ModelTask>> fit(const model::Model& model) const override {
    std::vector<std::string> warnings;
    if (!looks_like(model, warnings)) {
      return unfit("'task: simulated' goes with a model without a model.onnx");
    }
    return std::make_unique<CpuTime>(*this);
  }
};

}  // namespace

const TaskKind& cpu_time() {
  static const Kind kKind("simulated", Form::kCpuTime, "/infer");
  return kKind;
}

}  // namespace podsense::inference
