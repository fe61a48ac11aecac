#pragma once

/// Tensor requests and answers of the Open Inference Protocol as plain values, whatever codec they
/// came by: JSON, JSON with binary data, or protobuf. All three leave the same values here.
/// @source Open Inference Protocol v2 with the extensions classification, binary tensor data,
///         schedule policy and statistics

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/data_type.h"
#include "protocol/messages.h"

namespace podsense::protocol {

/// Elements that a shape asks for; nothing for a negative dimension or a product over 2^40.
constexpr std::optional<std::uint64_t> element_count(std::span<const std::int64_t> shape) {
  std::uint64_t count = 1;
  for (const std::int64_t dimension : shape) {
    constexpr std::uint64_t kMost = std::uint64_t{1} << 40U;
    if (dimension < 0 || (count != 0 && static_cast<std::uint64_t>(dimension) > kMost / count)) {
      return std::nullopt;
    }
    count *= static_cast<std::uint64_t>(dimension);
  }
  return count;
}

/// `data` is packed as base/data_type.h says and fits type and shape: codecs check that, and that
/// BOOL holds only 0 and 1 and BYTES has as many whole elements as the shape asks for.
struct InputTensor {
  std::string name;
  DataType type = DataType::kFp32;
  std::vector<std::int64_t> shape;  ///< no dimension below 0
  /// Borrowed: from `storage`, or from the message that InferRequest::owner keeps alive.
  std::span<const std::byte> data;
  /// What a codec had to convert. A pointer, so that `data` holds when the tensor is moved.
  std::unique_ptr<std::byte[]> storage;
};

struct RequestedOutput {
  std::string name;
  /// Above 0: not the tensor but its best so many classes, as texts "score:index:label".
  std::uint32_t classification = 0;
  std::optional<bool> binary_data;  ///< unset: InferRequest::binary_data_output
};

struct InferRequest {
  ModelRef model;  ///< name not empty
  std::string id;  ///< echoed
  std::vector<InputTensor> inputs;
  std::vector<RequestedOutput> outputs;  ///< empty: all of the model's
  bool binary_data_output = false;       ///< REST: outputs come as binary data unless they say else
  /// The client's own limit (the `timeout` parameter, in microseconds); narrows the deadline.
  std::optional<Duration> timeout;
  std::uint64_t priority = 0;         ///< 1 is the highest; 0: the model's default
  std::shared_ptr<const void> owner;  ///< keeps alive what the inputs borrow
};

struct OutputTensor {
  std::string_view name;  ///< borrowed from AnswerHead::owner
  DataType type = DataType::kFp32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> data;  ///< borrowed from InferAnswer::storage
  std::optional<bool> binary_data;  ///< as the request had it
};

struct InferAnswer : AnswerHead {
  std::string id;
  std::vector<OutputTensor> outputs;  ///< in the order asked for, else the model's
  bool binary_data_output = false;    ///< as the request had it
  std::shared_ptr<const void> storage;
};

/// What a model version has done since it was first loaded, as the statistics extension reports it.
struct ModelStatistics {
  struct Phase {
    std::uint64_t count = 0;
    Duration total{};
  };
  std::string name;
  std::string version;
  std::uint64_t last_inference_ms = 0;  ///< Unix time; 0: none yet
  std::uint64_t inference_count = 0;    ///< rows that were run
  std::uint64_t execution_count = 0;    ///< runs
  Phase success;                        ///< whole requests
  Phase fail;                           ///< only counted: total stays 0
  Phase queue;
  Phase compute_input;  ///< decoding and resizing
  Phase compute_infer;  ///< runs

  /// The runs of one size. That many phases were counted; outputs take none.
  struct Batch {
    std::uint64_t size = 0;  ///< rows of each
    std::uint64_t runs = 0;
    Duration compute_input{};
    Duration compute_infer{};
  };
  std::vector<Batch> batches;  ///< by size
};

}  // namespace podsense::protocol
