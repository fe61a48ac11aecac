#include "load/measuring/live.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

namespace podsense::load {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::Not;

LiveFigures busy() {
  return {.elapsed = milliseconds(12'600),
          .length = seconds(30),
          .share = 0.42,
          .offered = 1000,
          .achieved = 998,
          .p50 = milliseconds(12),
          .p99 = milliseconds(140),
          .in_flight = 1234,
          .failed = 17,
          .dropped = 3};
}

std::string joined(const std::vector<std::string>& lines) {
  return std::accumulate(lines.begin(), lines.end(), std::string(),
                         [](std::string all, const std::string& one) { return all + one + "\n"; });
}

TEST(LiveLines, SayEverythingInAnyWidthAndLeaveRoomForTheInterruptMark) {
  for (unsigned columns = 20; columns <= 200; ++columns) {
    const auto lines = live_lines(busy(), {.columns = columns});
    for (const std::string& line : lines) {
      EXPECT_LE(shown_width(line), columns - 2) << columns << ": " << line;
    }
    for (const char* part : {"1,000/s offered", "998/s ok", "p50 12.0 ms", "p99 140 ms",
                             "1,234 in flight", "17 failed", "3 dropped", "42 %"}) {
      EXPECT_THAT(joined(lines), HasSubstr(part)) << columns;
    }
  }
  EXPECT_EQ(live_lines(busy(), {.columns = 200}).size(), 2U);
  for (const std::string& line : live_lines(busy(), {.columns = 12})) {
    EXPECT_LE(shown_width(line), 10U) << line;
  }
}

TEST(LiveLines, BarIsAsLongAsTheShare) {
  LiveFigures figures = busy();
  const auto full = [&](double share) {
    figures.share = share;
    const std::string line =
        live_lines(figures, {.columns = 80, .colors = false, .unicode = false})[0];
    return std::pair(std::ranges::count(line, '#'), std::ranges::count(line, '-'));
  };
  EXPECT_EQ(full(0), std::pair(0L, 40L));
  EXPECT_EQ(full(0.5), std::pair(20L, 20L));
  EXPECT_EQ(full(1), std::pair(40L, 0L));
}

TEST(LiveLines, ColorsAreOnlyWhereTheyAreWanted) {
  EXPECT_THAT(joined(live_lines(busy(), {})), HasSubstr("\x1b[1;31m17 failed\x1b[0m"));
  EXPECT_THAT(joined(live_lines(busy(), {.colors = false})), Not(HasSubstr("\x1b")));
}

TEST(LiveLines, SayWhenThereWasNoAnswerAndWhenOnlyAnswersAreMissing) {
  LiveFigures figures = busy();
  figures.p50 = figures.p99 = Duration();
  figures.ending = true;
  figures.elapsed = seconds(31);
  const std::string text = joined(live_lines(figures, {}));
  EXPECT_THAT(text, HasSubstr("p50 –  p99 –"));
  EXPECT_THAT(text, HasSubstr("31 s, waiting for answers"));
  EXPECT_THAT(live_line(busy()),
              testing::StartsWith("12.6 of 30 s: 1,000/s offered, 998/s ok, p50 12.0 ms"));
}

TEST(ShownWidth, CountsCharacters) {
  EXPECT_EQ(shown_width("p50 –"), 5U);
  EXPECT_EQ(shown_width("\x1b[1;31m░█\x1b[0m"), 2U);
  EXPECT_EQ(shown_width(""), 0U);
}

}  // namespace
}  // namespace podsense::load
