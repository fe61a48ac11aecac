#pragma once

/// The table of settings. Everything that knows a setting's name or type reads it here: flags,
/// environment, YAML, --print-config, --help, docs/reference/configuration.md. Internal to this
/// module.

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
  std::string_view alias;    ///< further, weaker environment names, a space between; mostly empty
  std::string_view meaning;  ///< one or two sentences, plain text
  Accessor value;

  /// Of `alias`, the stronger first.
  [[nodiscard]] std::vector<std::string_view> aliases() const;
  [[nodiscard]] std::string_view section() const { return key.substr(0, key.find('.')); }
  [[nodiscard]] std::string_view name() const { return key.substr(key.find('.') + 1); }
};

struct Section {
  std::string_view name;
  std::string_view title;
};

/// Settings of one section stand together, in the order of `sections`. @threads any
std::span<const Setting> settings();
std::span<const Section> sections();

/// What is told of a setting that there was once, by its flag, its variable without PODSENSE_, or
/// its name in YAML; empty: there was none.
std::string replaced_by(std::string_view name);

/// The default as it stands in YAML; the same form in --print-config, help and reference.
std::string yaml_text(const Setting& setting, const Config& config);

}  // namespace podsense::server
