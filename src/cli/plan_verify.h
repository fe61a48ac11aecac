#pragma once

#include <span>
#include <string>

#include "cli/description.h"

namespace podsense::cli {

Description describe_plan_verify();
/// `podsense plan verify`: a plan's traffic against a real server, beside what it predicts.
int plan_verify(std::span<const char* const> arguments);

/// "error of the last 3 verified plans on kind: …"; empty where none was verified.
/// @param record  of `podsense plan verify`; empty: where that keeps it
/// @param cluster empty: that of the last verification
std::string verified_errors(const std::string& record, const std::string& cluster);

}  // namespace podsense::cli
