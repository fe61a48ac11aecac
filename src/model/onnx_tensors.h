#pragma once

/// Tensors between us and ONNX Runtime: element types, what an input must be, and what a run made.
/// Private to this room.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/data_type.h"
#include "base/error.h"
#include "model/model.h"
#include "model/ort.h"

namespace podsense::model {

/// Nothing for types that are not served.
std::optional<DataType> our_type(ONNXTensorElementDataType type);
ONNXTensorElementDataType ort_type(DataType type);

/// Frees what a failed step leaves. Holds a C handle of ONNX Runtime.
struct StatusRelease {
  void operator()(OrtStatus* status) const { Ort::GetApi().ReleaseStatus(status); }
};
using Status = std::unique_ptr<OrtStatus, StatusRelease>;
struct InfoRelease {
  void operator()(OrtTensorTypeAndShapeInfo* info) const {
    Ort::GetApi().ReleaseTensorTypeAndShapeInfo(info);
  }
};
struct ValueRelease {
  void operator()(OrtValue* value) const { Ort::GetApi().ReleaseValue(value); }
};
using Value = std::unique_ptr<OrtValue, ValueRelease>;

/// Takes `raw`, which is not null. @errors kInternal, with ONNX Runtime's text as the detail
Error internal_error(OrtStatus* raw);

/// @errors kInvalidArgument: as check_shape, or data that is not what type and shape ask for
Result<void> check_input(const TensorInfo& info, const TensorView& view);

/// Whether ONNX Runtime can read the data where it lies.
bool is_aligned(const TensorView& view);

/// A new tensor of texts, copied from `view`. Null where all is well.
OrtStatus* make_texts(const TensorView& view, Value& made);

struct Outputs::Impl {
  struct Made {
    Value value;
    DataType type = DataType::kFp32;
    std::vector<std::int64_t> shape;  // keeps its memory from run to run
    std::span<const std::byte> data;
    // What `data` views where it is not the value's own memory: texts once they were read, or the
    // copy of an output that shares memory with an input.
    std::vector<std::byte> copied;
  };
  std::vector<Made> made;
  std::size_t size = 0;  // of `made`, how many the last run filled

  // What the next run may use again, with the values in `made`.
  std::uint64_t model = 0;  // OnnxModel's serial number; 0: nothing
  std::vector<std::int64_t> input_shape;
  std::vector<std::byte> input;
  Value input_value;  // over `input`, made when it is first used again

  void clear() {
    for (Made& one : made) {
      one.value.reset();
    }
    size = 0;
    model = 0;
    input_value.reset();
  }
};

/// Whether the two have a byte in common.
bool overlap(std::span<const std::byte> a, std::span<const std::byte> b);

/// Fills in type, shape and data of `made.value`. Null where all is well.
OrtStatus* describe(Outputs::Impl::Made& made);

}  // namespace podsense::model
