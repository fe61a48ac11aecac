#pragma once

/// What every engine that opens files of ONNX looks at before it does: size, digest, and where the
/// weights lie.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "model/repository.h"

namespace podsense::model {

/// Size and, where the manifest has one, the digest. Bytes of the file.
/// @errors kInvalidArgument
Result<std::uint64_t> check_file(const Candidate& candidate);

/// Where a model's weights are, beside its own file.
struct ExternalFiles {
  std::vector<std::string> locations;        ///< as written
  std::vector<std::filesystem::path> files;  ///< of each
  bool elsewhere = false;                    ///< as ExternalData::elsewhere
};

/// All files of external data inside the folder, and with them still within the manifest's limit.
/// @param bytes of the model's own file
/// @errors kInvalidArgument
Result<ExternalFiles> check_external_data(const Candidate& candidate, std::uint64_t bytes);

}  // namespace podsense::model
