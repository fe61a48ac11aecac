#pragma once

/// Writes OpenMetrics text 1.0, because prometheus-cpp writes only the older format and has no
/// exemplars. Internal to this module.
/// @source OpenMetrics 1.0 (prometheus/OpenMetrics, specification/OpenMetrics.md)

#include <prometheus/metric_family.h>

#include <functional>
#include <string>
#include <vector>

#include "metrics/metrics.h"

namespace podsense::metrics {

class Histogram;
/// Finds the histogram from which a metric was collected.
using HistogramOf = std::function<const Histogram&(const std::string& family,
                                                   const prometheus::ClientMetric& metric)>;

std::string openmetrics_text(const std::vector<prometheus::MetricFamily>& families,
                             const HistogramOf& histogram_of);

}  // namespace podsense::metrics
