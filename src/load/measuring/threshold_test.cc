#include "load/measuring/threshold.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "load/measuring/results_testing.h"

namespace podsense::load {
namespace {

using ::testing::HasSubstr;

TEST(Status, HasANameThatReadsBack) {
  EXPECT_EQ(status_name(503), "503");
  EXPECT_EQ(status_name(kGrpcStatus + 14), "UNAVAILABLE");
  EXPECT_EQ(parse_status("14"), parse_status("UNAVAILABLE"));
  for (int code = 0; code < 20; ++code) {
    EXPECT_EQ(parse_status(status_name(kGrpcStatus + code)), kGrpcStatus + code);
  }
  for (const char* text : {"", "1000", "-1", "Unavailable", "20x"}) {
    EXPECT_FALSE(parse_status(text)) << text;
  }
  EXPECT_TRUE(is_success(kGrpcOk) && is_success(204) && !is_success(kGrpcStatus + 2));
  EXPECT_FALSE(is_success(0));
}

TEST(Threshold, HoldsOrNot) {
  const Results results = results_with(990, 10, std::chrono::milliseconds(150));
  const auto holds = [&](std::string_view text) {
    const auto threshold = LoadThreshold::parse(text);
    EXPECT_TRUE(threshold) << text << (threshold ? "" : threshold.error().message);
    return threshold && threshold->check(results).holds;
  };
  EXPECT_TRUE(holds("p99>100ms"));
  EXPECT_FALSE(holds("p99>200ms"));
  EXPECT_TRUE(holds("errors>0.9%"));
  EXPECT_FALSE(holds("errors>1%"));
  EXPECT_TRUE(holds("errors>=1%"));
  EXPECT_TRUE(holds("failed>9"));
  EXPECT_TRUE(holds("status_503>0"));
  EXPECT_FALSE(holds("status_404>0"));
  EXPECT_TRUE(holds("rps<100"));
  EXPECT_FALSE(holds("rps<99"));
  EXPECT_FALSE(holds("dropped > 0"));
  EXPECT_TRUE(holds("mean<=150ms"));
}

TEST(Threshold, LatencyWithoutAnswersIsAFailure) {
  EXPECT_TRUE(LoadThreshold::parse("p99>200ms")->check(results_with(0, 5, {})).holds);
}

TEST(Threshold, RefusesNonsenseAndSaysWhatIsAccepted) {
  for (const char* text : {"", "p99", "p99>", "p99>fast", "p0>1ms", "p101>1ms", "error>1%",
                           "errors>x", "rps<5%", "status_x>0", "errors>-1"}) {
    const auto threshold = LoadThreshold::parse(text);
    ASSERT_FALSE(threshold) << text;
    EXPECT_THAT(threshold.error().message, HasSubstr("accepted")) << text;
  }
  EXPECT_THAT(LoadThreshold::parse("error>1%").error().message, HasSubstr("errors?"));
  EXPECT_FALSE(LoadThreshold::parse_objective("p99"));
  EXPECT_EQ(LoadThreshold::parse_objective("p99=50ms,errors=0.1%")->size(), 2U);
}

}  // namespace
}  // namespace podsense::load
