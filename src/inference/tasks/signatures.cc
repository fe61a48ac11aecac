#include "inference/tasks/signatures.h"

#include <algorithm>
#include <utility>

#include "inference/served_model.h"

namespace podsense::inference {

using model::TensorInfo;

std::string shape_text(const TensorInfo& tensor) {
  return std::string(data_type_name(tensor.type)) + ' ' + model::shape_text(tensor.shape);
}

std::string inputs_text(const model::Signature& signature) {
  return signature.inputs.size() == 1 ? "is " + shape_text(signature.inputs[0])
                                      : "are " + std::to_string(signature.inputs.size());
}

tl::unexpected<Error> unfit(std::string what) {
  return fail(ErrorCode::kInvalidArgument, std::move(what));
}

namespace {

template <class Wanted>
std::optional<std::size_t> first(const std::vector<TensorInfo>& outputs, const Wanted& wanted) {
  const auto at = std::ranges::find_if(outputs, wanted);
  return at == outputs.end() ? std::nullopt
                             : std::optional(static_cast<std::size_t>(at - outputs.begin()));
}

}  // namespace

std::optional<std::size_t> score_output(const std::vector<TensorInfo>& outputs, std::int64_t least,
                                        DataType type) {
  return first(outputs, [&](const TensorInfo& o) {
    return o.type == type && o.shape.size() == 2 && (o.shape[1] >= least || o.shape[1] < 0);
  });
}

std::optional<std::size_t> class_output(const std::vector<TensorInfo>& outputs, DataType type) {
  return first(outputs, [&](const TensorInfo& o) {
    return o.type == type && (o.shape.size() == 1 || (o.shape.size() == 2 && o.shape[1] == 1));
  });
}

Result<void> take_labels(const model::Model& model, std::size_t classes, ModelTask& task) {
  const auto& own = model.manifest().labels;
  task.labels = own.empty() ? model.signature().file_labels : own;
  if (task.labels.empty() || classes == 0 || task.labels.size() == classes) {
    return {};
  }
  const std::string counts = "there are " + std::to_string(task.labels.size()) + " labels for " +
                             std::to_string(classes) + " classes";
  if (!own.empty()) {
    return unfit(counts);
  }
  // Other tools use this metadata name for other data.
  task.warnings.push_back(counts + " in the file's metadata 'labels', which is ignored");
  task.labels.clear();
  return {};
}

bool divides(const ServedModel& served, const model::TensorView& output, std::size_t rows,
             std::size_t requests) {
  if (requests == 1 ||
      (!output.shape.empty() && output.shape.front() == static_cast<std::int64_t>(rows))) {
    return true;
  }
  served.end_stacking("a run of " + std::to_string(rows) + " rows gave another number of answers");
  return false;
}

}  // namespace podsense::inference
