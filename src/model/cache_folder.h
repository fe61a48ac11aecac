#pragma once

/// The folder for optimised copies and saved profiles. If it is not writable, every start takes
/// longer, but no load fails; one log line reports it.

#include <filesystem>
#include <string_view>

#include "base/error.h"

namespace podsense::model {

/// Creates the folder and tests whether files can be written there.
/// @errors kUnavailable: the folder, and why it is not writable
Result<void> try_cache_folder(const std::filesystem::path& folder);

/// Logs that the folder is not writable, once per folder and process. @threads any
void tell_cache_unwritable(const std::filesystem::path& folder, std::string_view reason);

}  // namespace podsense::model
