#pragma once

/// The folder of optimised copies and saved profiles. What cannot be written there costs time at
/// every start, never a load; so that it is known, one line in the log says so.

#include <filesystem>
#include <string_view>

#include "base/error.h"

namespace podsense::model {

/// Makes the folder and tries whether files can be written there.
/// @errors kUnavailable: the folder, and why not
Result<void> try_cache_folder(const std::filesystem::path& folder);

/// Logs it, once for each folder as long as the process lives. @threads any
void tell_cache_unwritable(const std::filesystem::path& folder, std::string_view reason);

}  // namespace podsense::model
