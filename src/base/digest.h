#pragma once

#include <filesystem>
#include <string>

#include "base/error.h"

namespace podsense {

/// The SHA-256 of a file in lower-case hexadecimal. Reads the file in blocks.
/// @errors kNotFound: cannot be opened; kInternal: read failed
Result<std::string> sha256_file(const std::filesystem::path& path);

}  // namespace podsense
