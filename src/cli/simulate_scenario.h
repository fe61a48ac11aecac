#pragma once

/// `podsense simulate SCENARIO`.

#include <span>

#include "cli/description.h"

namespace podsense::cli {

int simulate_scenario(std::span<const char* const> arguments);
Description describe_scenario();

}  // namespace podsense::cli
