#pragma once

/// One ONNX file opened by ONNX Runtime. Private to this room.

#include <optional>
#include <string>

#include "model/model.h"
#include "model/model_cache.h"
#include "model/ort.h"

namespace podsense::model {

struct OpenSession {
  std::shared_ptr<const OrtContext> context;
  /// What the session's weights may lie in; outlives it.
  std::optional<MappedFile> bytes;
  Ort::Session session{nullptr};
  std::uint64_t file_bytes = 0;
  unsigned threads = 1;
  std::string content = {};  ///< as Model::content
};

/// Reads names, types, shapes and metadata, and holds them against the manifest.
/// @errors kInvalidArgument: an input or output that cannot be served, or as make_signature
Result<std::shared_ptr<const Model>> make_onnx_model(OpenSession open, const Candidate& candidate);

/// A model that only burns CPU time.
std::shared_ptr<const Model> make_simulated_model(const Candidate& candidate);

}  // namespace podsense::model
