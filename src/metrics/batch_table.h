#pragma once

/// Counts the runs of one model version by their number of rows. Internal to this module.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "metrics/metrics.h"

namespace podsense::metrics {

/// Counting needs two atomic additions, or three for runs with preparation time, and never
/// allocates. @threads thread-safe
class BatchTable {
 public:
  /// Sizes from 1 to this each have a fixed slot.
  static constexpr std::size_t kSmall = 64;
  /// Slots for larger sizes, given to the first sizes that occur. Requests choose their rows, so
  /// the number of sizes is unlimited; sizes without a slot are not listed.
  static constexpr std::size_t kLarge = 64;

  void add(std::size_t size, Duration input, Duration compute);
  /// The sizes that were run, smallest first.
  [[nodiscard]] std::vector<ModelMetrics::Batch> all() const;

 private:
  struct alignas(32) Place {             // two per cache line, none across two
    std::atomic<std::uint64_t> size{0};  ///< 0: free
    std::atomic<std::uint64_t> runs{0};
    std::atomic<std::uint64_t> input_ns{0};
    std::atomic<std::uint64_t> compute_ns{0};
  };
  /// Null: all slots are taken.
  Place* place(std::size_t size);

  std::array<Place, kSmall + kLarge> places_;
};

}  // namespace podsense::metrics
