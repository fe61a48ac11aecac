#include "quantiles/histogram_json.h"

#include <utility>

namespace podsense::quantiles {

nlohmann::ordered_json histogram_json(const DurationHistogram& histogram) {
  auto buckets = nlohmann::ordered_json::array();
  for (const auto& [bucket, count] : histogram.buckets()) {
    buckets.push_back({bucket, count});
  }
  return {{"unit_bits", histogram.layout().unit_bits},
          {"sub_bits", histogram.layout().sub_bits},
          {"min_ns", histogram.min().count()},
          {"max_ns", histogram.max().count()},
          {"sum_ns", histogram.sum_ns()},
          {"buckets", std::move(buckets)}};
}

}  // namespace podsense::quantiles
