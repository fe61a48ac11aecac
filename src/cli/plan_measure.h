#pragma once

#include <span>

#include "cli/description.h"

namespace podsense::cli {

Description describe_plan_measure();
/// `podsense plan measure`: measures a model's profile for simulations.
int plan_measure(std::span<const char* const> arguments);

}  // namespace podsense::cli
