#pragma once

/// The subcommands; each takes the arguments after its own name and returns the exit code.

#include <span>

namespace podsense::cli {

int check(std::span<const char* const> arguments);
int top(std::span<const char* const> arguments);
int load(std::span<const char* const> arguments);
int simulate(std::span<const char* const> arguments);

}  // namespace podsense::cli
