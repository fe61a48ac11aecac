#include "foresight/distribution.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace podsense::foresight {
namespace {

template <std::size_t N>
double polynomial(const std::array<double, N>& coefficients, double x) {
  double sum = 0;
  for (const double one : coefficients) {
    sum = sum * x + one;
  }
  return sum;
}

Duration duration_of(double seconds) {
  return seconds < to_seconds(Distribution::kLongest) ? Duration(std::llround(seconds * 1e9))
                                                      : Distribution::kLongest;
}

}  // namespace

/// @source Peter Acklam's rational approximation (relative error 1.15e-9)
double normal_quantile(double u) {
  static constexpr std::array kA{-3.969683028665376e+01, 2.209460984245205e+02,
                                 -2.759285104469687e+02, 1.383577518672690e+02,
                                 -3.066479806614716e+01, 2.506628277459239e+00};
  static constexpr std::array kB{-5.447609879822406e+01, 1.615858368580409e+02,
                                 -1.556989798598866e+02, 6.680131188771972e+01,
                                 -1.328068155288572e+01, 1.0};
  static constexpr std::array kC{-7.784894002430293e-03, -3.223964580411365e-01,
                                 -2.400758277161838e+00, -2.549732539343734e+00,
                                 4.374664141464968e+00,  2.938163982698783e+00};
  static constexpr std::array kD{7.784695709041462e-03, 3.224671290700398e-01,
                                 2.445134137142996e+00, 3.754408661907416e+00, 1.0};
  constexpr double kTail = 0.02425;
  if (u > 1 - kTail) {
    return -normal_quantile(1 - u);
  }
  if (u < kTail) {
    const double q = std::sqrt(-2 * std::log(u));
    return polynomial(kC, q) / polynomial(kD, q);
  }
  const double q = u - 0.5;
  return polynomial(kA, q * q) * q / polynomial(kB, q * q);
}

Distribution Distribution::constant(Duration value) {
  Distribution made;
  made.first_ = to_seconds(value);
  made.fixed_ = duration_of(made.first_);
  return made;
}
Distribution Distribution::exponential(Duration mean) {
  Distribution made = constant(mean);
  made.kind_ = Kind::kExponential;
  return made;
}
Distribution Distribution::uniform(Duration low, Duration high) {
  Distribution made = constant(low);
  made.kind_ = Kind::kUniform;
  made.second_ = to_seconds(high);
  return made;
}
Distribution Distribution::lognormal(Duration median, double sigma) {
  Distribution made = constant(median);
  made.kind_ = Kind::kLognormal;
  made.second_ = sigma;
  return made;
}

Distribution Distribution::values(std::vector<std::pair<Duration, std::uint64_t>> counted) {
  std::ranges::sort(counted);
  double all = 0;
  double weighted = 0;
  for (const auto& [value, count] : counted) {
    all += static_cast<double>(count);
    weighted += static_cast<double>(count) * to_seconds(value);
  }
  Distribution made;
  made.kind_ = Kind::kValues;
  made.first_ = weighted / all;
  double before = 0;
  for (const auto& [value, count] : counted) {
    before += static_cast<double>(count);
    made.steps_.emplace_back(value, before / all);
  }
  return made;
}

Duration Distribution::drawn(double u) const {
  double seconds = first_;
  switch (kind_) {
    case Kind::kConstant:
      break;
    case Kind::kExponential:
      seconds = -first_ * std::log1p(-u);
      break;
    case Kind::kUniform:
      seconds = first_ + (second_ - first_) * u;
      break;
    case Kind::kLognormal:
      seconds = first_ * std::exp(second_ * normal_quantile(u));
      break;
    case Kind::kValues: {
      const auto step =
          std::ranges::lower_bound(steps_, u, {}, &std::pair<Duration, double>::second);
      return step == steps_.end() ? steps_.back().first : step->first;
    }
  }
  return duration_of(seconds);
}

double Distribution::mean_seconds() const {
  switch (kind_) {
    case Kind::kUniform:
      return (first_ + second_) / 2;
    case Kind::kLognormal:
      return first_ * std::exp(second_ * second_ / 2);
    default:
      return first_;
  }
}

}  // namespace podsense::foresight
