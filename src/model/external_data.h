#pragma once

/// Finds the external data files that an ONNX file refers to. ONNX Runtime opens these by itself,
/// so they are checked first. The search walks over protobuf's wire format and skips everything
/// else (weights are never read). Private to this module.
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
  /// some belongs to other tensors than the main graph's initialisers
  bool elsewhere = false;
};

/// Searches all tensors of the graph, nested graphs, functions and training graphs.
/// @errors kInvalidArgument: not an ONNX model, malformed at byte N, nested too deeply, or too many
/// external files
Result<ExternalData> find_external_data(std::span<const std::byte> onnx);
Result<ExternalData> find_external_data(const std::filesystem::path& file);

/// The files of `locations` with symbolic links resolved; all must be inside `folder`.
/// @errors kInvalidArgument: absolute path, "..", link out of the folder, missing, or not a regular
/// file
Result<std::vector<std::filesystem::path>> resolve_external_data(
    const ExternalData& data, const std::filesystem::path& folder);

}  // namespace podsense::model
