#include "inference/tasks/rows.h"

namespace podsense::inference {

Result<void> RowsModelBase::take_rows(const model::Model& model) {
  auto inputs = RowInputs::of(model.signature());
  if (!inputs) {
    return unfit(
        "'task: " + std::string(kind().name()) +
        "' needs one input of [N, features], or inputs of [N, 1] for a column each; there " +
        inputs_text(model.signature()));
  }
  inputs_ = std::move(*inputs);
  features = inputs_.columns();
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

Result<void> run_packed(const ServedModel& served, const RowInputs& inputs,
                        std::span<batching::TaskPtr> batch, std::optional<std::size_t> only,
                        std::size_t rows, model::Outputs& outputs, const std::stop_token& stop) {
  const auto& first = static_cast<const RowsTask&>(*batch[0]).inputs;
  std::vector<std::vector<std::byte>> joined(batch.size() > 1 ? first.size() : 0);
  std::vector<std::vector<std::int64_t>> shapes;
  std::vector<model::TensorView> views;
  shapes.reserve(first.size());
  for (std::size_t i = 0; i < first.size(); ++i) {
    std::span<const std::byte> data = only ? first[i].row(*only) : std::span(first[i].data);
    if (!joined.empty()) {
      for (const batching::TaskPtr& task : batch) {
        const auto& more = static_cast<const RowsTask&>(*task).inputs[i].data;
        joined[i].insert(joined[i].end(), more.begin(), more.end());
      }
      data = joined[i];
    }
    shapes.push_back(inputs.shape(i, rows));
    views.push_back({.type = inputs.type(i), .shape = shapes.back(), .data = data});
  }
  return served.model->run(views, outputs, stop).and_then([&] { return outputs.read_texts(); });
}

model::Outputs& row_outputs() {
  thread_local model::Outputs outputs;
  return outputs;
}

Result<void> run_once(const ServedModel& served, std::span<const float> values, std::size_t rows,
                      model::Outputs& outputs, const std::stop_token& stop) {
  const std::array<std::int64_t, 2> shape{static_cast<std::int64_t>(rows),
                                          static_cast<std::int64_t>(values.size() / rows)};
  const model::TensorView input{
      .type = DataType::kFp32, .shape = shape, .data = std::as_bytes(values)};
  return served.model->run({&input, 1}, outputs, stop).and_then([&] {
    return outputs.read_texts();
  });
}

}  // namespace podsense::inference
