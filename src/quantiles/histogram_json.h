#pragma once

/// A histogram as every report, profile and plan has it: its layout and its occupied buckets, from
/// which DurationHistogram::restore makes it again.

#include <nlohmann/json.hpp>

#include "quantiles/duration_histogram.h"

namespace podsense::quantiles {

/// {"unit_bits", "sub_bits", "min_ns", "max_ns", "sum_ns", "buckets": [[number, count], …]}
nlohmann::ordered_json histogram_json(const DurationHistogram& histogram);

}  // namespace podsense::quantiles
