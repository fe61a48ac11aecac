#pragma once

/// What the process and its container use, for the registry.

#include <memory>
#include <vector>

#include "metrics/metrics.h"

namespace podsense::server {

/// Each is read at a scrape: from the cgroup, /proc and the kernel's own accounts.
std::vector<std::unique_ptr<metrics::Registry::Gauge>> watch_process(metrics::Registry& registry);

}  // namespace podsense::server
