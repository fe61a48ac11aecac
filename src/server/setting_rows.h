#pragma once

/// Builds the table of settings; some sections have their own file. Internal to this module.

#include <string_view>
#include <vector>

#include "server/settings.h"

namespace podsense::server {

/// @param alias further environment names with lower priority, highest first
Setting row(std::string_view key, std::string_view flag, Accessor value, std::string_view meaning,
            std::string_view alias = {});

std::vector<Setting> listen_settings();
std::vector<Setting> tracing_settings();

}  // namespace podsense::server
