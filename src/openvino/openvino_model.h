#pragma once

/// One ONNX file opened by OpenVINO. Private to this module.

#include <cstdint>
#include <memory>

#include "base/error.h"
#include "model/model.h"
#include "openvino/engine.h"

namespace podsense::openvino {

struct OpenNetwork {
  std::unique_ptr<Network> network;
  std::uint64_t file_bytes = 0;
  unsigned threads = 1;
};

/// What the file says of inputs, outputs, rows and metadata, and what of it this engine cannot do.
/// @errors kInvalidArgument: the graph cannot be read, or something that OpenVINO is not asked for
Result<model::Signature> describe(const model::Candidate& candidate);

/// Holds what OpenVINO made of the file against `signature`.
/// @errors kInvalidArgument: an input or output is another, or missing
Result<std::shared_ptr<const model::Model>> make_openvino_model(OpenNetwork open,
                                                                const model::Candidate& candidate,
                                                                model::Signature signature);

}  // namespace podsense::openvino
