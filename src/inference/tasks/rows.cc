#include "inference/tasks/rows.h"

namespace podsense::inference {

Result<void> take_rows(const model::Model& model, ModelTask& task) {
  const model::Signature& signature = model.signature();
  if (signature.inputs.size() != 1 || !is_float(signature.inputs[0]) ||
      signature.inputs[0].shape.size() != 2 || signature.inputs[0].shape[1] <= 0) {
    return unfit("'task: " + std::string(task.kind().name()) +
                 "' needs one input of FP32 [N, features]; there " + inputs_text(signature));
  }
  task.features = static_cast<std::size_t>(signature.inputs[0].shape[1]);
  return {};
}

std::span<const float> joined_rows(std::span<batching::TaskPtr> batch) {
  thread_local std::vector<float> joined;
  if (batch.size() == 1) {
    return static_cast<const RowsTask&>(*batch[0]).request.values;
  }
  joined.clear();
  for (const batching::TaskPtr& task : batch) {
    const auto& more = static_cast<const RowsTask&>(*task).request.values;
    joined.insert(joined.end(), more.begin(), more.end());
  }
  return joined;
}

model::Outputs& row_outputs() {
  thread_local model::Outputs outputs;
  return outputs;
}

Result<void> run_once(const ServedModel& served, std::span<const float> values, std::size_t rows,
                      model::Outputs& outputs) {
  const std::array<std::int64_t, 2> shape{static_cast<std::int64_t>(rows),
                                          static_cast<std::int64_t>(values.size() / rows)};
  const model::TensorView input{
      .type = DataType::kFp32, .shape = shape, .data = std::as_bytes(values)};
  return served.model->run({&input, 1}, outputs).and_then([&] { return outputs.read_texts(); });
}

}  // namespace podsense::inference
