#pragma once

/// What a server's /metrics says in protobuf, the only form that has native histograms.
/// @source Prometheus: io/prometheus/client/metrics.proto, "Native Histograms" specification

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "quantiles/duration_histogram.h"

namespace podsense::plan {

/// Exponential buckets: index i holds values above base^(i-1) up to base^i, base = 2^(2^-schema).
struct NativeHistogram {
  int schema = 0;
  double zero_threshold = 0;
  std::uint64_t zeros = 0;
  std::uint64_t count = 0;
  double sum = 0;
  std::map<int, std::uint64_t> buckets;

  /// Of the coarser of two schemas; counts of the one that came first are taken off.
  [[nodiscard]] NativeHistogram since(const NativeHistogram& before) const;
  void add(const NativeHistogram& other);
  [[nodiscard]] double mean() const { return count == 0 ? 0 : sum / static_cast<double>(count); }
  /// Values in the middle of their buckets, all times one factor so that their mean is `mean`
  /// seconds, which sums give exactly.
  [[nodiscard]] quantiles::DurationHistogram with_mean(double mean) const;
};

struct MetricPoint {
  std::string name;
  std::map<std::string, std::string, std::less<>> labels;
  double value = 0;           ///< of counters and gauges
  NativeHistogram histogram;  ///< of histograms; without native buckets they are empty
};

/// @errors kInvalidArgument: not delimited messages of that form
Result<std::vector<MetricPoint>> parse_protobuf_metrics(std::string_view bytes);

}  // namespace podsense::plan
