#pragma once

/// OpenMetrics text 1.0 of what prometheus-cpp collects, which writes only the older format and
/// knows no exemplars. Internal to this room.
/// @source OpenMetrics 1.0 (prometheus/OpenMetrics, specification/OpenMetrics.md)

#include <prometheus/metric_family.h>

#include <functional>
#include <string>
#include <vector>

#include "metrics/metrics.h"

namespace podsense::metrics {

/// None, or one for each bucket of the metric.
using ExemplarsOf =
    std::function<Exemplars(const std::string& family, const prometheus::ClientMetric& metric)>;

std::string openmetrics_text(const std::vector<prometheus::MetricFamily>& families,
                             const ExemplarsOf& exemplars_of);

}  // namespace podsense::metrics
