#pragma once

/// Formats one line of the log in each format. Private to this module; others use log.h.

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

/// The formatted line, with a newline at its end.
std::string line_of(const Head& head, Fields fields);

}  // namespace podsense::log
