#include "foresight/quantity.h"

#include <gtest/gtest.h>

namespace podsense::foresight {
namespace {

std::int64_t milli(std::string_view text) {
  const auto parsed = Quantity::parse(text);
  EXPECT_TRUE(parsed) << text;
  return parsed ? parsed->milli() : -1;
}

TEST(Quantity, RoundsUpToThousandths) {
  EXPECT_EQ(milli("250m"), 250);
  EXPECT_EQ(milli("0.5"), 500);
  EXPECT_EQ(milli("1n"), 1);
  EXPECT_EQ(milli("1000001n"), 2);
  EXPECT_EQ(milli("-1500u"), -2);
  EXPECT_EQ(milli("1Ki"), 1024000);
  EXPECT_EQ(milli("1.5Gi"), 1610612736000);
  EXPECT_EQ(milli("12e6"), 12000000000);
  EXPECT_EQ(milli("+3"), 3000);
  EXPECT_EQ(milli("0.1234567890123456789"), 124);
  EXPECT_EQ(milli("1e-30"), 1);
}

/// What Kubernetes 1.34 to 1.37 answered.
TEST(Quantity, OverflowsAsTheGoTypeDoes) {
  EXPECT_EQ(milli("10000000000000000"), -8446744073709551616);
  EXPECT_EQ(milli("1e30"), 0);
  EXPECT_EQ(milli("8Ei"), -1000);
}

TEST(Quantity, KeepsMantissaAndExponentAsWritten) {
  EXPECT_EQ(Quantity::parse("0.07")->approximate(), 7 * 0.01);
  EXPECT_EQ(Quantity::parse("70m")->approximate(), 0.07);
  EXPECT_EQ(Quantity::parse("0.07")->canonical().approximate(), 0.07);
  EXPECT_EQ(Quantity::parse("2k")->canonical().approximate(), 2000);
}

TEST(Quantity, AddsExactly) {
  const auto sum = Quantity::parse("1.5Gi")->plus(*Quantity::parse("500u"));
  EXPECT_EQ(sum.milli(), 1610612736001);
  EXPECT_TRUE(*Quantity::parse("999m") < *Quantity::parse("1"));
}

TEST(Quantity, RefusesWhatKubernetesRefuses) {
  for (const std::string_view text :
       {"", "x", "1x", "1.2.3", "1e", "1mm", "m1", "1 ", " 1", "--1", "1e+-3", "0x10", "1Kim"}) {
    const auto parsed = Quantity::parse(text);
    EXPECT_FALSE(parsed) << text;
  }
  EXPECT_NE(Quantity::parse("1x").error().message.find("accepted: "), std::string::npos);
  EXPECT_FALSE(Quantity::parse(std::string(60, '9')));
}

TEST(Quantity, ShowsThousandthsAsDecimals) {
  EXPECT_EQ(milli_text(1500), "1.5");
  EXPECT_EQ(milli_text(-20), "-0.02");
  EXPECT_EQ(milli_text(7000), "7");
  EXPECT_EQ(milli_text(INT64_MIN), "-9223372036854775.808");
}

}  // namespace
}  // namespace podsense::foresight
