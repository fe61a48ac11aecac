#pragma once

/// Small files that others may read at any moment.

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/error.h"

namespace podsense {

/// Writes `bytes` to `path` atomically: readers see the old or the new file, never a part, even if
/// the process dies meanwhile. Concurrent writers do not mix. The folder must exist. The temporary
/// file is `path` plus ".NUMBER-NUMBER.tmp"; it remains only if the process dies.
/// @errors kInternal: why it cannot be written; `path` is then unchanged
Result<void> replace_file(const std::filesystem::path& path, std::string_view bytes);

/// Reads a whole file. Anything but a regular file, such as a pipe or a device, is refused, as
/// reading it could block.
/// @errors kInvalidArgument: why it cannot be read, or that it exceeds `most` bytes
Result<std::string> read_regular_file(const std::filesystem::path& path, std::size_t most);

}  // namespace podsense
