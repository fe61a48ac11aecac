#pragma once

/// Converts tensors to and from ONNX Runtime. Private to this module.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/data_type.h"
#include "base/error.h"
#include "model/model.h"
#include "onnx/ort.h"

namespace podsense::onnx {

/// Nothing: the type is not supported.
std::optional<DataType> our_type(ONNXTensorElementDataType type);
ONNXTensorElementDataType ort_type(DataType type);

/// Deleters for C handles of ONNX Runtime.
struct StatusRelease {
  void operator()(OrtStatus* status) const { Ort::GetApi().ReleaseStatus(status); }
};
using OrtStatusPtr = std::unique_ptr<OrtStatus, StatusRelease>;
struct InfoRelease {
  void operator()(OrtTensorTypeAndShapeInfo* info) const {
    Ort::GetApi().ReleaseTensorTypeAndShapeInfo(info);
  }
};
struct ValueRelease {
  void operator()(OrtValue* value) const { Ort::GetApi().ReleaseValue(value); }
};
using OrtValuePtr = std::unique_ptr<OrtValue, ValueRelease>;

/// Takes ownership of `raw`, which must not be null. @errors kInternal, with ONNX Runtime's text as
/// the detail
Error internal_error(OrtStatus* raw);

/// Creates a text tensor with a copy of `view`. Null: success.
OrtStatus* make_texts(const TensorView& view, OrtValuePtr& made);

/// ONNX Runtime's values that own the outputs' memory, and data that the next run may reuse.
class OwnedValues final : public Outputs::Owner {
 public:
  std::vector<OrtValuePtr> values;  ///< of the outputs; further ones are from earlier runs

  std::uint64_t model = 0;  ///< OnnxModel's serial number; 0: nothing to reuse
  std::vector<std::int64_t> input_shape;
  std::vector<std::byte> input;
  OrtValuePtr input_value;  ///< refers to `input`; created at the first reuse

  void clear() override;
  Result<void> read_texts(std::span<Outputs::Tensor> tensors) override;
};

/// Fills type, shape and data from `value`. Null: success.
OrtStatus* describe(OrtValue* value, Outputs::Tensor& tensor);

}  // namespace podsense::onnx
