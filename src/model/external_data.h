#pragma once

/// Where an ONNX file says that its weights lie in other files. ONNX Runtime opens those by itself,
/// so they are looked at first, by a walk over the protobuf's wire format that skips what it does
/// not need (weights are never read). Private to this module.
/// @source onnx/onnx.proto (field numbers), protobuf's encoding guide (wire format)

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"

namespace podsense::model {

struct ExternalData {
  std::vector<std::string> locations;  ///< as written, sorted, each once
  bool elsewhere = false;              ///< some of it not of the main graph's initialisers
};

/// Looks through every tensor of graph, nested graphs, functions and training graphs.
/// @errors kInvalidArgument: not an ONNX model, broken at byte N, or nested or split without bound
Result<ExternalData> find_external_data(std::span<const std::byte> onnx);
Result<ExternalData> find_external_data(const std::filesystem::path& file);

/// The files behind `locations`, links resolved, when all lie inside `folder`.
/// @errors kInvalidArgument: absolute, "..", a link out of the folder, missing, not a regular file
Result<std::vector<std::filesystem::path>> resolve_external_data(
    const ExternalData& data, const std::filesystem::path& folder);

}  // namespace podsense::model
