#pragma once

#include <filesystem>
#include <string>

#include "model/backend.h"
#include "model/repository.h"

namespace podsense::inference {

/// Why the profile that `folder` has of this version would not be used; empty: it would, or there
/// is none. @param cores  that a run may use, as the server plans it
std::string unused_profile(const model::Backends& backends, model::Candidate candidate,
                           const std::filesystem::path& folder, unsigned cores);

}  // namespace podsense::inference
