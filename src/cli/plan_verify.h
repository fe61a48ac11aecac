#pragma once

#include <span>
#include <string>

#include "cli/description.h"

namespace podsense::cli {

Description describe_plan_verify();
/// `podsense plan verify`: sends a plan's traffic to a real server and compares the result with the
/// prediction.
int plan_verify(std::span<const char* const> arguments);

/// "error of the last 3 verified plans on kind: …"; empty: none was verified.
/// @param record file written by `podsense plan verify`; empty: its default path
/// @param cluster empty: that of the last verification
std::string verified_errors(const std::string& record, const std::string& cluster);

}  // namespace podsense::cli
