#include "cli/bench_curve.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace podsense::cli {
namespace {

using ::testing::HasSubstr;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines(1);
  for (const char c : text) {
    if (c == '\n') {
      lines.emplace_back();
    } else if ((static_cast<unsigned char>(c) & 0xC0U) != 0x80) {
      lines.back() += static_cast<unsigned char>(c) < 0x80 ? c : '#';  // one for each character
    }
  }
  lines.pop_back();
  return lines;
}

const std::vector<CurvePoint> kPoints{{.rate = 100, .p50 = 0.001, .p99 = 0.002},
                                      {.rate = 200, .p50 = 0.002, .p99 = 0.004},
                                      {.rate = 400, .p50 = 0.1, .p99 = 0.5}};

TEST(BenchCurve, HasAMarkForEachPoint) {
  const std::string text = curve(kPoints, 0.05, 80);
  const auto count = [&text](std::string_view mark) {
    std::size_t found = 0;
    for (std::size_t at = text.find(mark); at != text.npos; at = text.find(mark, at + 1)) {
      ++found;
    }
    return found;
  };
  EXPECT_EQ(count("●"), 4);  // and one in the legend
  EXPECT_EQ(count("○"), 4);
  EXPECT_GT(count("╌"), 60);
  EXPECT_GT(count("·"), 10);
  EXPECT_THAT(text, HasSubstr("200/s"));
  EXPECT_THAT(text, HasSubstr("400/s"));
}

TEST(BenchCurve, HigherLatenciesStandHigherAndHigherRatesFurtherRight) {
  const std::string text = curve(kPoints, 0.05, 80);
  const std::string picture = text.substr(text.find('\n') + 1);
  const std::size_t worst = picture.find("●");
  const std::size_t best = picture.rfind("●");
  EXPECT_LT(worst, best);
  const auto column = [&picture](std::size_t at) {
    const std::size_t begin = picture.rfind('\n', at) + 1;
    return lines_of(picture.substr(begin, at - begin) + "\n").front().size();
  };
  EXPECT_GT(column(worst), 70U);
  EXPECT_LT(column(best), 40U);
}

TEST(BenchCurve, FitsTheColumns) {
  for (const std::size_t columns : {10U, 40U, 60U, 80U, 200U}) {
    for (const std::string& line : lines_of(curve(kPoints, 0.05, columns))) {
      EXPECT_LE(line.size(), std::clamp<std::size_t>(columns, 40, 80));
    }
  }
}

TEST(BenchCurve, TakesOnePointEqualPointsAndNone) {
  EXPECT_EQ(curve({}, 0.1, 80), "");
  const std::vector<CurvePoint> one{{.rate = 1, .p50 = 0, .p99 = 0}};
  EXPECT_THAT(curve(one, 0.1, 80), HasSubstr("●"));
  const std::vector<CurvePoint> same{{.rate = 5, .p50 = 0.1, .p99 = 0.1},
                                     {.rate = 5, .p50 = 0.1, .p99 = 0.1}};
  EXPECT_THAT(curve(same, 0.1, 80), HasSubstr("●"));
}

}  // namespace
}  // namespace podsense::cli
