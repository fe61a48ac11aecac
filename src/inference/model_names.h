#pragma once

/// Models' names in messages. Private to this module.

#include <string>
#include <string_view>

namespace podsense::inference {

/// "NAME/VERSION", or the name alone for an empty version.
inline std::string full_name(std::string_view name, std::string_view version) {
  return std::string(name) + (version.empty() ? "" : "/") + std::string(version);
}

/// "a, b", or "none". @param text of an item
template <class Items, class Text>
std::string list_of(const Items& items, const Text& text) {
  std::string names;
  for (const auto& item : items) {
    names += (names.empty() ? "" : ", ") + std::string(text(item));
  }
  return names.empty() ? std::string("none") : names;
}

}  // namespace podsense::inference
