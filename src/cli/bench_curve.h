#pragma once

/// The curve of latency against rate, in characters. Pure.

#include <cstddef>
#include <span>
#include <string>

namespace podsense::cli {

/// What was measured at one rate.
struct CurvePoint {
  double rate = 0;  ///< requests a second
  double p50 = 0;   ///< seconds
  double p99 = 0;   ///< seconds
};

/// A picture of the points, in rising order of rate: rates from left to right, latencies from
/// below, on a logarithmic scale, with a line at what p99 may be. Empty without points.
/// @param slo      seconds
/// @param columns  no line is longer; at least 40
std::string curve(std::span<const CurvePoint> points, double slo, std::size_t columns);

}  // namespace podsense::cli
