#pragma once

/// The flags of `podsense load`, and their conversion to Options.

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "cli/load_oip.h"
#include "load/load.h"

namespace podsense::cli {

/// Filled by CLI11; `to_options` converts them to Options.
struct LoadFlags {
  load::LoadOptions options;
  std::string host;
  std::string positional;
  std::vector<std::string> targets;
  std::string arrivals = "constant";
  std::vector<std::string> headers;
  std::vector<std::string> fail_if;
  std::vector<std::string> expect;
  std::string data;
  std::string body_file_as_is;
  std::string accept;
  std::string auth;
  std::string host_header;
  std::string output;
  bool disable_keepalive = false;
  bool insecure = false;
  bool csv_header = false;
  bool no_csv_header = false;
  bool follow_redirects = false;
  OipFlags oip;
  std::string proxy;
};

/// Converts the arguments to words; accepts hey's long flags with one dash.
std::vector<std::string> load_words(std::span<const char* const> arguments);
void add_load_flags(CLI::App& app, LoadFlags& flags);
/// @errors kInvalidArgument; the message names the flag
Result<load::LoadOptions> to_options(LoadFlags& flags, const CLI::App& app);
/// A suggestion for an unknown flag; empty: none.
std::string unexpected_load_flag(const CLI::App& app);

/// Parses "METRIC OP VALUE" of each --fail-if. @errors kInvalidArgument
Result<std::vector<load::LoadThreshold>> to_thresholds(const std::vector<std::string>& texts);

}  // namespace podsense::cli
