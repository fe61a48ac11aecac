#include "model/onnx_tensors.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <string>
#include <utility>

namespace podsense::model {
namespace {

/// At most this many elements are asked for by one tensor: keeps every product in 64 bits.
constexpr std::uint64_t kMaxElements = std::uint64_t{1} << 40U;

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

std::string shape_text(std::span<const std::int64_t> shape) {
  std::string out = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    out += i == 0 ? "" : ", ";
    out += shape[i] < 0 ? "N" : std::to_string(shape[i]);
  }
  return out + "]";
}

Error misfit(const TensorInfo& info, std::string what) {
  return {ErrorCode::kInvalidArgument, "input '" + info.name + "' " + std::move(what), {}};
}

/// Elements of `shape`; nothing when it does not fit `info`.
std::optional<std::uint64_t> count_elements(const TensorInfo& info,
                                            std::span<const std::int64_t> shape) {
  if (shape.size() != info.shape.size() && !info.any_rank) {
    return std::nullopt;
  }
  std::uint64_t count = 1;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const std::int64_t wanted = info.any_rank ? -1 : info.shape[i];
    if (shape[i] < 0 || (wanted >= 0 && shape[i] != wanted) ||
        static_cast<std::uint64_t>(shape[i]) > kMaxElements / std::max<std::uint64_t>(count, 1)) {
      return std::nullopt;
    }
    count *= static_cast<std::uint64_t>(shape[i]);
  }
  return count;
}

/// Whole texts, as many as the shape asks for.
Result<void> check_texts(const TensorInfo& info, const TensorView& view, std::uint64_t count) {
  std::uint64_t seen = 0;
  const bool whole = for_each_text(view.data, [&](std::string_view) { ++seen; });
  if (!whole || seen != count) {
    return fail(misfit(info, "of shape " + shape_text(view.shape) + " takes " +
                                 std::to_string(count) + " texts, each behind its length; got " +
                                 std::to_string(seen) + (whole ? "" : " and a part of one")));
  }
  return {};
}

/// The texts of a tensor, each behind its length. Null where all is well.
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
  const Status status(raw);
  return {ErrorCode::kInternal, "the model could not be run",
          Ort::GetApi().GetErrorMessage(status.get())};
}

Result<void> check_shape(const TensorInfo& info, DataType type,
                         std::span<const std::int64_t> shape) {
  if (type != info.type) {
    return fail(misfit(info, "must be " + std::string(data_type_name(info.type)) + ", not " +
                                 std::string(data_type_name(type))));
  }
  if (!count_elements(info, shape)) {
    return fail(misfit(info, "must have shape " + shape_text(info.shape) +
                                 " (N: any length), not " + shape_text(shape)));
  }
  return {};
}

Result<void> check_input(const TensorInfo& info, const TensorView& view) {
  if (auto fine = check_shape(info, view.type, view.shape); !fine) {
    return fine;
  }
  const std::uint64_t count = *count_elements(info, view.shape);
  if (info.type == DataType::kBytes) {
    return check_texts(info, view, count);
  }
  const std::uint64_t bytes = count * element_size(info.type);
  if (view.data.size() != bytes) {
    return fail(misfit(info, "of shape " + shape_text(view.shape) + " takes " +
                                 std::to_string(bytes) + " bytes, not " +
                                 std::to_string(view.data.size())));
  }
  // Kernels read these as C++ bools, for which other bytes have no meaning.
  if (info.type == DataType::kBool &&
      std::ranges::any_of(view.data, [](std::byte b) { return b > std::byte{1}; })) {
    return fail(misfit(info, "must hold only 0 and 1"));
  }
  return {};
}

bool is_aligned(const TensorView& view) {
  return reinterpret_cast<std::uintptr_t>(view.data.data()) % element_size(view.type) == 0;
}

bool overlap(std::span<const std::byte> a, std::span<const std::byte> b) {
  const std::less<const std::byte*> before;  // also orders what lies in different objects
  return !a.empty() && !b.empty() && before(a.data(), b.data() + b.size()) &&
         before(b.data(), a.data() + a.size());
}

OrtStatus* make_texts(const TensorView& view, Value& made) {
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

OrtStatus* describe(Outputs::Impl::Made& made) {
  const OrtApi& api = Ort::GetApi();
  OrtTensorTypeAndShapeInfo* raw = nullptr;
  if (OrtStatus* failed = api.GetTensorTypeAndShape(made.value.get(), &raw)) {
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
  made.shape.resize(rank);
  if (OrtStatus* failed = api.GetDimensions(raw, made.shape.data(), rank)) {
    return failed;
  }
  made.type = our_type(type).value_or(DataType::kBytes);
  made.data = {};
  std::size_t bytes = element_size(made.type);
  if (bytes == 0) {
    return nullptr;
  }
  for (const std::int64_t dimension : made.shape) {
    bytes *= static_cast<std::size_t>(dimension);
  }
  void* data = nullptr;
  OrtStatus* failed = api.GetTensorMutableData(made.value.get(), &data);
  made.data = {static_cast<const std::byte*>(data), failed == nullptr ? bytes : 0};
  return failed;
}

Outputs::Outputs() : impl_(std::make_unique<Impl>()) {}
Outputs::~Outputs() = default;
Outputs::Outputs(Outputs&&) noexcept = default;
Outputs& Outputs::operator=(Outputs&&) noexcept = default;

std::size_t Outputs::size() const {
  return impl_->size;
}

Result<void> Outputs::read_texts() {
  for (Impl::Made& made : std::span(impl_->made).first(impl_->size)) {
    if (made.type != DataType::kBytes) {
      continue;
    }
    std::size_t count = 1;
    for (const std::int64_t dimension : made.shape) {
      count *= static_cast<std::size_t>(dimension);
    }
    if (OrtStatus* failed = copy_texts(made.value.get(), count, made.copied)) {
      return fail(internal_error(failed));
    }
    made.data = made.copied;
  }
  return {};
}

TensorView Outputs::operator[](std::size_t index) const {
  const Impl::Made& made = impl_->made[index];
  return {made.type, made.shape, made.data};
}

}  // namespace podsense::model
