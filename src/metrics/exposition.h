#pragma once

/// The forms of /metrics, and which of them a scraper wants.

#include <string_view>

namespace podsense::metrics {

enum class Exposition {
  kPrometheusText,  ///< 0.0.4
  kOpenMetrics,     ///< 1.0, with exemplars
  kProtobuf,        ///< io.prometheus.client.MetricFamily, with exemplars and native histograms
};

/// The value of `Content-Type`.
std::string_view content_type(Exposition form);

/// What an `Accept` header likes best of them; text where it likes none. Of equals, the one that
/// says more: scrapers list what they can read, and name each for what it has.
/// @source RFC 9110, section 12.5.1; Prometheus, "Exposition formats"
Exposition preferred_exposition(std::string_view accept);

}  // namespace podsense::metrics
