#pragma once

/// Metrics about the process and its container.

#include <memory>
#include <vector>

#include "metrics/metrics.h"

namespace podsense::server {

/// All are read at each scrape: from the cgroup, /proc and getrusage.
std::vector<std::unique_ptr<metrics::Registry::Gauge>> watch_process(metrics::Registry& registry);

}  // namespace podsense::server
