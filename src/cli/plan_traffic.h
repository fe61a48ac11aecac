#pragma once

#include <span>

#include "cli/description.h"

namespace podsense::cli {

Description describe_plan_traffic();
/// `podsense plan traffic`: creates a scenario from traffic recorded by Prometheus.
int plan_traffic(std::span<const char* const> arguments);

}  // namespace podsense::cli
