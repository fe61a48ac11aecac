#include "metrics/openmetrics.h"

#include <array>
#include <charconv>
#include <cmath>
#include <string_view>

#include "metrics/histogram.h"

namespace podsense::metrics {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

/// The shortest text that parses back to the same value; whole numbers keep ".0", as in the
/// specification's canonical numbers.
std::string number(double value) {
  if (std::isnan(value)) {
    return "NaN";
  }
  if (std::isinf(value)) {
    return value > 0 ? "+Inf" : "-Inf";
  }
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  std::string out(text.data(), end);
  if (out.find_first_of(".en") == out.npos) {
    out += ".0";
  }
  return out;
}

void append_escaped(std::string& out, std::string_view text) {
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '"' || c == '\\') {
      out += '\\';
    }
    out += c;
  }
}

/// `{a="1",b="2"}`, with `le` last where given; nothing without labels.
void append_labels(std::string& out, const ClientMetric& metric, std::string_view le = {}) {
  if (metric.label.empty() && le.empty()) {
    return;
  }
  char before = '{';
  const auto append = [&](std::string_view name, std::string_view value) {
    out += before;
    out += name;
    out += "=\"";
    append_escaped(out, value);
    out += '"';
    before = ',';
  };
  for (const auto& label : metric.label) {
    append(label.name, label.value);
  }
  if (!le.empty()) {
    append("le", le);
  }
  out += '}';
}

void append_exemplar(std::string& out, const Exemplar& exemplar) {
  out.append(" # {trace_id=\"").append(exemplar.trace_id).append("\"} ");
  out.append(number(exemplar.value)).append(" ").append(number(exemplar.unix_seconds));
}

void append_histogram(std::string& out, const std::string& name, const ClientMetric& metric,
                      const Exemplars& exemplars) {
  for (std::size_t i = 0; i < metric.histogram.bucket.size(); ++i) {
    const auto& bucket = metric.histogram.bucket[i];
    out.append(name).append("_bucket");
    append_labels(out, metric, number(bucket.upper_bound));
    out.append(" ").append(std::to_string(bucket.cumulative_count));
    if (i < exemplars.size() && !exemplars[i].trace_id.empty()) {
      append_exemplar(out, exemplars[i]);
    }
    out += '\n';
  }
  out.append(name).append("_sum");
  append_labels(out, metric);
  out.append(" ").append(number(metric.histogram.sample_sum)).append("\n");
  out.append(name).append("_count");
  append_labels(out, metric);
  out.append(" ").append(std::to_string(metric.histogram.sample_count)).append("\n");
}

/// A counter family's name, without the "_total" suffix of its samples.
std::string family_name(const MetricFamily& family) {
  constexpr std::string_view kTotal = "_total";
  std::string name = family.name;
  if (family.type == MetricType::Counter && name.ends_with(kTotal)) {
    name.resize(name.size() - kTotal.size());
  }
  return name;
}

std::string_view type_name(MetricType type) {
  switch (type) {
    case MetricType::Counter:
      return "counter";
    case MetricType::Gauge:
      return "gauge";
    case MetricType::Histogram:
      return "histogram";
    default:
      return "unknown";
  }
}

std::string_view unit_of(std::string_view name) {
  for (const std::string_view unit : {"seconds", "bytes"}) {
    if (name.ends_with(unit) && name.size() > unit.size() &&
        name[name.size() - unit.size() - 1] == '_') {
      return unit;
    }
  }
  return {};
}

void append_head(std::string& out, const MetricFamily& family) {
  const std::string name = family_name(family);
  out.append("# TYPE ").append(name).append(" ").append(type_name(family.type)).append("\n");
  if (const auto unit = unit_of(name); !unit.empty()) {
    out.append("# UNIT ").append(name).append(" ").append(unit).append("\n");
  }
  out.append("# HELP ").append(name).append(" ");
  append_escaped(out, family.help);
  out += '\n';
}

}  // namespace

std::string openmetrics_text(const std::vector<MetricFamily>& families,
                             const HistogramOf& histogram_of) {
  std::string out;
  out.reserve(16U << 10U);
  for (const MetricFamily& family : families) {
    if (family.metric.empty()) {
      continue;
    }
    append_head(out, family);
    for (const ClientMetric& metric : family.metric) {
      if (family.type == MetricType::Histogram) {
        append_histogram(out, family.name, metric, histogram_of(family.name, metric).exemplars());
        continue;
      }
      const bool counts = family.type == MetricType::Counter;
      out.append(family.name);
      append_labels(out, metric);
      out.append(" ").append(number(counts ? metric.counter.value : metric.gauge.value));
      out += '\n';
    }
  }
  out += "# EOF\n";
  return out;
}

}  // namespace podsense::metrics
