#pragma once

/// Files that a command writes at its end, tried before its work begins: a path that cannot be
/// written costs no run.

#include <filesystem>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace podsense::cli {

struct OutputFlag {
  std::string_view flag;       ///< for messages: "--json"
  std::filesystem::path path;  ///< empty: not asked for; "-": standard output
};

/// Leaves what is there as it was, and nothing where nothing was. Named pipes and devices are asked
/// for their permissions alone.
/// @errors kInvalidArgument: flag, path and reason; two flags that name one file, or both standard
/// output
Result<void> check_outputs(const std::vector<OutputFlag>& outputs);

}  // namespace podsense::cli
