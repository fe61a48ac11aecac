#pragma once

/// Reads each source of the configuration. Internal to this module.

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/settings.h"

namespace podsense::server {

/// The value of one setting from one source.
struct Given {
  const Setting* setting = nullptr;  ///< a row of settings()
  std::vector<std::string> words;    ///< exactly one unless the setting is a list
  /// location for faults: "PODSENSE_HOST", "f.yaml:3: listen.host"
  std::string where;
  std::string origin;  ///< as EffectiveSetting::origin
};

/// If a setting occurs twice, the later one has priority.
struct SourceReading {
  std::vector<Given> given;
  std::vector<std::string> faults;
  std::vector<std::string> warnings;
};

struct FlagReading : SourceReading {
  Action action = Action::kServe;
  std::optional<std::string> config_file;
};
FlagReading read_flags(std::span<const char* const> arguments);

struct EnvironmentReading : SourceReading {
  std::optional<std::string> config_file;
};
EnvironmentReading read_environment(std::span<const std::string> environment);

/// `file`: only for the location of faults.
SourceReading read_yaml(const std::string& yaml, const std::string& file);

/// Whether Kubernetes sets this variable for a Service named `podsense` or `podsense-…`.
/// @source Kubernetes documentation, "Accessing the Service", environment variables; names as in
///         pkg/kubelet/envvars/envvars.go
bool is_service_link(std::string_view name, std::string_view value);

/// Splits a text into the words of a setting.
std::vector<std::string> words_of(const Setting& setting, std::string_view text);

}  // namespace podsense::server
