#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "metrics/histogram.h"

namespace podsense::metrics {
namespace {

/// The bucket that the definition says, by its formula.
int defined_index(double value, int schema) {
  return static_cast<int>(std::ceil(std::log2(value) * std::exp2(schema)));
}

TEST(NativeHistogram, CountsInTheBucketThatTheDefinitionNames) {
  std::mt19937 random(1);
  std::uniform_real_distribution<double> exponent(-23.9, 11.9);
  for (int i = 0; i < 1000; ++i) {
    Histogram histogram({1}, HistogramForm::kFixedAndNative);
    const double value = std::exp2(exponent(random));
    histogram.observe(value);
    const NativeBuckets native = histogram.native();
    ASSERT_EQ(native.buckets.size(), 1U) << value;
    EXPECT_EQ(native.buckets[0].first, defined_index(value, Histogram::kSchema)) << value;
  }
}

TEST(NativeHistogram, ABoundBelongsToTheBucketBelowIt) {
  Histogram histogram({1}, HistogramForm::kFixedAndNative);
  histogram.observe(1);
  histogram.observe(std::nextafter(1.0, 2.0));
  const NativeBuckets native = histogram.native();
  ASSERT_EQ(native.buckets.size(), 2U);
  EXPECT_EQ(native.buckets[0].first, 0);
  EXPECT_EQ(native.buckets[1].first, 1);
}

TEST(NativeHistogram, WhatIsTooSmallIsZeroAndWhatIsTooLargeIsInTheLast) {
  Histogram histogram({1}, HistogramForm::kFixedAndNative);
  const double threshold = histogram.native().zero_threshold;
  for (const double small : {0.0, -1.0, 1e-300, threshold}) {
    histogram.observe(small);
  }
  histogram.observe(std::nextafter(threshold, 1.0));
  for (const double large : {1e9, std::numeric_limits<double>::infinity()}) {
    histogram.observe(large);
  }
  const NativeBuckets native = histogram.native();
  EXPECT_EQ(native.zero_count, 4U);
  ASSERT_EQ(native.buckets.size(), 2U);
  EXPECT_EQ(native.buckets[0].first, Histogram::kLowestExponent * 8 + 1);
  EXPECT_EQ(native.buckets[1], (std::pair<int, std::uint64_t>{Histogram::kHighestExponent * 8, 2}));
  EXPECT_EQ(native.total(), 7U);
}

TEST(NativeHistogram, KeepsToItsBoundByHalvingTheResolution) {
  Histogram histogram({1}, HistogramForm::kFixedAndNative);
  std::uint64_t observed = 0;
  for (double value = 1e-7; value < 4000; value *= 1.04) {
    histogram.observe(value);
    ++observed;
  }
  const NativeBuckets native = histogram.native();
  EXPECT_LE(native.buckets.size(), Histogram::kMaxNativeBuckets);
  EXPECT_EQ(native.schema, Histogram::kSchema - 1);
  EXPECT_EQ(native.total(), observed);
}

TEST(NativeHistogram, ReducedBucketsAreThoseOfTheLowerSchema) {
  for (const double value : {0.0003, 0.02, 0.5, 1.0, 1.5, 2.0, 900.0}) {
    NativeBuckets native{.schema = 3, .buckets = {{defined_index(value, 3), 5}}};
    native.buckets.emplace_back(1000, 1);  // something to be reduced for
    reduce_resolution(native, 1);
    // Two buckets never become one before the coarsest schema; the first is as defined.
    EXPECT_EQ(native.buckets[0].first, defined_index(value, native.schema)) << value;
  }
}

TEST(Histogram, FixedBucketsIncludeTheirBound) {
  Histogram histogram({1, 2}, HistogramForm::kFixed);
  for (const double value : {0.5, 1.0, 1.5, 2.0, 2.5}) {
    histogram.observe(value);
  }
  EXPECT_EQ(histogram.counts(), (std::vector<std::uint64_t>{2, 2, 1}));
  EXPECT_DOUBLE_EQ(histogram.sum(), 7.5);
  EXPECT_FALSE(histogram.is_native());
}

TEST(HistogramFamily, TheSameLabelsAreTheSameHistogram) {
  HistogramFamily family("f", {1}, HistogramForm::kFixed);
  EXPECT_EQ(&family.with({{"a", "1"}}), &family.with({{"a", "1"}}));
  EXPECT_NE(&family.with({{"a", "1"}}), &family.with({{"a", "2"}}));
  EXPECT_EQ(family.all().size(), 2U);
}

}  // namespace
}  // namespace podsense::metrics
