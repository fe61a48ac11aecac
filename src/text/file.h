#pragma once

/// Files that a command line names.

#include <filesystem>
#include <string>
#include <string_view>

#include "base/error.h"

namespace podsense::text {

/// A file as bytes. `begin` of an error: the flag that names the file, if there is one.
/// @errors kInvalidArgument: begin, file and reason
Result<std::string> read_file(const std::filesystem::path& path,
                              std::string_view begin = "cannot read ");

}  // namespace podsense::text
