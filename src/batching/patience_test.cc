#include "batching/patience.h"

#include <gtest/gtest.h>

#include <array>

namespace podsense::batching {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kRun = milliseconds(10);
/// A run of one task whose client left after about a second.
constexpr FinishedRun kWasted{
    .elapsed = kRun, .unreceived = 1, .outwaited = 1, .patience = milliseconds(1000)};
/// One whose client waited for it, after a long wait and after a short one.
constexpr FinishedRun kReceived{.elapsed = kRun};
constexpr FinishedRun kPrompt{.elapsed = kRun, .prompt = 1};
/// One whose client left though it had not waited long.
constexpr FinishedRun kLeftAtOnce{.elapsed = kRun, .unreceived = 1, .prompt = 1};

class PatienceTest : public testing::Test {
 protected:
  void observe(const FinishedRun& outcome, int times) {
    for (int i = 0; i < times; ++i) {
      patience_.observe(now_ += kRun, 1, outcome);
    }
  }
  Duration after(Duration time) {
    patience_.relax(now_ + time);
    return patience_.learned();
  }
  TimePoint now_{std::chrono::hours(1)};
  Patience patience_;
};

struct Visit : Ticket {
  [[nodiscard]] static bool abandoned() { return false; }
};

Visit visit(Duration waited, bool unreceived) {
  Visit task;
  task.started = task.enqueued + waited;
  task.unreceived = unreceived;
  return task;
}

TEST(FinishedRun, TellsLeavingAfterALongWaitFromLeavingSoon) {
  Visit soon = visit(milliseconds(10), true);
  Visit late = visit(milliseconds(90), true);
  Visit later = visit(milliseconds(110), true);
  Visit waited = visit(milliseconds(200), false);
  const std::array<Visit*, 4> tasks{&soon, &late, &later, &waited};
  const FinishedRun outcome = outcome_of(std::span<Visit* const>(tasks), kRun);
  EXPECT_EQ(outcome.unreceived, 3U);
  EXPECT_EQ(outcome.prompt, 1U);
  EXPECT_EQ(outcome.outwaited, 2U);
  EXPECT_EQ(outcome.patience, milliseconds(105)) << "the mean wait and half the run";
}

TEST_F(PatienceTest, IsUnknownWhileClientsWaitForTheirAnswers) {
  observe(kReceived, 1000);
  EXPECT_EQ(patience_.learned(), Patience::kUnknown);
}

TEST_F(PatienceTest, IsLearnedFromAHandfulOfRunsForNobody) {
  observe(kReceived, 1000);
  observe(kWasted, 5);
  EXPECT_EQ(patience_.learned(), Patience::kUnknown);
  observe(kWasted, 1);
  EXPECT_EQ(patience_.learned(), milliseconds(1000));
}

TEST_F(PatienceTest, AFewClientsThatLeaveSayNothing) {
  for (int i = 0; i < 100; ++i) {
    observe(kWasted, 1);
    observe(kReceived, 29);
  }
  EXPECT_EQ(patience_.learned(), Patience::kUnknown);
}

TEST_F(PatienceTest, ClientsThatLeaveAfterAShortWaitSayNothingOfTheQueue) {
  observe(kLeftAtOnce, 1000);
  EXPECT_EQ(patience_.learned(), Patience::kUnknown);
}

TEST_F(PatienceTest, LeavingHasToBeMoreFrequentAfterALongWaitThanAfterAShortOne) {
  // A page that gives up every fifth request as its user types on.
  for (int i = 0; i < 200; ++i) {
    observe(kLeftAtOnce, 1);
    observe(kPrompt, 4);
    observe(kWasted, 1);
    observe(kReceived, 4);
  }
  EXPECT_EQ(patience_.learned(), Patience::kUnknown);
  observe(kWasted, 64);
  EXPECT_LE(patience_.learned(), milliseconds(1000));
}

TEST_F(PatienceTest, FallsWhileTheSignGoesOn) {
  observe(kWasted, 6);
  const Duration first = patience_.learned();
  observe(kWasted, 6);
  EXPECT_EQ(patience_.learned(), first - first / 8);
}

TEST_F(PatienceTest, IsForgottenSlowlyAndInTheEndWhole) {
  observe(kWasted, 6);
  EXPECT_EQ(after(milliseconds(999)), milliseconds(1000));
  const double later = to_ms(after(seconds(45)));
  EXPECT_GT(later, 1950);
  EXPECT_LT(later, 2100);
  EXPECT_EQ(after(std::chrono::hours(24)), Patience::kUnknown);
}

TEST_F(PatienceTest, IsForgottenMoreSlowlyWhileItRefuses) {
  observe(kWasted, 6);
  for (int i = 0; i < 60; ++i) {
    patience_.refused(now_ += seconds(1));
    patience_.relax(now_);
  }
  EXPECT_LT(patience_.learned(), milliseconds(1070));
  EXPECT_GT(patience_.learned(), milliseconds(1050));
}

TEST(WaitBound, ThereIsNoneBeforeClientsLeaveUnlessOneIsConfigured) {
  EXPECT_EQ(wait_bound(Patience::kUnknown, kRun, {}), Patience::kUnknown);
  EXPECT_EQ(wait_bound(Patience::kUnknown, kRun, seconds(2)), seconds(2));
  EXPECT_EQ(longest_wait(Patience::kUnknown, kRun, Patience::kUnknown), Patience::kUnknown);
  EXPECT_EQ(longest_wait(Patience::kUnknown, kRun, seconds(2)), seconds(4));
}

TEST(WaitBound, IsAQuarterOfTheClientsPatienceAndNoMoreThanConfigured) {
  EXPECT_EQ(wait_bound(seconds(20), kRun, {}), seconds(5));
  EXPECT_EQ(wait_bound(seconds(20), kRun, seconds(1)), seconds(1));
  EXPECT_EQ(longest_wait(seconds(20), kRun, seconds(5)), seconds(10));
}

TEST(WaitBound, LeavesThreeRunsWherePatienceAllowsThem) {
  EXPECT_EQ(wait_bound(5 * kRun, kRun, {}), 3 * kRun);
  EXPECT_EQ(longest_wait(5 * kRun, kRun, 3 * kRun), 4 * kRun);
  EXPECT_EQ(wait_bound(3 * kRun, kRun, {}), 3 * kRun / 2);
  EXPECT_EQ(wait_bound(kRun, kRun, {}), kRun / 4) << "nothing helps here; it stays positive";
}

}  // namespace
}  // namespace podsense::batching
