#include "load/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace podsense::load {
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

TEST(Histogram, KeepsThreeDigitsFromAMicrosecondToTenMinutes) {
  for (double ns = 1000; ns < 6e11; ns *= 1.37) {
    Histogram histogram;
    const Duration value(static_cast<Duration::rep>(ns));
    histogram.record(value);
    histogram.record(Histogram::kLongest);  // so that `max` does not cut the bucket
    const auto seen = static_cast<double>(histogram.quantile(0.5).count());
    EXPECT_LE(std::abs(seen - ns), std::max(64.0, ns * 0.001)) << ns;
  }
}

TEST(Histogram, QuantilesAreTheSortedValuesOnes) {
  const std::vector<Duration> values = sample(20001);
  Histogram histogram;
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

TEST(Histogram, MergesToWhatOneHistogramWouldHaveCounted) {
  const std::vector<Duration> values = sample(5000);
  Histogram whole;
  Histogram parts[3];
  for (std::size_t i = 0; i < values.size(); ++i) {
    whole.record(values[i]);
    parts[i % 3].record(values[i]);
  }
  Histogram merged;
  for (const Histogram& part : parts) {
    merged.merge(part);
  }
  EXPECT_EQ(merged.buckets(), whole.buckets());
  EXPECT_EQ(merged.min(), whole.min());
  EXPECT_EQ(merged.max(), whole.max());
  EXPECT_EQ(merged.sum_ns(), whole.sum_ns());
}

TEST(Histogram, ComesBackFromItsBuckets) {
  Histogram histogram;
  for (const Duration value : sample(1000)) {
    histogram.record(value);
  }
  const auto restored = Histogram::restore(
      histogram.layout(), histogram.buckets(),
      {.min = histogram.min(), .max = histogram.max(), .sum_ns = histogram.sum_ns()});
  ASSERT_TRUE(restored);
  EXPECT_EQ(restored->count(), 1000U);
  EXPECT_EQ(restored->buckets(), histogram.buckets());
  EXPECT_EQ(restored->quantile(0.99), histogram.quantile(0.99));
}

TEST(Histogram, RefusesBucketsBeyondItsLayout) {
  const std::vector<Histogram::Bucket> beyond{{4000000, 1}};
  EXPECT_FALSE(Histogram::restore(Histogram::kFine, beyond, {}));
  const std::vector<Histogram::Bucket> descending{{5, 1}, {4, 1}};
  EXPECT_FALSE(Histogram::restore(Histogram::kFine, descending, {}));
}

TEST(Histogram, HoldsWhatIsOutOfRangeAtItsEnds) {
  Histogram histogram;
  histogram.record(Duration(-5));
  histogram.record(std::chrono::hours(2));
  EXPECT_EQ(histogram.min(), Duration::zero());
  EXPECT_EQ(histogram.max(), Duration(Histogram::kLongest));
  EXPECT_EQ(histogram.count(), 2U);
}

TEST(Histogram, ConfidenceHoldsTheTrueQuantileAboutNineteenTimesInTwenty) {
  std::mt19937_64 random(11);
  std::exponential_distribution<double> latency(1 / 10e6);
  const double truth = -std::log(0.1) * 10e6;  // the 0.9 quantile
  int held = 0;
  for (int run = 0; run < 400; ++run) {
    Histogram histogram;
    for (int i = 0; i < 500; ++i) {
      histogram.record(Duration(static_cast<Duration::rep>(latency(random))));
    }
    const auto between = histogram.confidence(0.9);
    held += static_cast<double>(between.low.count()) <= truth &&
                    truth <= static_cast<double>(between.high.count())
                ? 1
                : 0;
  }
  EXPECT_GE(held, 370);  // 95 % of 400 less three standard deviations
}

TEST(Histogram, BoundsTileTheRange) {
  const Histogram histogram(Histogram::kCoarse);
  for (std::uint32_t i = 0; i < 1400; ++i) {
    EXPECT_EQ(histogram.bounds(i).high, histogram.bounds(i + 1).low) << i;
  }
}

TEST(Histogram, CountsUpToALimit) {
  Histogram histogram;
  histogram.record(milliseconds(10));
  histogram.record(milliseconds(20));
  histogram.record(milliseconds(30));
  EXPECT_EQ(histogram.count_to(milliseconds(20)), 2U);
  EXPECT_EQ(histogram.count_to(microseconds(1)), 0U);
  EXPECT_EQ(histogram.count_to(std::chrono::hours(1)), 3U);
}

}  // namespace
}  // namespace podsense::load
