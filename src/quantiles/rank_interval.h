#pragma once

/// Between which order statistics a quantile lies, whatever the distribution. Pure. Private to the
/// module.

#include <cstdint>
#include <optional>

namespace podsense::quantiles {

/// Ranks count from 1. The quantile lies between the values at both ranks.
struct RankInterval {
  std::uint64_t low = 0;              ///< 0: no value is below it with that confidence
  std::optional<std::uint64_t> high;  ///< unset: no value is above it with that confidence
};

/// The narrowest pair of ranks that holds the quantile `q` of `count` independent values with at
/// least 95 % confidence. Where no pair does, the interval is open at the nearer end.
/// @param q 0 < q < 1
/// @source H. A. David, H. N. Nagaraja, Order Statistics, 7.1: the number of values at or below the
/// quantile is binomial, so P(X(low) ≤ quantile ≤ X(high)) ≥ P(low ≤ B < high)
RankInterval rank_interval(std::uint64_t count, double q);

}  // namespace podsense::quantiles
