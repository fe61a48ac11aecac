#pragma once

/// One ONNX file opened by ONNX Runtime. Private to this module.

#include <optional>
#include <string>

#include "model/model.h"
#include "onnx/model_cache.h"
#include "onnx/ort.h"

namespace podsense::onnx {

/// The name in manifests (`backend:`).
inline constexpr std::string_view kBackendName = "onnxruntime";

struct OpenSession {
  std::shared_ptr<const OrtContext> context;
  /// The mapping that may contain the session's weights; must outlive the session.
  std::optional<MappedFile> bytes;
  Ort::Session session{nullptr};
  std::uint64_t file_bytes = 0;
  unsigned threads = 1;
  std::string warning = {};  ///< added to the signature's warnings; empty: none
};

/// Reads names, types, shapes and metadata, and checks them against the manifest.
/// @errors kInvalidArgument: an input or output of an unsupported type, or as make_signature
Result<std::shared_ptr<const Model>> make_onnx_model(OpenSession open, const Candidate& candidate);

}  // namespace podsense::onnx
