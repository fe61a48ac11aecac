#pragma once

/// The protobuf form of what was collected, the only one that carries native histograms. Written
/// by hand (base/protobuf_wire.h): a dozen fields, and protobuf belongs to another module. Internal
/// to this module.
/// @source github.com/prometheus/client_model, io/prometheus/client/metrics.proto

#include <prometheus/metric_family.h>

#include <string>
#include <vector>

#include "metrics/openmetrics.h"

namespace podsense::metrics {

/// Length-delimited MetricFamily messages.
std::string protobuf_exposition(const std::vector<prometheus::MetricFamily>& families,
                                const HistogramOf& histogram_of);

}  // namespace podsense::metrics
