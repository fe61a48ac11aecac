#pragma once

/// Tensors between us and ONNX Runtime: element types, what an input must be, and what a run made.
/// Private to this module.

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

/// Nothing for types that are not served.
std::optional<DataType> our_type(ONNXTensorElementDataType type);
ONNXTensorElementDataType ort_type(DataType type);

/// Frees what a failed step leaves. Holds a C handle of ONNX Runtime.
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

/// Takes `raw`, which is not null. @errors kInternal, with ONNX Runtime's text as the detail
Error internal_error(OrtStatus* raw);

/// A new tensor of texts, copied from `view`. Null where all is well.
OrtStatus* make_texts(const TensorView& view, OrtValuePtr& made);

/// ONNX Runtime's values behind the outputs, and what the next run may use again with them.
class OwnedValues final : public Outputs::Owner {
 public:
  std::vector<OrtValuePtr> values;  ///< of the outputs; of an earlier run beyond their number

  std::uint64_t model = 0;  ///< OnnxModel's serial number; 0: nothing to use again
  std::vector<std::int64_t> input_shape;
  std::vector<std::byte> input;
  OrtValuePtr input_value;  ///< over `input`, made when it is first used again

  void clear() override;
  Result<void> read_texts(std::span<Outputs::Tensor> tensors) override;
};

/// Fills in type, shape and data of what `value` holds. Null where all is well.
OrtStatus* describe(OrtValue* value, Outputs::Tensor& tensor);

}  // namespace podsense::onnx
