#pragma once

#include <span>

#include "cli/description.h"

namespace podsense::cli {

Description describe_plan_explain();
/// `podsense plan explain`: what will go wrong with what is deployed.
int plan_explain(std::span<const char* const> arguments);

}  // namespace podsense::cli
