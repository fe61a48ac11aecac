#pragma once

/// How long a row takes, by its size. Where all rows of a model are alike, one estimate says it.
/// Where they are not (open dimensions, texts), each power of two of a row's size has an estimate
/// of its own: a row a hundred times larger neither is taken for a small one nor makes small ones
/// seem dear. A size that was not seen yet is taken to cost in proportion to the next smaller one
/// that was, and no more than the next larger one.
/// @threads confined

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "base/clock.h"
#include "batching/policy.h"

namespace podsense::batching {

class ServiceEstimates {
 public:
  /// `first`: of a row of whatever size, until one was seen.
  explicit ServiceEstimates(Duration first = {}) : all_{.recent = first, .lasting = first} {}

  /// `size`: bytes of a row; 0: all are alike. A run that was cut short would have taken longer.
  void observe(std::uint64_t size, Duration row, bool cut_short) {
    observe(all_, row, cut_short);
    if (size > 0) {
      observe(of_size_[order(size)], row, cut_short);
    }
  }

  /// By which admission goes.
  [[nodiscard]] Duration row(std::uint64_t size) const {
    if (size == 0) {
      return all_.conservative();
    }
    const std::size_t wanted = order(size);
    if (const Duration known = at(wanted); known > Duration::zero()) {
      return known;
    }
    std::size_t below = wanted;
    while (below > 0 && at(below) == Duration::zero()) {
      --below;
    }
    std::size_t above = wanted;
    while (above < kOrders && at(above) == Duration::zero()) {
      ++above;
    }
    if (above == kOrders) {
      return below == 0 ? all_.conservative() : scaled(at(below), wanted, below);
    }
    return below == 0 ? scaled(at(above), wanted, above)
                      : std::min(scaled(at(below), wanted, below), at(above));
  }
  /// Of the rows that came lately, whatever their size.
  [[nodiscard]] const ServiceEstimate& all() const { return all_; }

 private:
  /// Of 1 to 64 bits; the first place stays empty.
  static constexpr std::size_t kOrders = 65;
  static std::size_t order(std::uint64_t size) {
    return static_cast<std::size_t>(std::bit_width(size));
  }
  [[nodiscard]] Duration at(std::size_t order) const { return of_size_[order].conservative(); }

  static void observe(ServiceEstimate& estimate, Duration row, bool cut_short) {
    if (cut_short) {
      estimate.observe_at_least(row);
    } else {
      estimate.observe(row);
    }
  }
  static Duration scaled(Duration known, std::size_t wanted, std::size_t of) {
    constexpr double kMost = 300;  // seconds: times any number of rows it is still a Duration
    const auto orders = static_cast<int>(wanted) - static_cast<int>(of);
    return std::max(from_seconds(std::min(kMost, std::ldexp(to_seconds(known), orders))),
                    Duration(1));
  }

  ServiceEstimate all_;
  std::array<ServiceEstimate, kOrders> of_size_{};  ///< zero: not seen
};

}  // namespace podsense::batching
