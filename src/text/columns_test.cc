#include "text/columns.h"

#include <gtest/gtest.h>

namespace podsense::text {
namespace {

TEST(Columns, CountCharactersNotBytes) {
  EXPECT_EQ(width_of("812 µs"), 6U);
  EXPECT_EQ(right("≥ 1 s", 7), "  ≥ 1 s");
  EXPECT_EQ(left("µs", 4), "µs  ");
}

TEST(Columns, WiderTextStays) {
  EXPECT_EQ(right("12345", 3), "12345");
  EXPECT_EQ(left("12345", 3), "12345");
}

}  // namespace
}  // namespace podsense::text
