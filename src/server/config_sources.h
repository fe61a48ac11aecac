#pragma once

/// What each source of configuration says, before it is applied. Internal to this module.

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/settings.h"

namespace podsense::server {

/// One setting, given by one source.
struct Given {
  const Setting* setting = nullptr;  ///< a row of settings()
  std::vector<std::string> words;    ///< exactly one unless the setting is a list
  std::string where;                 ///< opens a fault: "PODSENSE_HOST", "f.yaml:3: listen.host"
  std::string origin;                ///< as EffectiveSetting::origin
};

/// Weakest first where one setting is given twice.
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

/// `file` only names the place of faults.
SourceReading read_yaml(const std::string& yaml, const std::string& file);

/// Is it a variable that Kubernetes makes for a Service called `podsense` or `podsense-…`?
/// @source Kubernetes documentation, "Accessing the Service", environment variables; names as in
///         pkg/kubelet/envvars/envvars.go
bool is_service_link(std::string_view name, std::string_view value);

/// Words for a setting from one piece of text.
std::vector<std::string> words_of(const Setting& setting, std::string_view text);

}  // namespace podsense::server
