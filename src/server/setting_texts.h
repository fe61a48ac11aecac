#pragma once

/// Texts for help, man page and completion of `podsense serve`.

#include <string>
#include <vector>

namespace podsense::server {

/// The description of a setting for users.
struct SettingText {
  std::string section;             ///< its title
  std::vector<std::string> flags;  ///< with dashes; a boolean has two
  std::string value;               ///< DURATION, …; empty: none
  std::string meaning;             ///< with its default in brackets
};
/// All settings, by section.
std::vector<SettingText> setting_texts();

}  // namespace podsense::server
