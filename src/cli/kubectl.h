#pragma once

/// What a cluster says, through the kubectl of the PATH.

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace podsense::cli {

/// A program on the PATH; empty where there is none.
std::string find_program(std::string_view name);

/// Standard output of `kubectl ARGUMENTS`.
/// @errors kInvalidArgument: there is no kubectl; kUnavailable: it failed, with what it was asked
Result<std::string> ask_kubectl(const std::vector<std::string>& arguments);

}  // namespace podsense::cli
