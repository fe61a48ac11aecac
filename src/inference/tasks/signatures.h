#pragma once

/// Functions with which tasks check a model's inputs and outputs. Private to this module.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "inference/tasks/task.h"
#include "model/model.h"

namespace podsense::inference {

inline bool is_float(const model::TensorInfo& tensor) {
  return tensor.type == DataType::kFp32;
}

/// "FP32 [N, 20]"
std::string shape_text(const model::TensorInfo& tensor);
/// "is FP32 [N, 20]" for a single input, "are 2" for several.
std::string inputs_text(const model::Signature& signature);

tl::unexpected<Error> unfit(std::string what);

/// The first output of `type` with the shape [rows, at least `least` columns or dynamic].
std::optional<std::size_t> score_output(const std::vector<model::TensorInfo>& outputs,
                                        std::int64_t least, DataType type = DataType::kFp32);
/// The first output of `type` with one element per row.
std::optional<std::size_t> class_output(const std::vector<model::TensorInfo>& outputs,
                                        DataType type);

/// Sets the labels from the manifest, or else from the file's metadata. `classes`: 0 if unknown.
/// @errors kInvalidArgument: the manifest has a different number of labels
Result<void> take_labels(const model::Model& model, std::size_t classes, ModelTask& task);

/// The elements of an output; backends align them for their type.
template <class T>
std::span<const T> elements(const model::TensorView& view) {
  return {static_cast<const T*>(static_cast<const void*>(view.data.data())),
          view.data.size() / sizeof(T)};
}

/// Whether `output` can be split into `rows` rows. If not, and several requests share the run,
/// their model stops sharing runs.
bool divides(const ServedModel& served, const model::TensorView& output, std::size_t rows,
             std::size_t requests);

}  // namespace podsense::inference
