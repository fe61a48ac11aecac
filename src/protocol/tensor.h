#pragma once

/// Tensor requests and answers of the Open Inference Protocol as plain values. All codecs (JSON,
/// JSON with binary data, protobuf) produce the same values.
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

/// The number of elements of a shape; nothing: a negative dimension, or over 2^40 elements.
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

/// `data` is packed as in base/data_type.h and fits type and shape. Codecs check that, and that
/// BOOL contains only 0 and 1 and BYTES has the right number of complete elements.
struct InputTensor {
  std::string name;
  DataType type = DataType::kFp32;
  std::vector<std::int64_t> shape;  ///< no negative dimensions
  /// Borrowed from `storage`, or from the message that InferRequest::owner keeps alive.
  std::span<const std::byte> data;
  /// Data that a codec had to convert. A pointer, so that `data` stays valid when the tensor is
  /// moved.
  std::unique_ptr<std::byte[]> storage;
};

struct RequestedOutput {
  std::string name;
  /// Above 0: return this many of the best classes as texts "score:index:label", instead of the
  /// tensor.
  std::uint32_t classification = 0;
  std::optional<bool> binary_data;  ///< unset: InferRequest::binary_data_output
};

struct InferRequest {
  ModelRef model;  ///< name not empty
  std::string id;  ///< echoed
  std::vector<InputTensor> inputs;
  std::vector<RequestedOutput> outputs;  ///< empty: all of the model's
  /// REST: the default for outputs that do not set binary_data
  bool binary_data_output = false;
  /// The client's time limit (the parameter `timeout`, microseconds); can only shorten the
  /// deadline.
  std::optional<Duration> timeout;
  std::uint64_t priority = 0;         ///< 1 is the highest; 0: the model's default
  std::shared_ptr<const void> owner;  ///< keeps the borrowed data of the inputs alive
};

struct OutputTensor {
  std::string_view name;  ///< borrowed from AnswerHead::owner
  DataType type = DataType::kFp32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> data;  ///< borrowed from InferAnswer::storage
  std::optional<bool> binary_data;  ///< as in the request
};

struct InferAnswer : AnswerHead {
  std::string id;
  std::vector<OutputTensor> outputs;  ///< in the requested order, else the model's
  bool binary_data_output = false;    ///< as in the request
  std::shared_ptr<const void> storage;
};

/// Statistics of a model version since it was first loaded, for the statistics extension.
struct ModelStatistics {
  struct Phase {
    std::uint64_t count = 0;
    Duration total{};
  };
  std::string name;
  std::string version;
  std::uint64_t last_inference_ms = 0;  ///< Unix time in ms; 0: none yet
  std::uint64_t inference_count = 0;    ///< executed rows
  std::uint64_t execution_count = 0;    ///< runs
  Phase success;                        ///< whole requests
  Phase fail;                           ///< only the count; total is always 0
  Phase queue;
  Phase compute_input;  ///< decoding and resizing
  Phase compute_infer;  ///< runs

  /// The runs with one number of rows. Input and infer phases are counted; output phases do not
  /// exist.
  struct Batch {
    std::uint64_t size = 0;  ///< rows of each
    std::uint64_t runs = 0;
    Duration compute_input{};
    Duration compute_infer{};
  };
  std::vector<Batch> batches;  ///< by size
};

}  // namespace podsense::protocol
