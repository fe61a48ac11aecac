#include <gtest/gtest.h>

#include "batching/policy.h"

namespace podsense::batching {
namespace {

using std::chrono::milliseconds;

const TimePoint kNow{std::chrono::hours(1)};
constexpr QueueCapacity kTwo{.executors = 2};
/// 30 ms wait, 20 ms run: 40 ms of work ahead of a newcomer, on two executors.
constexpr QueueState kBusy{
    .rows = 3, .ahead = milliseconds(30), .running = milliseconds(20), .executor_free = false};

TEST(Policy, AnIdleExecutorMeansNoWait) {
  EXPECT_EQ(expected_wait({.running = milliseconds(10)}, kTwo), Duration::zero());
}

TEST(Policy, TheWaitIsWhatIsAheadSpreadOverTheExecutors) {
  EXPECT_EQ(expected_wait(kBusy, kTwo), milliseconds(20));
  EXPECT_EQ(expected_wait(kBusy, {.executors = 0.5}), milliseconds(80));
}

TEST(Policy, AdmitsWhatCanBeDoneByItsDeadlineEvenIfTheWaitIsAnEighthLonger) {
  EXPECT_TRUE(
      admit(kNow, kBusy, kTwo, Deadline(kNow + milliseconds(33)), milliseconds(10)).admitted);
  const auto late = admit(kNow, kBusy, kTwo, Deadline(kNow + milliseconds(30)), milliseconds(10));
  EXPECT_FALSE(late.admitted);
  EXPECT_EQ(late.retry_after, std::chrono::microseconds(2500));
  EXPECT_TRUE(admit(kNow, kBusy, kTwo, Deadline(), milliseconds(10)).admitted);
}

TEST(Policy, AnEmptyQueueAdmitsWhateverTheEstimateSays) {
  EXPECT_TRUE(admit(kNow, {}, kTwo, Deadline(kNow + milliseconds(1)), milliseconds(900)).admitted);
}

TEST(Policy, AdmissionCountsTheWholeBatchWhereTheQueueFillsIt) {
  constexpr QueueCapacity kFour{.max_batch = 4};
  const Duration row = milliseconds(10);
  EXPECT_EQ(batch_cost({.rows = 3}, kFour, row, row), row);
  EXPECT_EQ(batch_cost({.rows = 4}, kFour, row, row), 4 * row);
  EXPECT_EQ(batch_cost({.rows = 4}, kFour, 9 * row, row), 9 * row) << "it fills more than one";
}

TEST(Policy, LearnsAtOnceHowFarWaitsExceedWhatWasExpectedAndForgetsSlowly) {
  const Duration cost = milliseconds(5);
  const auto after = [&](double headroom, int expected, int waited) {
    return learn_headroom(headroom, milliseconds(expected), milliseconds(waited), cost);
  };
  EXPECT_DOUBLE_EQ(after(kLeastHeadroom, 100, 140), 1.4);
  EXPECT_DOUBLE_EQ(after(kLeastHeadroom, 100, 900), kMostHeadroom);
  EXPECT_DOUBLE_EQ(after(kLeastHeadroom, 100, 50), kLeastHeadroom);
  EXPECT_DOUBLE_EQ(after(kLeastHeadroom, 19, 100), kLeastHeadroom) << "too short to tell";
  EXPECT_DOUBLE_EQ(learn_headroom(1.2, {}, milliseconds(100), {}), 1.2);
  double forgetting = after(kLeastHeadroom, 100, 140);
  for (int i = 0; i < 100; ++i) {
    forgetting = after(forgetting, 100, 100);
  }
  EXPECT_GT(forgetting, 1.39);
  for (int i = 0; i < 100'000; ++i) {
    forgetting = after(forgetting, 100, 100);
  }
  EXPECT_DOUBLE_EQ(forgetting, kLeastHeadroom);
}

TEST(Policy, HeadroomIsKeptOfTheWait) {
  const QueueCapacity learned{.executors = 2, .headroom = 1.5};  // 20 ms are expected
  EXPECT_TRUE(
      admit(kNow, kBusy, learned, Deadline(kNow + milliseconds(40)), milliseconds(10)).admitted);
  EXPECT_FALSE(
      admit(kNow, kBusy, learned, Deadline(kNow + milliseconds(39)), milliseconds(10)).admitted);
}

TEST(Policy, WhatCannotBeDoneInTimeAnyMoreDoesNotRunUnlessItIsTheLast) {
  const Deadline deadline(kNow + milliseconds(10));
  EXPECT_FALSE(cannot_meet_deadline(kNow, deadline, milliseconds(10), false));
  EXPECT_TRUE(cannot_meet_deadline(kNow, deadline, milliseconds(11), false));
  EXPECT_FALSE(cannot_meet_deadline(kNow, deadline, milliseconds(11), true))
      << "the estimate may be wrong";
  EXPECT_TRUE(cannot_meet_deadline(kNow + milliseconds(10), deadline, {}, true));
  EXPECT_FALSE(cannot_meet_deadline(kNow, Deadline(), std::chrono::hours(1), false));
}

TEST(Policy, BatchesNaturally) {
  const QueueCapacity capacity{.max_batch = 4};
  EXPECT_FALSE(take(kNow, {.rows = 0}, capacity).run);
  EXPECT_TRUE(take(kNow, {.rows = 1, .oldest = kNow}, capacity).run);
  EXPECT_TRUE(take(kNow, {.rows = 9, .oldest = kNow}, capacity).run);
}

TEST(Policy, WaitsForCompanyOnlyWhereAskedAndOnlySoLong) {
  const QueueCapacity capacity{.max_batch = 4, .max_delay = milliseconds(5)};
  const QueueState queue{.rows = 2, .oldest = kNow};
  EXPECT_FALSE(take(kNow, queue, capacity).run);
  EXPECT_EQ(take(kNow, queue, capacity).again, kNow + milliseconds(5));
  EXPECT_TRUE(take(kNow + milliseconds(5), queue, capacity).run);
  EXPECT_TRUE(take(kNow, {.rows = 4, .oldest = kNow}, capacity).run);
}

TEST(Policy, SharesExecutorsByWeight) {
  EXPECT_DOUBLE_EQ(executor_share(4, 1, 1, 8), 4);
  EXPECT_DOUBLE_EQ(executor_share(4, 1, 4, 8), 1);
  EXPECT_DOUBLE_EQ(executor_share(4, 3, 4, 8), 3);
  EXPECT_DOUBLE_EQ(executor_share(4, 3, 4, 2), 2) << "no more than it can use at once";
}

TEST(Policy, TheEstimateFollowsTheObserved) {
  Duration estimate = follow(Duration::zero(), milliseconds(8));
  EXPECT_EQ(estimate, milliseconds(8));
  for (int i = 0; i < 40; ++i) {
    estimate = follow(estimate, milliseconds(16));
  }
  EXPECT_GT(estimate, milliseconds(15));
}

TEST(Policy, ALongerServiceIsBelievedAtOnceAndAShorterOneWhenItLasts) {
  ServiceEstimate service{.recent = milliseconds(8), .lasting = milliseconds(8)};
  for (int i = 0; i < 8; ++i) {
    service.observe(milliseconds(4));
  }
  EXPECT_LT(service.recent, milliseconds(6));
  EXPECT_GT(service.conservative(), milliseconds(7));
  for (int i = 0; i < 8; ++i) {
    service.observe(milliseconds(12));
  }
  EXPECT_GT(service.conservative(), milliseconds(9));
}

}  // namespace
}  // namespace podsense::batching
