#pragma once

/// The checks before any engine opens an ONNX file: size, digest, and the location of its weights.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "model/repository.h"

namespace podsense::model {

/// Checks the size and, if the manifest has one, the digest. Returns the file's size in bytes.
/// @errors kInvalidArgument
Result<std::uint64_t> check_file(const Candidate& candidate);

/// A model's external data files.
struct ExternalFiles {
  std::vector<std::string> locations;        ///< as written
  std::vector<std::filesystem::path> files;  ///< resolved paths, in the same order
  bool elsewhere = false;                    ///< as ExternalData::elsewhere
};

/// Finds all external data files, which must be inside the folder and, together with the model's
/// file, within the manifest's size limit.
/// @param bytes size of the model's own file
/// @errors kInvalidArgument
Result<ExternalFiles> check_external_data(const Candidate& candidate, std::uint64_t bytes);

}  // namespace podsense::model
