#pragma once

/// The Open Inference Protocol's REST bodies ↔ the values of tensor.h: JSON, JSON with binary data
/// behind it, and the raw form that is one tensor and no JSON.
///
/// Counts and sizes are checked against each other before memory is taken: what a request makes
/// this allocate is bounded by the bytes that it really sent (at most 4 of ours for one of its).
/// @source Open Inference Protocol v2, inference_rest; Triton's extensions binary tensor data,
///         classification, schedule policy and parameters
/// @threads thread-safe (a parser per thread inside)

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "protocol/tensor.h"

namespace podsense::protocol {

inline constexpr std::size_t kMaxDimensions = 12;  ///< of one tensor
inline constexpr std::size_t kMaxTensors = 256;    ///< inputs, or outputs, of one request

/// As server metadata lists them, in REST and gRPC alike.
inline constexpr std::array<std::string_view, 6> kOipExtensions{
    "classification",     "schedule_policy", "model_configuration",
    "binary_tensor_data", "parameters",      "statistics"};

/// What a model says of one of its inputs or outputs. A dimension of -1 is any.
struct TensorMetadata {
  std::string_view name;
  DataType type = DataType::kFp32;
  std::span<const std::int64_t> shape;
};

/// A request's body and where its JSON ends.
struct OipBody {
  std::shared_ptr<const std::string> bytes;
  /// Inference-Header-Content-Length; unset: all of it is JSON, 0: it is one raw tensor.
  std::optional<std::size_t> json_size;
};

/// The header's value. @errors kInvalidArgument: not a plain number, or over `body_size`
Result<std::size_t> parse_json_size(std::string_view header, std::size_t body_size);

/// Binary data is borrowed from `body`, which the request keeps alive; JSON data is converted.
/// `model` is left empty: it stands in the path.
/// @errors kInvalidArgument: naming the field, what it was and what is accepted;
///         kUnimplemented: shared memory
Result<InferRequest> parse_oip_request(const OipBody& body);

/// The form without JSON: the whole body is the one input of a model whose first dimension, where
/// it is open, becomes 1, and whose other open dimension, at most one, becomes what the size says.
/// A BYTES input takes the body as its one element. All outputs come as binary data.
/// @errors kInvalidArgument: more inputs than one, open dimensions, or a size that does not fit
Result<InferRequest> parse_oip_raw(std::shared_ptr<const std::string> body,
                                   std::span<const TensorMetadata> inputs);

/// An answer as it is sent: the JSON, then these bytes. `json_size` is set where binary data
/// follows.
struct OipAnswerBody {
  std::string json;
  std::vector<std::span<const std::byte>> binary;  ///< borrowed from the answer
  std::optional<std::size_t> json_size;
};
/// Numbers are the shortest that read back to the same value. JSON has no NaN and no infinity:
/// null.
/// @errors kInvalidArgument: FP16 or BF16 that was not asked for as binary data, or texts that are
///         not UTF-8
Result<OipAnswerBody> write_oip_answer(const InferAnswer& answer);

/// `{"error": "…"}`
void write_oip_error(std::string& out, std::string_view message);

}  // namespace podsense::protocol
