#pragma once

/// The table of settings, used for flags, environment, YAML, --print-config, --help and
/// docs/reference/configuration.md. Internal to this module.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/setting_types.h"

namespace podsense::server {

struct Setting {
  std::string_view key;      ///< in YAML, "SECTION.NAME"
  std::string_view flag;     ///< without the dashes
  std::string environment;   ///< PODSENSE_ and the flag in capitals
  std::string_view alias;    ///< further environment names with lower priority, separated by spaces
  std::string_view meaning;  ///< one or two sentences, plain text
  Accessor value;

  /// The names of `alias`, highest priority first.
  [[nodiscard]] std::vector<std::string_view> aliases() const;
  [[nodiscard]] std::string_view section() const { return key.substr(0, key.find('.')); }
  [[nodiscard]] std::string_view name() const { return key.substr(key.find('.') + 1); }
};

struct Section {
  std::string_view name;
  std::string_view title;
};

/// Grouped by section, in the order of `sections`. @threads any
std::span<const Setting> settings();
std::span<const Section> sections();

/// The hint for a setting that was removed, by its flag, its variable without PODSENSE_, or its
/// YAML name; empty: no such setting existed.
std::string replaced_by(std::string_view name);

/// The value in YAML; --print-config, help and reference use the same form.
std::string yaml_text(const Setting& setting, const Config& config);

}  // namespace podsense::server
