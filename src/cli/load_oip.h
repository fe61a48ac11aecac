#pragma once

#include <cstdint>
#include <string>

#include "load/load.h"

namespace podsense::cli {

struct OipFlags {
  std::string form;  ///< json, binary, or empty: no such request
  std::string model;
  std::uint64_t batch = 1;
};

/// Asks the server for the model's metadata and makes the body, headers and path of `options`.
/// @errors kInvalidArgument: flags; kUnavailable, kNotFound: no metadata
Result<void> use_oip(const OipFlags& flags, load::LoadOptions& options);

}  // namespace podsense::cli
