#pragma once

/// How a line of the log looks in each format. Private to this module; log.h is what others use.

#include <chrono>
#include <string>
#include <string_view>

#include "base/log.h"

namespace podsense::log {

struct Head {
  Format format = Format::kJson;  ///< not kAuto
  Level level = Level::kInfo;
  std::string_view event;
  std::chrono::system_clock::time_point time;
};

/// With its newline.
std::string line_of(const Head& head, Fields fields);

}  // namespace podsense::log
