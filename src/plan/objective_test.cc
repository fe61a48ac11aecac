#include "plan/objective.h"

#include <gtest/gtest.h>

#include <cmath>

namespace podsense::plan {
namespace {

using std::chrono::milliseconds;

TEST(Objective, ReadsPercentilesAndErrors) {
  const auto objective = parse_objective("p99=250ms, p99.9=1s,errors=0.1%");
  ASSERT_TRUE(objective) << objective.error().message;
  ASSERT_EQ(objective->latencies.size(), 2U);
  EXPECT_DOUBLE_EQ(objective->latencies[0].quantile, 0.99);
  EXPECT_EQ(objective->latencies[0].latency, milliseconds(250));
  EXPECT_NEAR(objective->latencies[1].allowed(), 0.001, 1e-12);
  EXPECT_DOUBLE_EQ(objective->errors.value_or(1), 0.001);
  EXPECT_DOUBLE_EQ(parse_objective("p50=1s,errors=0.01")->errors.value_or(1), 0.01);
}

TEST(Objective, SaysWhatIsWrongWithItsPartAndWhatIsAccepted) {
  for (const auto& [text, fault] : {std::pair("", "is not NAME=VALUE"),
                                    {"p99", "is not NAME=VALUE"},
                                    {"p99=0", "must be a duration"},
                                    {"p99=fast", "must be a duration"},
                                    {"p30=1s", "names no percentile"},
                                    {"q99=1s", "names no percentile"},
                                    {"p100=1s", "names no percentile"},
                                    {"p99=1s,p99=2s", "is given twice"},
                                    {"p99=1s,errors=60%", "must be a share"},
                                    {"p99=1s,errors=", "must be a share"},
                                    {"p99=1s,errors=1%,errors=1%", "is given twice"},
                                    {"errors=1%", "has no latency"},
                                    {"p99=1s,", "is not NAME=VALUE"}}) {
    const auto refused = parse_objective(text);
    ASSERT_FALSE(refused) << text;
    EXPECT_NE(refused.error().message.find(fault), std::string::npos) << refused.error().message;
    EXPECT_NE(refused.error().message.find("accepted: p50=DURATION"), std::string::npos);
  }
}

TEST(Share, HasBoundsThatNarrowWithRuns) {
  const ShareEstimate few = share_of({{.bad = 1, .all = 100}, {.bad = 3, .all = 100}});
  EXPECT_DOUBLE_EQ(few.mean, 0.02);
  EXPECT_GT(few.upper, 0.08);  // t of one degree of freedom is 6.3
  EXPECT_EQ(few.lower, 0);
  std::vector<Counted> many;
  for (int i = 0; i < 100; ++i) {
    many.push_back({.bad = i % 2 == 0 ? 1U : 3U, .all = 100});
  }
  const ShareEstimate narrow = share_of(many);
  EXPECT_DOUBLE_EQ(narrow.mean, 0.02);
  EXPECT_NEAR(narrow.upper - narrow.mean, 1.66 * 0.01 / std::sqrt(99), 1e-4);
  EXPECT_NEAR(narrow.mean - narrow.lower, narrow.upper - narrow.mean, 1e-12);
}

TEST(Share, OfNoneIsNotNone) {
  EXPECT_NEAR(share_of({{.bad = 0, .all = 500}, {.bad = 0, .all = 500}}).upper, 0.003, 1e-5);
  EXPECT_EQ(share_of({{.bad = 0, .all = 10}}).upper, 1);  // one run says nothing of others
  EXPECT_EQ(share_of({}).upper, 0);
}

}  // namespace
}  // namespace podsense::plan
