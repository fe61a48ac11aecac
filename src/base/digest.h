#pragma once

#include <filesystem>
#include <string>

#include "base/error.h"

namespace podsense {

/// Lower-case hexadecimal SHA-256 of a file, read in pieces.
/// @errors kNotFound: cannot be opened; kInternal: read failed
Result<std::string> sha256_file(const std::filesystem::path& path);

}  // namespace podsense
