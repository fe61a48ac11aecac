#pragma once

/// Draws latency against rate as text. Pure.

#include <cstddef>
#include <span>
#include <string>

namespace podsense::cli {

/// The measurement at one rate.
struct CurvePoint {
  double rate = 0;  ///< requests per second
  double p50 = 0;   ///< seconds
  double p99 = 0;   ///< seconds
};

/// Draws the points, which must be in rising order of rate: rates from left to right, latencies
/// from bottom to top on a logarithmic scale, with a line at the limit of p99. Empty without
/// points.
/// @param slo      seconds
/// @param columns maximum line length; at least 40
std::string curve(std::span<const CurvePoint> points, double slo, std::size_t columns);

}  // namespace podsense::cli
