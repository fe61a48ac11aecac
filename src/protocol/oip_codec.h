#pragma once

/// Converts the Open Inference Protocol's REST bodies to and from the values of tensor.h: JSON,
/// JSON followed by binary data, and the raw format (one tensor without JSON).
///
/// Counts and sizes are checked against each other before memory is allocated. So a request can
/// cause allocations of at most four bytes per byte that it really sent.
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
inline constexpr std::size_t kMaxTensors = 256;    ///< inputs or outputs of one request

/// The extensions listed in server metadata, in REST and gRPC.
inline constexpr std::array<std::string_view, 6> kOipExtensions{
    "classification",     "schedule_policy", "model_configuration",
    "binary_tensor_data", "parameters",      "statistics"};

/// The declaration of a model's input or output. A dimension of -1 means any length.
struct TensorMetadata {
  std::string_view name;
  DataType type = DataType::kFp32;
  std::span<const std::int64_t> shape;
};

/// A request's body, and the length of its JSON.
struct OipBody {
  std::shared_ptr<const std::string> bytes;
  /// Inference-Header-Content-Length; unset: the whole body is JSON; 0: it is one raw tensor.
  std::optional<std::size_t> json_size;
};

/// Parses that header. @errors kInvalidArgument: not a plain number, or over `body_size`
Result<std::size_t> parse_json_size(std::string_view header, std::size_t body_size);

/// Binary data is borrowed from `body`, which the request keeps alive; JSON data is converted.
/// `model` stays empty, as it is in the path.
/// @errors kInvalidArgument: the message names the field, its value and what is accepted;
/// kUnimplemented: shared memory
Result<InferRequest> parse_oip_request(const OipBody& body);

/// Parses the raw format: the whole body is the model's single input. A dynamic first dimension
/// becomes 1; one further dynamic dimension is derived from the size. For a BYTES input the body is
/// its single element. All outputs are returned as binary data.
/// @errors kInvalidArgument: several inputs, several further dynamic dimensions, or a wrong size
Result<InferRequest> parse_oip_raw(std::shared_ptr<const std::string> body,
                                   std::span<const TensorMetadata> inputs);

/// A serialised answer: the JSON, then `binary`. `json_size` is set if binary data follows.
struct OipAnswerBody {
  std::string json;
  std::vector<std::span<const std::byte>> binary;  ///< borrowed from the answer
  std::optional<std::size_t> json_size;
};
/// Numbers are written in the shortest form that parses back to the same value. NaN and infinity
/// become null, as JSON has neither.
/// @errors kInvalidArgument: FP16 or BF16 outputs not requested as binary data, or texts that are
/// not UTF-8
Result<OipAnswerBody> write_oip_answer(const InferAnswer& answer);

/// `{"error": "…"}`
void write_oip_error(std::string& out, std::string_view message);

}  // namespace podsense::protocol
