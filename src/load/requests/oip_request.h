#pragma once

/// Requests of the Open Inference Protocol (v2, REST), made from a model's metadata: random values
/// of the right shape and type, as JSON or as binary tensors.
/// @source Open Inference Protocol, inference_rest; Triton's binary tensor data extension

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace podsense::load {

struct OipOptions {
  bool binary = false;
  std::uint64_t batch = 1;  ///< for the first dimension where it is open; other open ones become 1
  std::uint64_t seed = 1;
};

struct OipRequest {
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
};

/// An input with random values, packed as the binary extension and gRPC want them.
struct OipTensor {
  std::string name;
  std::string datatype;
  std::vector<std::int64_t> shape;
  std::string bytes;
};

/// @param metadata {"inputs": [{"name", "datatype", "shape"}, …]}
/// @errors kInvalidArgument: no such document, or a type that nobody knows
Result<std::vector<OipTensor>> make_oip_tensors(std::string_view metadata,
                                                const OipOptions& options);

/// @param metadata the answer of GET /v2/models/NAME
/// @errors kInvalidArgument: no such document, or a type that JSON has no form for (say binary)
Result<OipRequest> make_oip_request(std::string_view metadata, const OipOptions& options);

}  // namespace podsense::load
