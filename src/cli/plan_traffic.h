#pragma once

#include <span>

#include "cli/description.h"

namespace podsense::cli {

Description describe_plan_traffic();
/// `podsense plan traffic`: a scenario from what a Prometheus recorded.
int plan_traffic(std::span<const char* const> arguments);

}  // namespace podsense::cli
