#pragma once

#include <cstdint>
#include <string>

#include "load/load.h"

namespace podsense::cli {

struct OipFlags {
  std::string form;  ///< json, binary; empty: not an Open Inference Protocol request
  std::string model;
  std::uint64_t batch = 1;
};

/// Gets the model's metadata from the server and sets body, headers and path of `options`.
/// @errors kInvalidArgument: flags; kUnavailable, kNotFound: no metadata
Result<void> use_oip(const OipFlags& flags, load::LoadOptions& options);

}  // namespace podsense::cli
