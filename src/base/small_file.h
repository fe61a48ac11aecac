#pragma once

/// Small files that others may read at any moment.

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/error.h"

namespace podsense {

/// Makes `path` a file that holds `bytes`. Readers find the old file or the new one, never a part,
/// also when the process dies meanwhile; several writers do not mix. The folder must exist. What is
/// being written is named `path` with ".NUMBER-NUMBER.tmp" behind it, and left only by a process
/// that died.
/// @errors kInternal: why it cannot be written; `path` is as before then
Result<void> replace_file(const std::filesystem::path& path, std::string_view bytes);

/// A whole file. What is no regular file, such as a pipe or a device, is refused rather than waited
/// for. @errors kInvalidArgument: why it cannot be read, or that it is over `most` bytes
Result<std::string> read_regular_file(const std::filesystem::path& path, std::size_t most);

}  // namespace podsense
