#pragma once

/// Integer arithmetic as Go defines it (wrapping), and float conversion as Go compiles it for
/// amd64. The autoscaler's controller relies on both where values overflow.

#include <cstdint>
#include <limits>

namespace podsense::foresight {

constexpr std::int64_t wrap_add(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}
constexpr std::int64_t wrap_multiply(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b));
}
constexpr std::int32_t wrap_add(std::int32_t a, std::int32_t b) {
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(a) + static_cast<std::uint32_t>(b));
}
constexpr std::int32_t wrap_subtract(std::int32_t a, std::int32_t b) {
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(a) - static_cast<std::uint32_t>(b));
}
/// `b` is not 0.
constexpr std::int64_t divide(std::int64_t a, std::int64_t b) {
  return b == -1 ? wrap_multiply(a, -1) : a / b;
}
/// Truncated; what int32 does not hold, and NaN, become the least int32.
constexpr std::int32_t to_int32(double value) {
  constexpr double kBound = 2147483648.0;
  const bool fits = value > -kBound - 1.0 && value < kBound;
  return fits ? static_cast<std::int32_t>(value) : std::numeric_limits<std::int32_t>::min();
}

}  // namespace podsense::foresight
