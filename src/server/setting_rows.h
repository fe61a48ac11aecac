#pragma once

/// How the table of settings is put together, and its sections that have a file of their own.
/// Internal to this module.

#include <string_view>
#include <vector>

#include "server/settings.h"

namespace podsense::server {

/// @param alias  further, weaker environment names, the stronger first
Setting row(std::string_view key, std::string_view flag, Accessor value, std::string_view meaning,
            std::string_view alias = {});

std::vector<Setting> listen_settings();
std::vector<Setting> tracing_settings();

}  // namespace podsense::server
