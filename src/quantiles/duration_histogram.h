#pragma once

/// Durations counted in buckets of equal relative width (HDR histogram): recording is one shift and
/// one addition, and merging adds counts, so it loses nothing.
/// @source Gil Tene's HdrHistogram: linear sub-buckets inside powers of two
/// @threads confined to one thread

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

namespace podsense::quantiles {

class DurationHistogram {
 public:
  /// `unit_bits`: the smallest difference told apart is 2^unit_bits ns. `sub_bits`: values at or
  /// above 2^(unit_bits + sub_bits) ns are told apart to one part in 2^sub_bits.
  struct Layout {
    int unit_bits = 6;
    int sub_bits = 10;
    friend bool operator==(const Layout&, const Layout&) = default;
  };
  /// Three digits: 64 ns below 66 µs, then 0.1 %. 25,000 counters.
  static constexpr Layout kFine{.unit_bits = 6, .sub_bits = 10};
  /// Under two digits, for one histogram a second: 1.6 %. 1,600 counters.
  static constexpr Layout kCoarse{.unit_bits = 10, .sub_bits = 6};
  /// Longer durations count as this one; `max` is cut likewise.
  static constexpr Duration kLongest = std::chrono::minutes(10);

  DurationHistogram() = default;
  explicit DurationHistogram(Layout layout) : layout_(layout) {}

  /// Negative durations count as zero.
  void record(Duration value);
  /// Histograms of one layout only: an assertion otherwise.
  void merge(const DurationHistogram& other);
  void clear();

  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] Duration min() const { return count_ == 0 ? Duration() : min_; }
  [[nodiscard]] Duration max() const { return max_; }
  [[nodiscard]] Duration mean() const;
  [[nodiscard]] Duration stddev() const;

  /// The smallest recorded value (to the layout's width) that at least the share `q` of all values
  /// do not exceed. Zero without values.
  /// @param q 0..1
  [[nodiscard]] Duration quantile(double q) const;
  /// The value at a rank, 1..count().
  [[nodiscard]] Duration at_rank(std::uint64_t rank) const;

  /// Between which two values the true quantile lies with 95 % confidence, for independent values:
  /// the narrowest pair of order statistics (rank_interval.h), widened to the layout's buckets.
  struct Interval {
    Duration low{};                ///< zero: nothing is known
    std::optional<Duration> high;  ///< unset: open, since too few values lie above the quantile
  };
  [[nodiscard]] Interval confidence(double q) const;

  /// How many values are at or below `limit`, to the layout's width.
  [[nodiscard]] std::uint64_t count_to(Duration limit) const;

  /// Occupied buckets, ascending: number and count. With `restore`, the way to a file and back.
  using Bucket = std::pair<std::uint32_t, std::uint64_t>;
  [[nodiscard]] std::vector<Bucket> buckets() const;
  [[nodiscard]] Layout layout() const { return layout_; }
  [[nodiscard]] std::uint64_t sum_ns() const { return sum_ns_; }
  struct Extremes {
    Duration min{};
    Duration max{};
    std::uint64_t sum_ns = 0;
  };
  /// @errors kInvalidArgument: a bucket beyond the layout, or out of order
  static Result<DurationHistogram> restore(Layout layout, std::span<const Bucket> buckets,
                                           Extremes extremes);

  /// The values a bucket holds: [low, high) in nanoseconds.
  struct Bounds {
    std::uint64_t low = 0;
    std::uint64_t high = 0;
  };
  [[nodiscard]] Bounds bounds(std::uint32_t bucket) const;

 private:
  /// That of the value at a rank, 1..count(). Only where there are values.
  [[nodiscard]] std::uint32_t bucket_at_rank(std::uint64_t rank) const;
  [[nodiscard]] std::uint32_t bucket_of(std::uint64_t nanoseconds) const;
  [[nodiscard]] std::uint32_t bucket_count() const;
  /// Makes its place.
  std::uint64_t& counter(std::uint32_t bucket);

  Layout layout_ = kFine;
  /// By power of two, 2^sub_bits counters each; empty until something is recorded there: values
  /// of one second are mostly of a few.
  std::vector<std::vector<std::uint64_t>> counts_;
  std::uint64_t count_ = 0;
  std::uint64_t sum_ns_ = 0;
  Duration min_{};
  Duration max_{};
};

}  // namespace podsense::quantiles
