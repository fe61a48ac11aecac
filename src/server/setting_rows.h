#pragma once

/// How the table of settings is put together, section by section. Internal to this module.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/settings.h"

namespace podsense::server {

inline std::string environment_name(std::string_view flag) {
  std::string name = "PODSENSE_";
  for (const char c : flag) {
    name.push_back(c == '-' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c));
  }
  return name;
}

inline Setting row(std::string_view key, std::string_view flag, Accessor value,
                   std::string_view meaning, std::string_view alias = {}) {
  return {.key = key,
          .flag = flag,
          .environment = environment_name(flag),
          .alias = alias,
          .meaning = meaning,
          .value = std::move(value)};
}

std::vector<Setting> listen_settings();

}  // namespace podsense::server
