#pragma once

/// The subcommands: each takes the arguments after its name and returns the exit code. Help, man
/// pages and completion are generated from their descriptions.

#include <span>
#include <vector>

#include "cli/description.h"

namespace podsense::cli {

int serve(std::span<const char* const> arguments);
int load(std::span<const char* const> arguments);
int simulate(std::span<const char* const> arguments);
int plan(std::span<const char* const> arguments);
int check(std::span<const char* const> arguments);
int bench(std::span<const char* const> arguments);
int top(std::span<const char* const> arguments);
int version(std::span<const char* const> arguments);
int completion(std::span<const char* const> arguments);
int man(std::span<const char* const> arguments);
int config_reference(std::span<const char* const> arguments);
int metrics_reference(std::span<const char* const> arguments);

/// The descriptions of a command and its subcommands.
std::vector<Description> describe_serve();
std::vector<Description> describe_load();
std::vector<Description> describe_bench();
std::vector<Description> describe_simulate();
std::vector<Description> describe_plan();
std::vector<Description> describe_check();
std::vector<Description> describe_top();

/// The descriptions of all commands, in the order of `podsense help`.
std::vector<Description> describe_all();

}  // namespace podsense::cli
