#include "onnx/onnx_tensors.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <string>
#include <utility>

namespace podsense::onnx {
namespace {

struct TypePair {
  ONNXTensorElementDataType ort;
  DataType ours;
};
constexpr std::array<TypePair, 14> kTypePairs{{
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, DataType::kFp32},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64, DataType::kInt64},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8, DataType::kUint8},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32, DataType::kInt32},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE, DataType::kFp64},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL, DataType::kBool},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8, DataType::kInt8},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16, DataType::kUint16},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16, DataType::kInt16},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32, DataType::kUint32},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64, DataType::kUint64},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16, DataType::kFp16},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16, DataType::kBf16},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING, DataType::kBytes},
}};

/// Copies the texts of a tensor, each after its length. Null: success.
OrtStatus* copy_texts(OrtValue* value, std::size_t count, std::vector<std::byte>& out) {
  const OrtApi& api = Ort::GetApi();
  std::size_t length = 0;
  if (OrtStatus* failed = api.GetStringTensorDataLength(value, &length)) {
    return failed;
  }
  std::vector<char> characters(length);
  std::vector<std::size_t> starts(count);
  if (OrtStatus* failed = api.GetStringTensorContent(value, characters.data(), length,
                                                     starts.data(), starts.size())) {
    return failed;
  }
  starts.push_back(length);
  out.resize(length + 4 * count);
  std::byte* to = out.data();
  for (std::size_t i = 0; i < count; ++i) {
    const auto size = static_cast<std::uint32_t>(starts[i + 1] - starts[i]);
    std::memcpy(to, &size, sizeof(size));
    if (size > 0) {
      std::memcpy(to + sizeof(size), characters.data() + starts[i], size);
    }
    to += sizeof(size) + size;
  }
  return nullptr;
}

}  // namespace

std::optional<DataType> our_type(ONNXTensorElementDataType type) {
  const auto at = std::ranges::find(kTypePairs, type, &TypePair::ort);
  return at == kTypePairs.end() ? std::nullopt : std::optional(at->ours);
}

ONNXTensorElementDataType ort_type(DataType type) {
  return std::ranges::find(kTypePairs, type, &TypePair::ours)->ort;
}

Error internal_error(OrtStatus* raw) {
  const OrtStatusPtr status(raw);
  return {ErrorCode::kInternal, "the model could not be run",
          Ort::GetApi().GetErrorMessage(status.get())};
}

OrtStatus* make_texts(const TensorView& view, OrtValuePtr& made) {
  const OrtApi& api = Ort::GetApi();
  OrtAllocator* allocator = nullptr;
  if (OrtStatus* failed = api.GetAllocatorWithDefaultOptions(&allocator)) {
    return failed;
  }
  OrtValue* raw = nullptr;
  if (OrtStatus* failed =
          api.CreateTensorAsOrtValue(allocator, view.shape.data(), view.shape.size(),
                                     ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING, &raw)) {
    return failed;
  }
  made.reset(raw);
  OrtStatus* failed = nullptr;
  std::size_t at = 0;
  for_each_text(view.data, [&](std::string_view text) {
    char* buffer = nullptr;
    if (failed == nullptr) {
      failed = api.GetResizedStringTensorElementBuffer(raw, at++, text.size(), &buffer);
    }
    if (failed == nullptr && !text.empty()) {
      std::memcpy(buffer, text.data(), text.size());
    }
  });
  return failed;
}

void OwnedValues::clear() {
  for (OrtValuePtr& value : values) {
    value.reset();
  }
  model = 0;
  input_value.reset();
}

Result<void> OwnedValues::read_texts(std::span<Outputs::Tensor> tensors) {
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    Outputs::Tensor& tensor = tensors[i];
    if (tensor.type != DataType::kBytes) {
      continue;
    }
    std::size_t count = 1;
    for (const std::int64_t dimension : tensor.shape) {
      count *= static_cast<std::size_t>(dimension);
    }
    if (OrtStatus* failed = copy_texts(values[i].get(), count, tensor.copied)) {
      return fail(internal_error(failed));
    }
    tensor.data = tensor.copied;
  }
  return {};
}

OrtStatus* describe(OrtValue* value, Outputs::Tensor& tensor) {
  const OrtApi& api = Ort::GetApi();
  OrtTensorTypeAndShapeInfo* raw = nullptr;
  if (OrtStatus* failed = api.GetTensorTypeAndShape(value, &raw)) {
    return failed;
  }
  const std::unique_ptr<OrtTensorTypeAndShapeInfo, InfoRelease> info(raw);
  ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  std::size_t rank = 0;
  if (OrtStatus* failed = api.GetTensorElementType(raw, &type)) {
    return failed;
  }
  if (OrtStatus* failed = api.GetDimensionsCount(raw, &rank)) {
    return failed;
  }
  tensor.shape.resize(rank);
  if (OrtStatus* failed = api.GetDimensions(raw, tensor.shape.data(), rank)) {
    return failed;
  }
  tensor.type = our_type(type).value_or(DataType::kBytes);
  tensor.data = {};
  std::size_t bytes = element_size(tensor.type);
  if (bytes == 0) {
    return nullptr;
  }
  for (const std::int64_t dimension : tensor.shape) {
    bytes *= static_cast<std::size_t>(dimension);
  }
  void* data = nullptr;
  OrtStatus* failed = api.GetTensorMutableData(value, &data);
  tensor.data = {static_cast<const std::byte*>(data), failed == nullptr ? bytes : 0};
  return failed;
}

}  // namespace podsense::onnx
