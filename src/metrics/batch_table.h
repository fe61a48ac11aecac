#pragma once

/// Runs of one model version by the number of their rows. Internal to this module.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "metrics/metrics.h"

namespace podsense::metrics {

/// Counting costs two atomic additions, three where there was something to prepare, and never
/// allocates. @threads thread-safe
class BatchTable {
 public:
  /// Sizes from 1 to this have places of their own.
  static constexpr std::size_t kSmall = 64;
  /// Larger ones, first come, first served: requests choose their rows, so there may be any number
  /// of sizes. Those that find no place are not listed.
  static constexpr std::size_t kLarge = 64;

  void add(std::size_t size, Duration input, Duration compute);
  /// Sizes that were run, the smallest first.
  [[nodiscard]] std::vector<ModelMetrics::Batch> all() const;

 private:
  struct alignas(32) Place {             // two to a cache line, none on two
    std::atomic<std::uint64_t> size{0};  ///< 0: free
    std::atomic<std::uint64_t> runs{0};
    std::atomic<std::uint64_t> input_ns{0};
    std::atomic<std::uint64_t> compute_ns{0};
  };
  /// Null: there is no room.
  Place* place(std::size_t size);

  std::array<Place, kSmall + kLarge> places_;
};

}  // namespace podsense::metrics
