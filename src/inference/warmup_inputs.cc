#include "inference/warmup_inputs.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>

#include "base/small_file.h"
#include "protocol/oip_codec.h"

namespace podsense::inference {
namespace {

using Bytes = std::vector<std::byte>;

std::uint64_t machine_memory() {
  return static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
         static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

/// The size of an input in bytes, with empty texts.
/// @errors kUnavailable: no machine has that much
Result<std::size_t> size_of(const model::TensorInfo& input, std::span<const std::int64_t> shape) {
  // An empty text is only its length: four zero bytes.
  std::size_t bytes = input.type == DataType::kBytes ? 4 : element_size(input.type);
  for (const std::int64_t dimension : shape) {
    if (__builtin_mul_overflow(bytes, static_cast<std::size_t>(dimension), &bytes)) {
      bytes = SIZE_MAX;
      break;
    }
  }
  if (bytes > machine_memory()) {
    return fail(ErrorCode::kUnavailable,
                "one request's input '" + input.name + "' is larger than this machine's memory");
  }
  return bytes;
}

tl::unexpected<Error> wrong(const std::string& input, const std::string& what) {
  return fail(ErrorCode::kInvalidArgument, "warmup of input '" + input + "': " + what);
}

Result<Bytes> read_bytes(const std::filesystem::path& path, std::size_t most) {
  const auto text = read_regular_file(path, most);
  if (!text) {
    return fail(text.error());
  }
  const auto bytes = std::as_bytes(std::span(*text));
  return Bytes(bytes.begin(), bytes.end());
}

template <class T>
void fill(Bytes& out, const model::WarmupInput::Range& range, std::mt19937_64& random) {
  std::uniform_real_distribution<double> draw(range.least, range.most);
  for (std::size_t at = 0; at + sizeof(T) <= out.size(); at += sizeof(T)) {
    double number = draw(random);
    if constexpr (std::is_integral_v<T>) {
      constexpr auto kLeast = static_cast<double>(std::numeric_limits<T>::min());
      constexpr auto kMost = static_cast<double>(std::numeric_limits<T>::max());
      // The bound itself may round up to a value that the type cannot represent.
      number = std::min(std::clamp(std::round(number), kLeast, kMost), std::nextafter(kMost, 0.0));
    }
    const T value = static_cast<T>(number);
    std::memcpy(out.data() + at, &value, sizeof value);
  }
}

/// @errors kInvalidArgument: texts have no range
Result<void> fill(DataType type, Bytes& out, const model::WarmupInput::Range& range) {
  std::mt19937_64 random(1);  // NOLINT(bugprone-random-generator-seed): same values at every start
  switch (type) {
    case DataType::kBool:
      for (std::byte& byte : out) {
        byte = static_cast<std::byte>(random() % 2);
      }
      return {};
    case DataType::kUint8:
      return fill<std::uint8_t>(out, range, random), Result<void>();
    case DataType::kUint16:
      return fill<std::uint16_t>(out, range, random), Result<void>();
    case DataType::kUint32:
      return fill<std::uint32_t>(out, range, random), Result<void>();
    case DataType::kUint64:
      return fill<std::uint64_t>(out, range, random), Result<void>();
    case DataType::kInt8:
      return fill<std::int8_t>(out, range, random), Result<void>();
    case DataType::kInt16:
      return fill<std::int16_t>(out, range, random), Result<void>();
    case DataType::kInt32:
      return fill<std::int32_t>(out, range, random), Result<void>();
    case DataType::kInt64:
      return fill<std::int64_t>(out, range, random), Result<void>();
    case DataType::kFp32:
      return fill<float>(out, range, random), Result<void>();
    case DataType::kFp64:
      return fill<double>(out, range, random), Result<void>();
    case DataType::kFp16:
    case DataType::kBf16:
    case DataType::kBytes:
      break;
  }
  return fail(ErrorCode::kInvalidArgument,
              "a range is for types other than FP16, BF16 and BYTES; give a file");
}

/// The data of one input as the manifest defines it.
Result<Bytes> make_data(const model::TensorInfo& input, const model::WarmupInput& wanted,
                        std::span<const std::int64_t> shape) {
  const auto size = size_of(input, shape);
  if (!size) {
    return fail(size.error());
  }
  if (wanted.file.empty()) {
    Bytes data(*size);
    if (wanted.range) {
      if (auto filled = fill(input.type, data, *wanted.range); !filled) {
        return wrong(input.name, filled.error().message);
      }
    }
    return data;
  }
  const bool texts = input.type == DataType::kBytes;
  constexpr std::size_t kMostTexts = std::size_t{64} << 20U;
  auto data = read_bytes(wanted.file, texts ? kMostTexts : *size);
  if (!data) {
    return wrong(input.name, data.error().message);
  }
  if (!texts && data->size() != *size) {
    return wrong(input.name, "the file has " + std::to_string(data->size()) +
                                 " bytes, but type and shape ask for " + std::to_string(*size));
  }
  return data;
}

}  // namespace

Result<WarmupInputs> WarmupInputs::make(const model::Model& model, std::size_t rows,
                                        std::int64_t length) {
  const model::Signature& signature = model.signature();
  WarmupInputs out;
  auto taken = model.manifest().warmup_request.empty() ? out.take_manifest(model, length)
                                                       : out.take_request(model);
  if (taken && signature.batchable) {
    taken = out.repeat(signature, rows);
  }
  if (!taken) {
    return fail(std::move(taken.error()));
  }
  for (std::size_t i = 0; i < signature.inputs.size(); ++i) {
    out.views_.push_back(
        {.type = signature.inputs[i].type, .shape = out.shapes_[i], .data = out.data_[i]});
  }
  return out;
}

Result<void> WarmupInputs::take_request(const model::Model& model) {
  constexpr std::size_t kMostBytes = std::size_t{64} << 20U;
  auto text = read_regular_file(model.manifest().warmup_request, kMostBytes);
  auto request = text ? protocol::parse_oip_request(
                            {.bytes = std::make_shared<const std::string>(std::move(*text)),
                             .json_size = std::nullopt})
                      : Result<protocol::InferRequest>(fail(text.error()));
  if (!request) {
    return fail(ErrorCode::kInvalidArgument, "warmup.request: " + request.error().message);
  }
  for (const model::TensorInfo& input : model.signature().inputs) {
    const auto found = std::ranges::find(request->inputs, input.name, &protocol::InputTensor::name);
    if (found == request->inputs.end() || found->type != input.type) {
      return fail(ErrorCode::kInvalidArgument, "warmup.request: there is no input '" + input.name +
                                                   "' of type " +
                                                   std::string(data_type_name(input.type)));
    }
    shapes_.push_back(found->shape);
    data_.emplace_back(found->data.begin(), found->data.end());
  }
  return {};
}

Result<void> WarmupInputs::take_manifest(const model::Model& model, std::int64_t length) {
  const model::Signature& signature = model.signature();
  const auto& wanted = model.manifest().warmup_inputs;
  for (const auto& [name, input] : wanted) {
    if (std::ranges::find(signature.inputs, name, &model::TensorInfo::name) ==
        signature.inputs.end()) {
      return wrong(name, "the model has no such input");
    }
  }
  static const model::WarmupInput kZeros;
  for (const model::TensorInfo& input : signature.inputs) {
    const auto found = wanted.find(input.name);
    const model::WarmupInput& mine = found == wanted.end() ? kZeros : found->second;
    auto& shape = shapes_.emplace_back(mine.shape.empty() ? input.shape : mine.shape);
    for (std::size_t i = 0; i < shape.size(); ++i) {
      const bool is_rows = i == 0 && signature.batchable;
      open_lengths_ = open_lengths_ || (shape[i] < 0 && !is_rows);
      shape[i] = shape[i] >= 0 ? shape[i] : is_rows ? 1 : length;
    }
    auto data = make_data(input, mine, shape);
    if (!data) {
      return fail(std::move(data.error()));
    }
    data_.push_back(std::move(*data));
  }
  return {};
}

/// Repeats the rows from the first one until there are enough.
Result<void> WarmupInputs::repeat(const model::Signature& signature, std::size_t rows) {
  for (std::size_t i = 0; i < shapes_.size(); ++i) {
    const model::TensorInfo& input = signature.inputs[i];
    const std::size_t have = shapes_[i].empty() ? 0 : static_cast<std::size_t>(shapes_[i].front());
    if (have == rows) {
      continue;
    }
    const bool apart =
        have > 0 && data_[i].size() % have == 0 && (input.type != DataType::kBytes || have == 1);
    if (!apart) {
      return wrong(input.name, "its rows cannot be repeated");
    }
    const std::size_t bytes = data_[i].size() / have;
    auto shape = shapes_[i];
    shape.front() = static_cast<std::int64_t>(rows);
    if (const auto size = size_of(input, shape); !size) {
      return fail(size.error());
    }
    Bytes all(rows * bytes);
    for (std::size_t row = 0; row < rows && bytes > 0; ++row) {
      std::memcpy(all.data() + row * bytes, data_[i].data() + row % have * bytes, bytes);
    }
    data_[i] = std::move(all);
    shapes_[i] = std::move(shape);
  }
  return {};
}

}  // namespace podsense::inference
