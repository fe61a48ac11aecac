#pragma once

#include <span>

#include "cli/description.h"

namespace podsense::cli {

Description describe_plan_measure();
/// `podsense plan measure`: what a simulation has to know of a model, as a profile.
int plan_measure(std::span<const char* const> arguments);

}  // namespace podsense::cli
