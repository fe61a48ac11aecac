#pragma once

/// Builds a model's signature from the file's inputs, outputs and metadata, and the manifest.
/// Private to this module.

#include <string>

#include "base/error.h"
#include "model/model.h"

namespace podsense::model {

struct FileDescription {
  std::vector<TensorInfo> inputs;
  std::vector<TensorInfo> outputs;
  std::string labels;         ///< metadata `labels`: JSON list, or empty
  std::string preprocess;     ///< metadata `preprocess`: JSON object, or empty
  std::string rows_unproven;  ///< as in Signature
  bool loops = false;         ///< as in Signature
};

/// @errors kInvalidArgument: the file has no outputs
Result<Signature> make_signature(FileDescription file, const Manifest& manifest);

}  // namespace podsense::model
