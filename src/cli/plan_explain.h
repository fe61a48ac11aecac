#pragma once

#include <span>

#include "cli/description.h"

namespace podsense::cli {

Description describe_plan_explain();
/// `podsense plan explain`: finds problems of the current deployment.
int plan_explain(std::span<const char* const> arguments);

}  // namespace podsense::cli
