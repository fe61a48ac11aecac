#pragma once

/// `podsense plan SCENARIO`. Private to this folder.

#include <span>

#include "cli/description.h"

namespace podsense::cli {

Description describe_plan_search();
int plan_search(std::span<const char* const> arguments);

}  // namespace podsense::cli
