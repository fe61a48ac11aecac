#pragma once

/// How a duration is distributed, as the inverse of its distribution function: one random number
/// gives one duration, and a larger one a longer.

#include <cstdint>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace podsense::foresight {

/// Immutable.
class Distribution {
 public:
  /// Always zero.
  Distribution() = default;
  static Distribution constant(Duration value);
  static Distribution exponential(Duration mean);
  static Distribution uniform(Duration low, Duration high);
  /// exp of a normal distribution: `sigma` is the deviation of the logarithm.
  static Distribution lognormal(Duration median, double sigma);
  /// Measured values with their counts; between two of them nothing is made up.
  /// @pre not empty, counts above 0 in sum
  static Distribution values(std::vector<std::pair<Duration, std::uint64_t>> counted);

  /// @param u above 0 and below 1. Never negative; at most kLongest.
  [[nodiscard]] Duration at(double u) const { return is_constant() ? fixed_ : drawn(u); }
  /// `at` does not look at its number.
  [[nodiscard]] bool is_constant() const { return kind_ == Kind::kConstant; }
  [[nodiscard]] double mean_seconds() const;

  static constexpr Duration kLongest = std::chrono::hours(1000);

 private:
  [[nodiscard]] Duration drawn(double u) const;

  enum class Kind : std::uint8_t { kConstant, kExponential, kUniform, kLognormal, kValues };
  Kind kind_ = Kind::kConstant;
  Duration fixed_{};                                ///< kConstant
  double first_ = 0;                                ///< seconds: the value, mean, low or median
  double second_ = 0;                               ///< seconds: high; or sigma
  std::vector<std::pair<Duration, double>> steps_;  ///< value, share of all up to it
};

/// The standard normal distribution's inverse, to 1e-9.
double normal_quantile(double u);

}  // namespace podsense::foresight
