#include "inference/warmup_inputs.h"

#include <unistd.h>

#include <string>
#include <utility>

namespace podsense::inference {
namespace {

std::uint64_t machine_memory() {
  return static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
         static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

/// @errors kUnavailable: no machine has that much
Result<std::size_t> bytes_of(const model::TensorInfo& input, std::span<const std::int64_t> shape) {
  // A text is its length alone: four zeros say that it is empty.
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

}  // namespace

Result<WarmupInputs> WarmupInputs::make(const model::Model& model, std::size_t rows,
                                        std::int64_t length) {
  const model::Signature& signature = model.signature();
  WarmupInputs out;
  for (const model::TensorInfo& input : signature.inputs) {
    auto& shape = out.shapes_.emplace_back(input.shape);
    for (std::size_t i = 0; i < shape.size(); ++i) {
      if (i == 0 && signature.batchable) {
        shape[i] = static_cast<std::int64_t>(rows);
      } else if (shape[i] < 0) {
        shape[i] = length;
        out.open_lengths_ = true;
      }
    }
    const auto bytes = bytes_of(input, shape);
    if (!bytes) {
      return fail(bytes.error());
    }
    out.data_.emplace_back(*bytes);
  }
  for (std::size_t i = 0; i < signature.inputs.size(); ++i) {
    out.views_.push_back(
        {.type = signature.inputs[i].type, .shape = out.shapes_[i], .data = out.data_[i]});
  }
  return out;
}

}  // namespace podsense::inference
