#include "batching/service_estimates.h"

#include <gtest/gtest.h>

namespace podsense::batching {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::minutes;

constexpr std::uint64_t kSmall = 4 * 16;
constexpr std::uint64_t kLarge = 4 * 1600;

TEST(ServiceEstimates, TheFirstHoldsUntilARowWasSeen) {
  ServiceEstimates estimates(milliseconds(3));
  EXPECT_EQ(estimates.row(0), milliseconds(3));
  EXPECT_EQ(estimates.row(kSmall), milliseconds(3));
  estimates.observe(kSmall, milliseconds(1), false);
  EXPECT_EQ(estimates.row(kSmall), milliseconds(1));
}

TEST(ServiceEstimates, AnUnseenLargeRowCostsInProportion) {
  ServiceEstimates estimates(milliseconds(1));
  estimates.observe(kSmall, milliseconds(1), false);
  EXPECT_GE(estimates.row(kLarge), milliseconds(64));
  EXPECT_LE(estimates.row(kLarge), milliseconds(128));
}

TEST(ServiceEstimates, LargeRowsDoNotMakeSmallOnesDear) {
  ServiceEstimates estimates(milliseconds(1));
  estimates.observe(kSmall, milliseconds(1), false);
  for (int i = 0; i < 100; ++i) {
    estimates.observe(kLarge, milliseconds(400), false);
  }
  EXPECT_EQ(estimates.row(kSmall), milliseconds(1));
  EXPECT_EQ(estimates.row(kLarge), milliseconds(400)) << "more than in proportion";
  EXPECT_GT(estimates.row(0), milliseconds(300)) << "of all that came";
}

TEST(ServiceEstimates, WhatLiesBetweenCostsNoMoreThanTheNextLarger) {
  ServiceEstimates estimates;
  estimates.observe(kSmall, milliseconds(1), false);
  estimates.observe(kLarge, milliseconds(2), false);  // most of a run is the same for all
  EXPECT_EQ(estimates.row(kSmall * 20), milliseconds(2));
  EXPECT_EQ(estimates.row(kSmall / 16), std::chrono::nanoseconds(62'500));
  EXPECT_GE(estimates.row(kLarge * 64), milliseconds(128));
}

TEST(ServiceEstimates, ARunThatWasCutShortOnlyRaises) {
  ServiceEstimates estimates(milliseconds(8));
  estimates.observe(0, milliseconds(1), true);
  EXPECT_EQ(estimates.row(0), milliseconds(8));
  estimates.observe(0, milliseconds(16), true);
  EXPECT_EQ(estimates.row(0), milliseconds(9));
}

TEST(ServiceEstimates, NoSizeIsTooLarge) {
  ServiceEstimates estimates;
  estimates.observe(1, milliseconds(10), false);
  EXPECT_EQ(estimates.row(~std::uint64_t{0}), minutes(5));
  estimates.observe(~std::uint64_t{0}, microseconds(1), false);
  EXPECT_EQ(estimates.row(1), milliseconds(10));
  EXPECT_EQ(estimates.row(~std::uint64_t{0}), microseconds(1));
}

}  // namespace
}  // namespace podsense::batching
