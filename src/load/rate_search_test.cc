#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "load/search_rules.h"

namespace podsense::load {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

std::vector<LoadThreshold> objective() {
  return *LoadThreshold::parse_objective("p99=100ms,errors=1%");
}

/// A second with so many answers, each after so long.
Results window(std::uint64_t ok, milliseconds latency, std::uint64_t failed = 0,
               std::uint64_t dropped = 0) {
  Recorder::Recent recent;
  recent.offered = ok + failed + dropped;
  recent.ok = ok;
  recent.failed = failed;
  recent.dropped = dropped;
  for (std::uint64_t i = 0; i < ok; ++i) {
    recent.latency.record(latency);
  }
  return as_window(recent, std::chrono::seconds(1));
}

TEST(RateJudge, HoldsWhenThreeWindowsAreAlike) {
  const auto slo = objective();
  RateJudge judge(slo, 100, false);
  EXPECT_FALSE(judge.add(window(100, milliseconds(80))));
  EXPECT_FALSE(judge.add(window(100, milliseconds(82))));
  EXPECT_TRUE(judge.add(window(100, milliseconds(84))));
  EXPECT_TRUE(judge.step().met && judge.step().stable) << judge.step().reason;
  EXPECT_EQ(judge.step().reason, "");
  EXPECT_EQ(judge.step().windows, 3U);
}

TEST(RateJudge, HoldsWhenFiveInARowDoThoughTheyDiffer) {
  const auto slo = objective();
  RateJudge judge(slo, 100, false);
  for (const int latency : {60, 90, 65, 95}) {
    EXPECT_FALSE(judge.add(window(100, milliseconds(latency))));
    EXPECT_EQ(judge.step().met, false);
  }
  EXPECT_TRUE(judge.add(window(100, milliseconds(70))));
  EXPECT_TRUE(judge.step().met && judge.step().stable);
}

TEST(RateJudge, OneBadWindowDoesNotDecide) {
  const auto slo = objective();
  RateJudge judge(slo, 100, false);
  EXPECT_FALSE(judge.add(window(100, milliseconds(20))));
  EXPECT_FALSE(judge.add(window(100, milliseconds(900))));
  EXPECT_EQ(judge.step().reason, "p99 is 900 ms");
  EXPECT_FALSE(judge.add(window(100, milliseconds(20))));
  EXPECT_FALSE(judge.add(window(100, milliseconds(20))));
  EXPECT_TRUE(judge.add(window(100, milliseconds(20))));
  EXPECT_TRUE(judge.step().met);
}

TEST(RateJudge, TwoBadWindowsInARowDo) {
  const auto slo = objective();
  for (const Results& bad : {window(100, milliseconds(150)), window(90, milliseconds(5), 10),
                             window(97, milliseconds(5), 0, 3), window(90, milliseconds(5))}) {
    RateJudge judge(slo, 100, true);
    EXPECT_FALSE(judge.add(bad));
    EXPECT_TRUE(judge.add(bad));
    EXPECT_FALSE(judge.step().met);
    EXPECT_NE(judge.step().reason, "");
  }
}

TEST(RateJudge, AnsweringLessThanHalfIsEnough) {
  const auto slo = objective();
  RateJudge judge(slo, 100, false);
  EXPECT_TRUE(judge.add(window(48, milliseconds(5))));
  EXPECT_EQ(judge.step().reason, "answers only 48/s");
}

TEST(RateJudge, AnAnswerMoreOrLessInAWindowIsNoChange) {
  const auto slo = objective();
  RateJudge judge(slo, 1.5, false);
  EXPECT_FALSE(judge.add(window(1, milliseconds(5))));
  EXPECT_FALSE(judge.add(window(2, milliseconds(5))));
  EXPECT_TRUE(judge.add(window(1, milliseconds(5))));
  EXPECT_TRUE(judge.step().met) << judge.step().reason;
}

TEST(RateJudge, EndsWhereNothingIsShown) {
  const auto slo = objective();
  RateJudge judge(slo, 100, false);
  for (unsigned i = 1; i < RateJudge::kMostWindows; ++i) {
    EXPECT_FALSE(judge.add(window(100, milliseconds(i % 2 == 0 ? 150 : 80)))) << i;
  }
  EXPECT_TRUE(judge.add(window(100, milliseconds(150))));
  EXPECT_FALSE(judge.step().met);
}

TEST(RateJudge, AScoutNeedsOneWindowFarBelowTheLimit) {
  const auto slo = objective();
  RateJudge easy(slo, 100, true);
  EXPECT_TRUE(easy.add(window(100, milliseconds(40))));
  EXPECT_TRUE(easy.step().met && !easy.step().stable);
  RateJudge near(slo, 100, true);
  EXPECT_FALSE(near.add(window(100, milliseconds(60))));
  EXPECT_FALSE(near.step().met);
}

/// What a search does with a server that holds up to `capacity`; `scouts_up_to` is what it may seem
/// to hold in a single window.
struct Walk {
  double best = 0;
  double failed = 0;
  bool limited = false;
  std::vector<double> rates;
};
Walk walk(double from, double to, double capacity, double scouts_up_to, std::size_t hurry_after) {
  RateBracket bracket(from, to);
  Walk walk;
  for (auto next = bracket.next(false); next.rate > 0;
       next = bracket.next(walk.rates.size() >= hurry_after)) {
    walk.rates.push_back(next.rate);
    if (walk.rates.size() > 60) {
      ADD_FAILURE() << "no end";
      break;
    }
    const bool met = next.rate <= (next.scout ? scouts_up_to : capacity);
    bracket.add({.rate = next.rate, .stable = met && !next.scout, .met = met});
  }
  walk.best = bracket.best();
  walk.failed = bracket.failed();
  walk.limited = bracket.limited();
  return walk;
}

TEST(RateBracket, FindsTheCapacityToFivePercent) {
  for (const double capacity : {2.0, 9.9, 10.0, 33.3, 700.0, 54321.0}) {
    const Walk found = walk(10, 100000, capacity, capacity, 100);
    EXPECT_LE(found.best, capacity);
    EXPECT_GT(found.failed, capacity);
    EXPECT_LE(found.failed / found.best, 1.05) << capacity;
    EXPECT_LE(found.rates.size(), 22U) << capacity;
  }
}

TEST(RateBracket, WhatWasOnlyScoutedIsConfirmed) {
  // One window let 80/s look well; it is 30/s that holds.
  const Walk found = walk(10, 100000, 30, 80, 100);
  EXPECT_LE(found.best, 30);
  EXPECT_GT(found.best, 28);
  EXPECT_LE(found.failed / found.best, 1.05);
}

TEST(RateBracket, EndsAtTheUpperBound) {
  const Walk found = walk(10, 50, 1000, 1000, 100);
  EXPECT_TRUE(found.limited);
  EXPECT_EQ(found.best, 50);
  EXPECT_EQ(found.rates, (std::vector<double>{10, 20, 40, 50}));
}

TEST(RateBracket, GivesUpAtAnEighthOfTheFirstRate) {
  const Walk found = walk(10, 100, 0, 0, 100);
  EXPECT_EQ(found.best, 0);
  EXPECT_EQ(found.rates, (std::vector<double>{10, 5, 2.5, 1.25}));
}

TEST(RateBracket, AFailureThatDoesNotComeAgainDoesNotDecide) {
  RateBracket bracket(10, 100000);
  std::vector<double> rates;
  for (auto next = bracket.next(false); next.rate > 0; next = bracket.next(false)) {
    const bool disturbed = rates.size() == 1;  // 20/s, at the first attempt
    const bool met = next.rate <= 1000 && !disturbed;
    rates.push_back(next.rate);
    ASSERT_LT(rates.size(), 60U);
    bracket.add({.rate = next.rate, .stable = met && !next.scout, .met = met});
  }
  EXPECT_GT(bracket.best(), 950);
  EXPECT_LE(bracket.best(), 1000);
  EXPECT_GT(bracket.failed(), 1000);
}

TEST(RateBracket, ConfirmsWhenTimeIsShort) {
  const Walk found = walk(10, 100000, 5000, 5000, 4);
  ASSERT_GE(found.rates.size(), 5U);
  EXPECT_EQ(found.rates[4], found.rates[3]) << "the scouted rate again, not its double";
}

TEST(RateJudge, TimeOutsAreLateAnswers) {
  const auto slo = *LoadThreshold::parse_objective("p99=100ms,errors=50%");
  RateJudge judge(slo, 100, false);
  const auto window = [] {
    Recorder::Recent recent;
    recent.ok = 97;
    recent.failed = 3;
    for (int i = 0; i < 97; ++i) {
      recent.latency.record(milliseconds(5));
    }
    for (int i = 0; i < 3; ++i) {
      recent.failed_latency.record(seconds(2));
    }
    return as_window(recent, seconds(1));
  };
  EXPECT_FALSE(judge.add(window()));
  EXPECT_TRUE(judge.add(window()));
  EXPECT_FALSE(judge.step().met);
  EXPECT_GE(judge.step().p99, Duration(milliseconds(1990)));
}

TEST(RateJudge, WhatTimesOutAfterTheWindowsThatDecidedCountsToo) {
  const auto slo = *LoadThreshold::parse_objective("p99=100ms,errors=0.1%");
  Recorder::Recent answered;
  answered.ok = 96;
  for (int i = 0; i < 96; ++i) {
    answered.latency.record(milliseconds(5));
  }
  const auto decided = [&] {  // four of a hundred hang: nothing is known of them yet
    RateJudge judge(slo, 100, false);
    for (int i = 0; i < 3; ++i) {
      judge.add(as_window(answered, seconds(1)));
    }
    EXPECT_TRUE(judge.step().stable) << judge.step().reason;
    return judge;
  };
  Recorder::Recent late;
  late.failed = 12;
  late.failed_latency.record(seconds(20));
  RateJudge failed = decided();
  failed.end(as_window(late, {}));
  EXPECT_FALSE(failed.step().met || failed.step().stable);
  EXPECT_THAT(failed.step().reason, HasSubstr("errors is 4"));
  EXPECT_THAT(failed.step().reason, HasSubstr("still under way"));
  EXPECT_NEAR(failed.step().errors, 12.0 / 300, 1e-9);

  Recorder::Recent cut;  // the search's time was up: they waited so long at least
  for (int i = 0; i < 12; ++i) {
    cut.failed_latency.record(seconds(8));
  }
  RateJudge unfinished = decided();
  unfinished.end(as_window(cut, {}));
  EXPECT_FALSE(unfinished.step().met);
  EXPECT_TRUE(unfinished.step().p99_at_least);
  EXPECT_GE(unfinished.step().p99, Duration(milliseconds(7900)));

  RateJudge quick = decided();
  quick.end(as_window(answered, {}));
  EXPECT_TRUE(quick.step().stable) << quick.step().reason;
}

}  // namespace
}  // namespace podsense::load
