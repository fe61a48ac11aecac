#include "metrics/exposition.h"

#include <algorithm>
#include <charconv>
#include <string>

#include "base/ascii.h"

namespace podsense::metrics {
namespace {

constexpr std::string_view kProtobufType =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
constexpr std::string_view kOpenMetricsType =
    "application/openmetrics-text; version=1.0.0; charset=utf-8";
constexpr std::string_view kTextType = "text/plain; version=0.0.4; charset=utf-8";

/// The part before the next `separator`, without blanks and quotes; removes it from `rest`.
std::string next_part(std::string_view& rest, char separator) {
  const std::size_t end = std::min(rest.find(separator), rest.size());
  std::string part;
  for (const char c : rest.substr(0, end)) {
    if (c != ' ' && c != '\t' && c != '"') {
      part += c;
    }
  }
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return part;
}

/// One media range of an Accept header.
struct Range {
  std::string type;
  bool metric_family = false;
  bool delimited = false;
  double quality = 1;
};

Range read_range(std::string_view text) {
  Range range{.type = ascii::lower(next_part(text, ';'))};
  while (!text.empty()) {
    const std::string parameter = next_part(text, ';');
    range.metric_family |= parameter == "proto=io.prometheus.client.MetricFamily";
    range.delimited |= parameter == "encoding=delimited";
    if (parameter.starts_with("q=")) {
      const char* const begin = parameter.data() + 2;
      // An invalid number counts as the lowest preference.
      const auto read = std::from_chars(begin, parameter.data() + parameter.size(), range.quality);
      range.quality = read.ec == std::errc{} ? range.quality : 0;
    }
  }
  return range;
}

}  // namespace

std::string_view content_type(Exposition form) {
  switch (form) {
    case Exposition::kProtobuf:
      return kProtobufType;
    case Exposition::kOpenMetrics:
      return kOpenMetricsType;
    case Exposition::kPrometheusText:
      break;
  }
  return kTextType;
}

Exposition preferred_exposition(std::string_view accept) {
  Exposition best = Exposition::kPrometheusText;
  double quality = 0;
  while (!accept.empty()) {
    const std::size_t end = std::min(accept.find(','), accept.size());
    const Range range = read_range(accept.substr(0, end));
    accept.remove_prefix(std::min(end + 1, accept.size()));
    Exposition form = Exposition::kPrometheusText;
    if (range.type == "application/vnd.google.protobuf" && range.metric_family && range.delimited) {
      form = Exposition::kProtobuf;
    } else if (range.type == "application/openmetrics-text") {
      form = Exposition::kOpenMetrics;
    } else if (range.type != "text/plain") {
      continue;  // a wildcard gets text, which everybody can read
    }
    if (range.quality > quality || (range.quality == quality && quality > 0 && form > best)) {
      best = form;
      quality = range.quality;
    }
  }
  return best;
}

}  // namespace podsense::metrics
