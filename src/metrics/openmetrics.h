#pragma once

/// OpenMetrics text 1.0 of what prometheus-cpp collects, which writes only the older format and
/// knows no exemplars. Internal to this module.
/// @source OpenMetrics 1.0 (prometheus/OpenMetrics, specification/OpenMetrics.md)

#include <prometheus/metric_family.h>

#include <functional>
#include <string>
#include <vector>

#include "metrics/metrics.h"

namespace podsense::metrics {

class Histogram;
/// What a metric of a histogram's family was collected from.
using HistogramOf = std::function<const Histogram&(const std::string& family,
                                                   const prometheus::ClientMetric& metric)>;

std::string openmetrics_text(const std::vector<prometheus::MetricFamily>& families,
                             const HistogramOf& histogram_of);

}  // namespace podsense::metrics
