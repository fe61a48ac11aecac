#include "quantiles/duration_histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "quantiles/rank_interval.h"

namespace podsense::quantiles {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

std::vector<Duration> sample(std::size_t count) {
  std::mt19937_64 random(7);
  std::lognormal_distribution<double> latency(std::log(20e6), 1.0);  // around 20 ms
  std::vector<Duration> values(count);
  for (Duration& value : values) {
    value = Duration(static_cast<Duration::rep>(latency(random)));
  }
  return values;
}

TEST(DurationHistogram, KeepsThreeDigitsFromAMicrosecondToTenMinutes) {
  for (double ns = 1000; ns < 6e11; ns *= 1.37) {
    DurationHistogram histogram;
    const Duration value(static_cast<Duration::rep>(ns));
    histogram.record(value);
    histogram.record(DurationHistogram::kLongest);  // so that `max` does not cut the bucket
    const auto seen = static_cast<double>(histogram.quantile(0.5).count());
    EXPECT_LE(std::abs(seen - ns), std::max(64.0, ns * 0.001)) << ns;
  }
}

TEST(DurationHistogram, QuantilesAreTheSortedValuesOnes) {
  const std::vector<Duration> values = sample(20001);
  DurationHistogram histogram;
  for (const Duration value : values) {
    histogram.record(value);
  }
  std::vector<Duration> sorted = values;
  std::ranges::sort(sorted);
  for (const double q : {0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999}) {
    const auto rank = static_cast<std::size_t>(std::ceil(q * static_cast<double>(values.size())));
    const auto exact = static_cast<double>(sorted[rank - 1].count());
    EXPECT_NEAR(static_cast<double>(histogram.quantile(q).count()), exact, exact * 0.001) << q;
  }
  EXPECT_EQ(histogram.max(), sorted.back());
  EXPECT_EQ(histogram.min(), sorted.front());
}

TEST(DurationHistogram, MergesToWhatOneHistogramWouldHaveCounted) {
  const std::vector<Duration> values = sample(5000);
  DurationHistogram whole;
  DurationHistogram parts[3];
  for (std::size_t i = 0; i < values.size(); ++i) {
    whole.record(values[i]);
    parts[i % 3].record(values[i]);
  }
  DurationHistogram merged;
  for (const DurationHistogram& part : parts) {
    merged.merge(part);
  }
  EXPECT_EQ(merged.buckets(), whole.buckets());
  EXPECT_EQ(merged.min(), whole.min());
  EXPECT_EQ(merged.max(), whole.max());
  EXPECT_EQ(merged.sum_ns(), whole.sum_ns());
}

TEST(DurationHistogram, MergesValuesOfPowersThatTheOtherHasNot) {
  for (const DurationHistogram::Layout layout :
       {DurationHistogram::kFine, DurationHistogram::kCoarse}) {
    DurationHistogram quick(layout);
    DurationHistogram slow(layout);
    DurationHistogram both(layout);
    for (const Duration value :
         {Duration(1), Duration(microseconds(90)), Duration(milliseconds(2))}) {
      quick.record(value);
      both.record(value);
    }
    for (const Duration value : {Duration(std::chrono::seconds(3)), DurationHistogram::kLongest}) {
      slow.record(value);
      both.record(value);
    }
    for (auto [first, second] : {std::pair(quick, slow), std::pair(slow, quick)}) {
      first.merge(second);
      EXPECT_EQ(first.buckets(), both.buckets());
      EXPECT_EQ(first.quantile(0.6), both.quantile(0.6));
      EXPECT_EQ(first.count_to(milliseconds(2)), 3U);
      EXPECT_EQ(first.count_to(microseconds(100)), 2U);
      EXPECT_EQ(first.max(), DurationHistogram::kLongest);
    }
  }
}

TEST(DurationHistogram, ComesBackFromItsBuckets) {
  DurationHistogram histogram;
  for (const Duration value : sample(1000)) {
    histogram.record(value);
  }
  const auto restored = DurationHistogram::restore(
      histogram.layout(), histogram.buckets(),
      {.min = histogram.min(), .max = histogram.max(), .sum_ns = histogram.sum_ns()});
  ASSERT_TRUE(restored);
  EXPECT_EQ(restored->count(), 1000U);
  EXPECT_EQ(restored->buckets(), histogram.buckets());
  EXPECT_EQ(restored->quantile(0.99), histogram.quantile(0.99));
}

TEST(DurationHistogram, RefusesBucketsBeyondItsLayout) {
  const std::vector<DurationHistogram::Bucket> beyond{{4000000, 1}};
  EXPECT_FALSE(DurationHistogram::restore(DurationHistogram::kFine, beyond, {}));
  const std::vector<DurationHistogram::Bucket> descending{{5, 1}, {4, 1}};
  EXPECT_FALSE(DurationHistogram::restore(DurationHistogram::kFine, descending, {}));
}

TEST(DurationHistogram, HoldsWhatIsOutOfRangeAtItsEnds) {
  DurationHistogram histogram;
  histogram.record(Duration(-5));
  histogram.record(std::chrono::hours(2));
  EXPECT_EQ(histogram.min(), Duration::zero());
  EXPECT_EQ(histogram.max(), Duration(DurationHistogram::kLongest));
  EXPECT_EQ(histogram.count(), 2U);
}

/// How often the interval holds the true quantile, over so many samples. A sample's order
/// statistics are those of uniform values, so only how many of them lie below `q` matters: that is
/// drawn directly.
double coverage(std::uint64_t count, double q, int samples) {
  const RankInterval ranks = rank_interval(count, q);
  std::mt19937_64 random(11);
  std::binomial_distribution<std::uint64_t> below(count, q);
  int held = 0;
  for (int i = 0; i < samples; ++i) {
    const std::uint64_t under = below(random);
    held += ranks.low <= under && (!ranks.high || under < *ranks.high) ? 1 : 0;
  }
  return static_cast<double>(held) / samples;
}

TEST(RankInterval, HoldsTheQuantileAtLeast945TimesIn1000) {
  for (const std::uint64_t count :
       {20, 21, 35, 50, 73, 100, 200, 298, 299, 300, 500, 1000, 2000, 2994, 2995, 5000, 10000}) {
    for (const double q : {0.01, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999}) {
      EXPECT_GE(coverage(count, q, 40000), 0.945) << count << " values, quantile " << q;
    }
  }
}

/// The same without chance: the sum of the binomial distribution's terms between the ranks.
double exact_coverage(std::uint64_t count, double q) {
  const RankInterval ranks = rank_interval(count, q);
  const auto n = static_cast<double>(count);
  const std::uint64_t end = ranks.high.value_or(count + 1);
  const auto first = static_cast<double>(ranks.low);
  double term = std::exp(std::lgamma(n + 1) - std::lgamma(first + 1) - std::lgamma(n - first + 1) +
                         first * std::log(q) + (n - first) * std::log(1 - q));
  double sum = 0;
  for (std::uint64_t k = ranks.low; k < end; ++k) {
    sum += term;
    const auto x = static_cast<double>(k);
    term *= (n - x) / (x + 1) * q / (1 - q);
  }
  return sum;
}

TEST(RankInterval, ReachesItsConfidenceForEveryNumberOfValues) {
  for (std::uint64_t count = 1; count <= 10000; count += count < 3000 ? 1 : 13) {
    for (const double q : {0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999}) {
      ASSERT_GE(exact_coverage(count, q), 0.95 - 1e-9) << count << " values, quantile " << q;
    }
  }
}

TEST(RankInterval, IsOpenWhereNoValueIsHighEnough) {
  // 0.99^298 > 5 % > 0.99^299: with fewer values even the slowest may lie below p99.
  EXPECT_FALSE(rank_interval(298, 0.99).high);
  ASSERT_TRUE(rank_interval(300, 0.99).high);
  EXPECT_LE(*rank_interval(300, 0.99).high, 300U);
  EXPECT_EQ(rank_interval(20, 0.99).low, 19U);  // P(B ≥ 19) = 0.983, P(B = 20) = 0.818
  EXPECT_EQ(rank_interval(4, 0.5).low, 0U);     // no two values hold the median of four
  EXPECT_FALSE(rank_interval(0, 0.5).high);
}

TEST(RankInterval, IsTheNarrowestThatReachesItsConfidence) {
  // For the median of 20: binomial sums by hand. 6..14 has 0.9586, 6..13 and 7..14 have 0.9217.
  const RankInterval median = rank_interval(20, 0.5);
  EXPECT_EQ(median.low, 6U);
  EXPECT_EQ(median.high, 15U);
  // No pair of one rank less reaches 95 % anywhere, by summing the exact terms.
  for (const std::uint64_t count : {40U, 100U, 400U}) {
    for (const double q : {0.5, 0.75, 0.9}) {
      const RankInterval chosen = rank_interval(count, q);
      ASSERT_TRUE(chosen.high);
      const std::uint64_t width = *chosen.high - chosen.low;
      const auto n = static_cast<double>(count);
      for (std::uint64_t low = 1; low + width - 1 <= count; ++low) {
        double sum = 0;
        for (std::uint64_t k = low; k < low + width - 1; ++k) {
          const auto x = static_cast<double>(k);
          sum += std::exp(std::lgamma(n + 1) - std::lgamma(x + 1) - std::lgamma(n - x + 1) +
                          x * std::log(q) + (n - x) * std::log(1 - q));
        }
        EXPECT_LT(sum, 0.95) << count << " values, quantile " << q << ", from rank " << low;
      }
    }
  }
}

TEST(RankInterval, TakesHugeRuns) {
  const RankInterval ranks = rank_interval(2'000'000'000, 0.999);
  ASSERT_TRUE(ranks.high);
  EXPECT_NEAR(static_cast<double>(ranks.low), 1'998'000'000.0 - 1.96 * 1413.5, 3);
  EXPECT_NEAR(static_cast<double>(*ranks.high), 1'998'000'000.0 + 1.96 * 1413.5, 3);
}

TEST(DurationHistogram, ConfidenceHoldsTheTrueQuantileOfRealSamples) {
  std::mt19937_64 random(11);
  std::exponential_distribution<double> latency(1 / 10e6);
  for (const int count : {20, 100, 500}) {
    for (const double q : {0.5, 0.9, 0.99}) {
      const double truth = -std::log(1 - q) * 10e6;
      int held = 0;
      constexpr int kRuns = 2000;
      for (int run = 0; run < kRuns; ++run) {
        DurationHistogram histogram(DurationHistogram::kCoarse);
        for (int i = 0; i < count; ++i) {
          histogram.record(Duration(static_cast<Duration::rep>(latency(random))));
        }
        const auto between = histogram.confidence(q);
        held += static_cast<double>(between.low.count()) <= truth &&
                        (!between.high || truth <= static_cast<double>(between.high->count()))
                    ? 1
                    : 0;
      }
      EXPECT_GE(held, kRuns * 0.945) << count << " values, quantile " << q;
    }
  }
}

TEST(DurationHistogram, BoundsTileTheRange) {
  const DurationHistogram histogram(DurationHistogram::kCoarse);
  for (std::uint32_t i = 0; i < 1400; ++i) {
    EXPECT_EQ(histogram.bounds(i).high, histogram.bounds(i + 1).low) << i;
  }
}

TEST(DurationHistogram, CountsUpToALimit) {
  DurationHistogram histogram;
  histogram.record(milliseconds(10));
  histogram.record(milliseconds(20));
  histogram.record(milliseconds(30));
  EXPECT_EQ(histogram.count_to(milliseconds(20)), 2U);
  EXPECT_EQ(histogram.count_to(microseconds(1)), 0U);
  EXPECT_EQ(histogram.count_to(std::chrono::hours(1)), 3U);
}

}  // namespace
}  // namespace podsense::quantiles
