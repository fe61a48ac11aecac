#include "quantiles/rank_interval.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace podsense::quantiles {
namespace {

constexpr double kConfidence = 0.95;
/// Terms below this share of the greatest one are no part of a double's sum.
constexpr double kNegligible = 1e-20;

/// The binomial distribution's terms around its mode, up to a common factor.
class Terms {
 public:
  Terms(std::uint64_t count, double q)
      : count_(count),
        mode_(std::min(count, static_cast<std::uint64_t>(static_cast<double>(count + 1) * q))) {
    const auto n = static_cast<double>(count);
    const double odds = q / (1 - q);
    double term = 1;
    for (auto k = static_cast<double>(mode_); k < n && term > kNegligible; ++k) {
      above_.push_back(term = term * (n - k) / (k + 1) * odds);
    }
    term = 1;
    for (auto k = static_cast<double>(mode_); k > 0 && term > kNegligible; --k) {
      below_.push_back(term = term * k / (n - k + 1) / odds);
    }
    // Smallest first, for the sum's sake.
    for (const auto* side : {&above_, &below_}) {
      for (auto at = side->rbegin(); at != side->rend(); ++at) {
        sum_ += *at;
      }
    }
    sum_ += 1;
  }

  [[nodiscard]] std::uint64_t mode() const { return mode_; }
  [[nodiscard]] double wanted() const { return kConfidence * sum_; }
  [[nodiscard]] double all() const { return sum_; }
  [[nodiscard]] double at(std::uint64_t k) const {
    if (k > count_) {
      return 0;
    }
    const auto& side = k > mode_ ? above_ : below_;
    const std::uint64_t distance = k > mode_ ? k - mode_ : mode_ - k;
    return distance == 0 ? 1 : distance <= side.size() ? side[distance - 1] : 0;
  }

 private:
  std::uint64_t count_;
  std::uint64_t mode_;
  double sum_ = 0;
  std::vector<double> above_;  ///< mode + 1, mode + 2, …
  std::vector<double> below_;  ///< mode − 1, mode − 2, …
};

}  // namespace

RankInterval rank_interval(std::uint64_t count, double q) {
  if (count == 0) {
    return {};
  }
  const Terms terms(count, q);
  if (count > 1 && terms.all() - terms.at(0) - terms.at(count) >= terms.wanted()) {
    // The terms fall to both sides of the mode: taking the greater neighbour keeps it narrowest.
    std::uint64_t first = std::clamp<std::uint64_t>(terms.mode(), 1, count - 1);
    std::uint64_t last = first;
    for (double sum = terms.at(first); sum < terms.wanted();) {
      const double below = first > 1 ? terms.at(first - 1) : -1;
      const double above = last < count - 1 ? terms.at(last + 1) : -1;
      if (std::max(below, above) <= 0) {
        break;  // rounding: all that counts is in
      }
      sum += std::max(below, above);
      below > above ? --first : ++last;
    }
    return {.low = first, .high = last + 1};
  }
  double sum = 0;
  if (q >= 0.5) {
    std::uint64_t low = count + 1;
    while (low > 0 && sum < terms.wanted()) {
      sum += terms.at(--low);
    }
    return {.low = low, .high = std::nullopt};
  }
  std::uint64_t high = 0;
  while (sum < terms.wanted() && high <= count) {
    sum += terms.at(high++);
  }
  return high > count ? RankInterval{} : RankInterval{.low = 0, .high = high};
}

}  // namespace podsense::quantiles
