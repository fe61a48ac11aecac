#include "text/numbers.h"

#include <gtest/gtest.h>

#include <utility>

namespace podsense::text {
namespace {

TEST(Numbers, NumbersOfFilesBecomeJsons) {
  for (const auto& [text, json] : {std::pair{"5", "5"},
                                   {".5", "0.5"},
                                   {"-.5", "-0.5"},
                                   {"5.", "5"},
                                   {"+1.5", "1.5"},
                                   {"007", "7"},
                                   {"-00.50", "-0.50"},
                                   {"0", "0"},
                                   {"1e5", "1e5"},
                                   {"5.e-3", "5e-3"},
                                   {".5E+3", "0.5E+3"}}) {
    EXPECT_EQ(json_number(text).value_or("none"), json) << text;
  }
  for (const char* const text :
       {"", ".", "+", "-", "--1", "+-1", "1,5", "0x10", "1e400", "nan", "inf", "1 2", "5e"}) {
    EXPECT_FALSE(json_number(text)) << text;
  }
}

TEST(Numbers, ReadsDurations) {
  EXPECT_EQ(parse_duration("180"), Duration(std::chrono::seconds(180)));
  EXPECT_EQ(parse_duration("250us"), Duration(std::chrono::microseconds(250)));
  EXPECT_EQ(parse_duration("1m30s"), Duration(std::chrono::seconds(90)));
  EXPECT_EQ(parse_duration("1.5ms"), Duration(std::chrono::microseconds(1500)));
  for (const char* text : {"", "s", "1x", "-1s", "1s2", "nan", "1e9h", "5 s"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
}

TEST(Numbers, PrintsThreeDigits) {
  EXPECT_EQ(format_duration(std::chrono::microseconds(812)), "812 µs");
  EXPECT_EQ(format_duration(std::chrono::microseconds(49630)), "49.6 ms");
  EXPECT_EQ(format_duration(std::chrono::milliseconds(1200)), "1.20 s");
  EXPECT_EQ(format_count(1234567), "1,234,567");
  EXPECT_EQ(format_number(30), "30");
  EXPECT_EQ(format_number(0.25), "0.25");
  EXPECT_EQ(format_share(0.12345), "12.3 %");
  EXPECT_EQ(format_share_tenths(0.99949), "99.9 %");
  EXPECT_EQ(format_bytes(1500000), "1.50 MB");
}

}  // namespace
}  // namespace podsense::text
