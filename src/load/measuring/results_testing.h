#pragma once

#include "load/measuring/results.h"

namespace podsense::load {

/// Ten seconds in which so many requests were answered, each after `latency`, and others got 503.
inline Results results_with(std::uint64_t ok, std::uint64_t failed, Duration latency) {
  Results results;
  results.counts = {.planned = ok + failed, .sent = ok + failed, .ok = ok, .failed = failed};
  for (std::uint64_t i = 0; i < ok; ++i) {
    results.latency.record(latency);
  }
  results.status[503].count = failed;
  results.measured = std::chrono::seconds(10);
  return results;
}

}  // namespace podsense::load
