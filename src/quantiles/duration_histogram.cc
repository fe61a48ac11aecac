#include "quantiles/duration_histogram.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <numeric>

#include "quantiles/rank_interval.h"

namespace podsense::quantiles {
namespace {

std::uint64_t clamp_ns(Duration value) {
  return static_cast<std::uint64_t>(
      std::clamp(value, Duration::zero(), Duration(DurationHistogram::kLongest)).count());
}

}  // namespace

// The first power of two above sub_bits has twice as many buckets as each later one: bucket k of
// power p covers values with the same `sub_bits` leading bits after the first.
std::uint32_t DurationHistogram::bucket_of(std::uint64_t nanoseconds) const {
  const std::uint64_t units = nanoseconds >> layout_.unit_bits;
  const auto width = static_cast<int>(std::bit_width(units));
  const int power = std::max(0, width - (layout_.sub_bits + 1));
  return static_cast<std::uint32_t>((static_cast<std::uint64_t>(power) << layout_.sub_bits) +
                                    (units >> power));
}

DurationHistogram::Bounds DurationHistogram::bounds(std::uint32_t bucket) const {
  const std::uint32_t half = 1U << layout_.sub_bits;
  const std::uint32_t power = bucket < 2 * half ? 0 : (bucket >> layout_.sub_bits) - 1;
  const std::uint64_t units = (bucket - (static_cast<std::uint64_t>(power) << layout_.sub_bits))
                              << power;
  const std::uint64_t width = std::uint64_t{1} << power;
  return {.low = units << layout_.unit_bits, .high = (units + width) << layout_.unit_bits};
}

std::uint32_t DurationHistogram::bucket_count() const {
  return bucket_of(clamp_ns(kLongest)) + 1;
}

std::uint64_t& DurationHistogram::counter(std::uint32_t bucket) {
  if (counts_.empty()) {
    counts_.resize(((bucket_count() - 1) >> layout_.sub_bits) + 1);
  }
  const std::size_t part = std::size_t{1} << layout_.sub_bits;
  std::vector<std::uint64_t>& counts = counts_[bucket >> layout_.sub_bits];
  if (counts.empty()) {
    counts.resize(part);
  }
  return counts[bucket & (part - 1)];
}

void DurationHistogram::record(Duration value) {
  const std::uint64_t ns = clamp_ns(value);
  const Duration held{static_cast<Duration::rep>(ns)};
  ++counter(bucket_of(ns));
  min_ = count_ == 0 ? held : std::min(min_, held);
  max_ = std::max(max_, held);
  ++count_;
  sum_ns_ += ns;
}

void DurationHistogram::merge(const DurationHistogram& other) {
  assert(layout_ == other.layout_);
  if (other.count_ == 0) {
    return;
  }
  if (counts_.empty()) {
    counts_.resize(other.counts_.size());
  }
  for (std::size_t i = 0; i < other.counts_.size(); ++i) {
    counts_[i].resize(std::max(counts_[i].size(), other.counts_[i].size()));
    for (std::size_t j = 0; j < other.counts_[i].size(); ++j) {
      counts_[i][j] += other.counts_[i][j];
    }
  }
  min_ = count_ == 0 ? other.min_ : std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
  count_ += other.count_;
  sum_ns_ += other.sum_ns_;
}

void DurationHistogram::clear() {
  *this = DurationHistogram(layout_);
}

Duration DurationHistogram::mean() const {
  return Duration(count_ == 0 ? 0 : static_cast<Duration::rep>(sum_ns_ / count_));
}

Duration DurationHistogram::stddev() const {
  if (count_ == 0) {
    return {};
  }
  const double mean_ns = static_cast<double>(sum_ns_) / static_cast<double>(count_);
  double squares = 0;
  for (const auto& [bucket, number] : buckets()) {
    const Bounds held = bounds(bucket);
    const double off = static_cast<double>(held.low + held.high) / 2 - mean_ns;
    squares += off * off * static_cast<double>(number);
  }
  return Duration(static_cast<Duration::rep>(std::sqrt(squares / static_cast<double>(count_))));
}

std::uint32_t DurationHistogram::bucket_at_rank(std::uint64_t rank) const {
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    for (std::size_t j = 0; j < counts_[i].size(); ++j) {
      below += counts_[i][j];
      if (below >= rank) {
        return static_cast<std::uint32_t>((i << layout_.sub_bits) + j);
      }
    }
  }
  return bucket_count() - 1;
}

Duration DurationHistogram::at_rank(std::uint64_t rank) const {
  if (count_ == 0) {
    return {};
  }
  // The bucket's last value, as HdrHistogram answers; never beyond what was seen.
  const std::uint32_t bucket = bucket_at_rank(std::clamp<std::uint64_t>(rank, 1, count_));
  const Duration last(static_cast<Duration::rep>(bounds(bucket).high - 1));
  return std::clamp(last, min_, max_);
}

Duration DurationHistogram::quantile(double q) const {
  // The epsilon keeps 0.9 × 10 at rank 9, which binary fractions would make 10.
  const double wanted = std::ceil(q * static_cast<double>(count_) - 1e-9);
  return at_rank(wanted < 1 ? 1 : static_cast<std::uint64_t>(wanted));
}

DurationHistogram::Interval DurationHistogram::confidence(double q) const {
  const RankInterval ranks = rank_interval(count_, q);
  Interval interval;
  if (ranks.low > 0) {
    const Duration first(static_cast<Duration::rep>(bounds(bucket_at_rank(ranks.low)).low));
    interval.low = std::clamp(first, min_, max_);
  }
  if (ranks.high) {
    interval.high = at_rank(*ranks.high);
  }
  return interval;
}

std::uint64_t DurationHistogram::count_to(Duration limit) const {
  const std::size_t last = bucket_of(clamp_ns(limit));
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < counts_.size() && i << layout_.sub_bits <= last; ++i) {
    const std::size_t first = i << layout_.sub_bits;
    const std::size_t end = std::min(counts_[i].size(), last + 1 - first);
    sum = std::accumulate(counts_[i].begin(), counts_[i].begin() + static_cast<std::ptrdiff_t>(end),
                          sum);
  }
  return sum;
}

std::vector<DurationHistogram::Bucket> DurationHistogram::buckets() const {
  std::vector<Bucket> occupied;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    for (std::size_t j = 0; j < counts_[i].size(); ++j) {
      if (counts_[i][j] > 0) {
        occupied.emplace_back(static_cast<std::uint32_t>((i << layout_.sub_bits) + j),
                              counts_[i][j]);
      }
    }
  }
  return occupied;
}

Result<DurationHistogram> DurationHistogram::restore(Layout layout, std::span<const Bucket> buckets,
                                                     Extremes extremes) {
  if (layout.unit_bits < 0 || layout.unit_bits > 20 || layout.sub_bits < 1 ||
      layout.sub_bits > 14) {
    return fail(ErrorCode::kInvalidArgument, "a histogram's layout is out of range");
  }
  DurationHistogram histogram(layout);
  const std::uint32_t size = histogram.bucket_count();
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    const auto& [bucket, number] = buckets[i];
    if (bucket >= size || (i > 0 && bucket <= buckets[i - 1].first)) {
      return fail(ErrorCode::kInvalidArgument,
                  "a histogram's buckets must ascend and lie within its layout");
    }
    histogram.counter(bucket) = number;
    histogram.count_ += number;
  }
  histogram.min_ = extremes.min;
  histogram.max_ = extremes.max;
  histogram.sum_ns_ = extremes.sum_ns;
  return histogram;
}

}  // namespace podsense::quantiles
