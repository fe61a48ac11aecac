#pragma once

/// The model and the requests that `podsense bench` and `podsense plan measure` use.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <string>

#include "base/error.h"
#include "cli/bench_server.h"
#include "load/load.h"

namespace podsense::cli {

struct BenchTarget {
  std::string path;
  std::string models;
  std::string model;
  std::uint64_t batch = 1;
  std::filesystem::path image;
  std::filesystem::path body;
  std::string config;
};

void add_target_flags(CLI::App& app, BenchTarget& target);
/// @errors kInvalidArgument: incompatible flags
Result<void> check_target(const BenchTarget& target);
/// @errors kInvalidArgument: no such model, or several
Result<BenchModel> model_of(const BenchTarget& flags, const BenchFolder& folder);
/// The load to send: the user's request, or random tensors.
Result<load::LoadOptions> options_for(const BenchTarget& flags, const std::string& url,
                                      const std::string& model, const std::string& tool);

}  // namespace podsense::cli
