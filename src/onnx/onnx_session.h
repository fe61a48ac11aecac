#pragma once

/// One ONNX file opened by ONNX Runtime. Private to this module.

#include <optional>
#include <string>

#include "model/model.h"
#include "onnx/model_cache.h"
#include "onnx/ort.h"

namespace podsense::onnx {

/// As `backend:` of a manifest has it.
inline constexpr std::string_view kBackendName = "onnxruntime";

struct OpenSession {
  std::shared_ptr<const OrtContext> context;
  /// What the session's weights may lie in; outlives it.
  std::optional<MappedFile> bytes;
  Ort::Session session{nullptr};
  std::uint64_t file_bytes = 0;
  unsigned threads = 1;
  std::string warning = {};  ///< for the signature's; empty: none
};

/// Reads names, types, shapes and metadata, and holds them against the manifest.
/// @errors kInvalidArgument: an input or output that cannot be served, or as make_signature
Result<std::shared_ptr<const Model>> make_onnx_model(OpenSession open, const Candidate& candidate);

}  // namespace podsense::onnx
