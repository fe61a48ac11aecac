#pragma once

/// Reads from a cluster with the kubectl on the PATH.

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace podsense::cli {

/// The path of a program on the PATH; empty: not found.
std::string find_program(std::string_view name);

/// The stdout of `kubectl ARGUMENTS`.
/// @errors kInvalidArgument: no kubectl; kUnavailable: it failed; the message contains its
/// arguments
Result<std::string> ask_kubectl(const std::vector<std::string>& arguments);

}  // namespace podsense::cli
