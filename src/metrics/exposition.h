#pragma once

/// The formats of /metrics, and content negotiation between them.

#include <string_view>

namespace podsense::metrics {

enum class Exposition {
  kPrometheusText,  ///< 0.0.4
  kOpenMetrics,     ///< 1.0, with exemplars
  kProtobuf,        ///< io.prometheus.client.MetricFamily, with exemplars and native histograms
};

/// The value of `Content-Type`.
std::string_view content_type(Exposition form);

/// The format that an `Accept` header prefers; text if it accepts none. Among equal preferences,
/// the format with more information.
/// @source RFC 9110, section 12.5.1; Prometheus, "Exposition formats"
Exposition preferred_exposition(std::string_view accept);

}  // namespace podsense::metrics
