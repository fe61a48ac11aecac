#pragma once

/// The protobuf format of /metrics, the only one with native histograms. Written with
/// base/protobuf_wire.h: it has only a dozen fields, and another module owns protobuf. Internal to
/// this module.
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
