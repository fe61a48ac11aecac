#pragma once

/// What kinds of tasks ask of a model's inputs and outputs. Private to this module.

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
/// "is FP32 [N, 20]" of a single input, "are 2" of several.
std::string inputs_text(const model::Signature& signature);

tl::unexpected<Error> unfit(std::string what);

/// The first output of `type` [rows, at least `least` columns or an open number of them].
std::optional<std::size_t> score_output(const std::vector<model::TensorInfo>& outputs,
                                        std::int64_t least, DataType type = DataType::kFp32);
/// The first output of `type` with one element a row.
std::optional<std::size_t> class_output(const std::vector<model::TensorInfo>& outputs,
                                        DataType type);

/// Takes the manifest's labels, else those of the file's metadata. `classes`: 0 where unknown.
/// @errors kInvalidArgument: the manifest has another number of them
Result<void> take_labels(const model::Model& model, std::size_t classes, ModelTask& task);

/// Elements of an output, which backends align for their type.
template <class T>
std::span<const T> elements(const model::TensorView& view) {
  return {static_cast<const T*>(static_cast<const void*>(view.data.data())),
          view.data.size() / sizeof(T)};
}

/// Whether `output` can be divided among `rows` rows; where several requests wait for theirs, their
/// model no longer shares runs if not.
bool divides(const ServedModel& served, const model::TensorView& output, std::size_t rows,
             std::size_t requests);

}  // namespace podsense::inference
