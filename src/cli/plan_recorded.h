#pragma once

/// Flags of `podsense plan traffic` and `podsense plan` that name a Prometheus, and asking it.

#include <CLI/CLI.hpp>
#include <string>

#include "base/clock.h"
#include "plan/prometheus.h"

namespace podsense::cli {

struct RecordedFlags {
  std::string url;
  std::string selector;
  std::string model;
  std::string range = "7d";
  Duration window = std::chrono::minutes(1);
  std::string ca_file;
};

/// All of them; --prometheus is the first.
void add_recorded(CLI::App& app, RecordedFlags& flags);

struct Recorded {
  plan::TrafficOptions options;
  plan::RecordedTraffic traffic;
};
/// @errors kInvalidArgument: a flag, or Prometheus has no such series; kUnavailable: it does not
/// answer
Result<Recorded> read_recorded(const RecordedFlags& flags);

}  // namespace podsense::cli
