#pragma once

#include <span>

#include "cli/description.h"

namespace podsense::cli {

Description describe_plan_verify();
/// `podsense plan verify`: a plan's traffic against a real server, beside what it predicts.
int plan_verify(std::span<const char* const> arguments);

}  // namespace podsense::cli
