#pragma once

/// For this module's tests: configuration from given sources only, independent of the real process.

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/config.h"

namespace podsense::server::config_testing {

/// The environment of a simulated process.
struct Inputs {
  std::vector<std::string> flags;
  std::vector<std::string> environment;
  std::map<std::string, std::string> files;
  bool models_are_mounted = false;
  bool models_are_here = false;    // ./models exists in the current folder
  bool models_came_along = false;  // models are installed with the program
};

inline Result<LoadedConfig> load(const Inputs& given) {
  std::vector<const char*> arguments;
  arguments.reserve(given.flags.size());
  for (const std::string& flag : given.flags) {
    arguments.push_back(flag.c_str());
  }
  return load_config({.arguments = arguments,
                      .environment = given.environment,
                      .read_file = [&](const std::filesystem::path& path) -> Result<std::string> {
                        const auto found = given.files.find(path.string());
                        if (found == given.files.end()) {
                          return fail(ErrorCode::kNotFound, "No such file or directory");
                        }
                        return found->second;
                      },
                      .is_folder =
                          [&](const std::filesystem::path& path) {
                            return path == "/mnt/models" ? given.models_are_mounted
                                   : path == "models"    ? given.models_are_here
                                                         : given.models_came_along;
                          }});
}

inline Config config_of(const Inputs& given) {
  auto loaded = load(given);
  if (!loaded) {
    ADD_FAILURE() << loaded.error().message;
    return {};
  }
  return loaded->config;
}

inline Config from_flag(std::string flag) {
  return config_of({.flags = {std::move(flag)}});
}

inline Config from_yaml(std::string yaml) {
  return config_of({.flags = {"--config=c.yaml"}, .files = {{"c.yaml", std::move(yaml)}}});
}

/// The faults, one per line; empty (and a failed test) if there are none.
inline std::string faults_of(const Inputs& given) {
  const auto loaded = load(given);
  if (loaded) {
    ADD_FAILURE() << "no fault reported";
    return {};
  }
  EXPECT_EQ(loaded.error().code, ErrorCode::kInvalidArgument);
  return loaded.error().message;
}

inline std::string flag_fault(std::string flag) {
  return faults_of({.flags = {std::move(flag)}});
}

inline std::string yaml_fault(std::string yaml) {
  return faults_of({.flags = {"--config=c.yaml"}, .files = {{"c.yaml", std::move(yaml)}}});
}

inline std::string origin_of(const LoadedConfig& loaded, std::string_view key) {
  for (const auto& setting : loaded.settings) {
    if (setting.key == key) {
      return setting.origin;
    }
  }
  return "no such setting";
}

}  // namespace podsense::server::config_testing
