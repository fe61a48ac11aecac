#pragma once

#include <filesystem>
#include <string>

#include "model/backend.h"
#include "model/repository.h"

namespace podsense::inference {

/// Why the saved profile of this version in `folder` would not be used; empty: it would, or there
/// is none.
/// @param cores that a run may use in the server
std::string unused_profile(const model::Backends& backends, model::Candidate candidate,
                           const std::filesystem::path& folder, unsigned cores);

}  // namespace podsense::inference
