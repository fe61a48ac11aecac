#include "metrics/protobuf.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "base/protobuf_wire.h"
#include "metrics/histogram.h"

namespace podsense::metrics {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

WireMessage label(std::string_view name, std::string_view value) {
  WireMessage pair;
  pair.bytes(1, name);
  pair.bytes(2, value);
  return pair;
}

WireMessage exemplar_message(const Exemplar& exemplar) {
  const double seconds = std::floor(exemplar.unix_seconds);
  WireMessage time;
  time.number(1, static_cast<std::uint64_t>(seconds));
  time.number(2, static_cast<std::uint64_t>((exemplar.unix_seconds - seconds) * 1e9));
  WireMessage out;
  out.message(1, label("trace_id", exemplar.trace_id));
  out.real(2, exemplar.value);
  out.message(3, time);
  return out;
}

/// Writes spans of consecutive buckets, each with the gap before it, and the counts as differences
/// between buckets. Gaps of one or two buckets are filled with zeros, which is shorter than a new
/// span.
void append_native(WireMessage& out, const NativeBuckets& native) {
  constexpr int kFilledGap = 2;
  constexpr unsigned kPositiveSpan = 12;
  std::vector<std::int64_t> deltas;
  std::uint64_t length = 0;
  int offset = 0;
  int next = 0;  // the index that would continue the run
  std::int64_t before = 0;
  const auto append_count = [&](std::uint64_t count) {
    deltas.push_back(static_cast<std::int64_t>(count) - before);
    before = static_cast<std::int64_t>(count);
    ++length;
    ++next;
  };
  const auto end_run = [&] {
    if (length > 0) {
      WireMessage span;
      span.signed_number(1, offset);
      span.number(2, length);
      out.message(kPositiveSpan, span);
    }
  };
  for (const auto& [index, count] : native.buckets) {
    if (length == 0 || index - next > kFilledGap) {
      end_run();
      offset = index - next;
      next = index;
      length = 0;
    }
    while (next < index) {
      append_count(0);
    }
    append_count(count);
  }
  end_run();
  out.packed_signed(13, deltas);
}

/// Fixed and native buckets are read one after the other while requests continue. The count must
/// equal the sum of the native buckets, or scrapers reject them; no fixed bucket may exceed it.
WireMessage histogram_message(const Histogram& histogram) {
  const auto counts = histogram.counts();
  const Exemplars exemplars = histogram.exemplars();
  NativeBuckets native;
  std::uint64_t total = 0;
  for (const std::uint64_t count : counts) {
    total += count;
  }
  if (histogram.is_native()) {
    native = histogram.native();
    total = native.total();
  }
  WireMessage out;
  out.number(1, total);
  out.real(2, histogram.sum());
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    below = std::min(below + counts[i], total);
    const bool open = i == histogram.bounds().size();
    WireMessage bucket;
    bucket.number(1, open ? total : below);
    bucket.real(2, open ? HUGE_VAL : histogram.bounds()[i]);
    if (!exemplars[i].trace_id.empty()) {
      bucket.message(3, exemplar_message(exemplars[i]));
    }
    out.message(3, bucket);
  }
  if (histogram.is_native()) {
    out.signed_number(5, native.schema);
    out.real(6, native.zero_threshold);
    out.number(7, native.zero_count);
    append_native(out, native);
  }
  return out;
}

WireMessage metric_message(const MetricFamily& family, const ClientMetric& metric,
                           const HistogramOf& histogram_of) {
  WireMessage out;
  for (const auto& [name, value] : metric.label) {
    out.message(1, label(name, value));
  }
  if (family.type == MetricType::Histogram) {
    out.message(7, histogram_message(histogram_of(family.name, metric)));
    return out;
  }
  const bool counts = family.type == MetricType::Counter;
  WireMessage value;
  value.real(1, counts ? metric.counter.value : metric.gauge.value);
  out.message(counts ? 3 : 2, value);
  return out;
}

std::uint64_t type_number(MetricType type) {
  switch (type) {
    case MetricType::Counter:
      return 0;
    case MetricType::Gauge:
      return 1;
    case MetricType::Histogram:
      return 4;
    default:
      return 3;
  }
}

}  // namespace

std::string protobuf_exposition(const std::vector<MetricFamily>& families,
                                const HistogramOf& histogram_of) {
  std::string out;
  for (const MetricFamily& family : families) {
    if (family.metric.empty()) {
      continue;
    }
    WireMessage message;
    message.bytes(1, family.name);
    message.bytes(2, family.help);
    message.number(3, type_number(family.type));
    for (const ClientMetric& metric : family.metric) {
      message.message(4, metric_message(family, metric, histogram_of));
    }
    WireMessage::append_varint(out, message.encoded().size());
    out += message.encoded();
  }
  return out;
}

}  // namespace podsense::metrics
