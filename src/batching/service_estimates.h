#pragma once

/// Estimates the time of a row by its size. One estimate is enough if all rows of a model have the
/// same size. If sizes vary (dynamic dimensions, texts), each power of two of a row's size has its
/// own estimate: large rows are not underestimated and do not raise the estimate of small ones. The
/// estimate of a new size is that of the next smaller known size, scaled in proportion, but at most
/// that of the next larger known size.
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
  /// `first`: the estimate for all sizes until a run is observed.
  explicit ServiceEstimates(Duration first = {}) : all_{.recent = first, .lasting = first} {}

  /// `size`: bytes of a row; 0: all rows have the same size. `cut_short`: the run was cancelled and
  /// would have taken longer.
  void observe(std::uint64_t size, Duration row, bool cut_short) {
    observe(all_, row, cut_short);
    if (size > 0) {
      observe(of_size_[order(size)], row, cut_short);
    }
  }

  /// The estimate for admission.
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
  /// The estimate over recent rows of all sizes.
  [[nodiscard]] const ServiceEstimate& all() const { return all_; }

 private:
  /// Sizes with 1 to 64 bits; index 0 is unused.
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
    constexpr double kMost = 300;  // seconds; prevents overflow when multiplied by rows
    const auto orders = static_cast<int>(wanted) - static_cast<int>(of);
    return std::max(from_seconds(std::min(kMost, std::ldexp(to_seconds(known), orders))),
                    Duration(1));
  }

  ServiceEstimate all_;
  std::array<ServiceEstimate, kOrders> of_size_{};  ///< zero: not observed
};

}  // namespace podsense::batching
