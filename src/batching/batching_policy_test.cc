#include <gtest/gtest.h>

#include "batching/policy.h"

namespace podsense::batching {
namespace {

using std::chrono::milliseconds;

const TimePoint kNow{std::chrono::hours(1)};
constexpr Profile kOneByOne{.service = milliseconds(10), .executors = 2};

TEST(Policy, AnIdleExecutorMeansNoWait) {
  EXPECT_EQ(expected_wait({.waiting = 0, .running = 1}, kOneByOne), Duration::zero());
}

TEST(Policy, TheWaitIsWhatIsAheadSpreadOverTheExecutors) {
  EXPECT_EQ(expected_wait({.waiting = 3, .running = 2}, kOneByOne), milliseconds(20));
}

TEST(Policy, AdmitsWhatCanBeDoneByItsDeadline) {
  const QueueState queue{.waiting = 3, .running = 2};
  EXPECT_TRUE(
      admit(kNow, queue, kOneByOne, Deadline(kNow + milliseconds(30)), milliseconds(10)).admitted);
  const auto late =
      admit(kNow, queue, kOneByOne, Deadline(kNow + milliseconds(25)), milliseconds(10));
  EXPECT_FALSE(late.admitted);
  EXPECT_EQ(late.retry_after, milliseconds(5));
  EXPECT_TRUE(admit(kNow, queue, kOneByOne, Deadline(), milliseconds(10)).admitted);
}

TEST(Policy, AnEmptyQueueAdmitsWhateverTheEstimateSays) {
  EXPECT_TRUE(
      admit(kNow, {}, kOneByOne, Deadline(kNow + milliseconds(1)), milliseconds(900)).admitted);
}

TEST(Policy, BatchesNaturallyUpToTheBound) {
  const Profile profile{.service = milliseconds(1), .max_batch = 4};
  EXPECT_EQ(take(kNow, {.waiting = 0}, profile).tasks, 0U);
  EXPECT_EQ(take(kNow, {.waiting = 1, .oldest = kNow}, profile).tasks, 1U);
  EXPECT_EQ(take(kNow, {.waiting = 9, .oldest = kNow}, profile).tasks, 4U);
}

TEST(Policy, WaitsForCompanyOnlyWhereAskedAndOnlySoLong) {
  const Profile profile{.service = milliseconds(1), .max_batch = 4, .max_delay = milliseconds(5)};
  const QueueState queue{.waiting = 2, .oldest = kNow};
  EXPECT_EQ(take(kNow, queue, profile).tasks, 0U);
  EXPECT_EQ(take(kNow, queue, profile).again, kNow + milliseconds(5));
  EXPECT_EQ(take(kNow + milliseconds(5), queue, profile).tasks, 2U);
  EXPECT_EQ(take(kNow, {.waiting = 4, .oldest = kNow}, profile).tasks, 4U);
}

TEST(Policy, TheEstimateFollowsTheObserved) {
  Duration estimate = follow(Duration::zero(), milliseconds(8));
  EXPECT_EQ(estimate, milliseconds(8));
  for (int i = 0; i < 40; ++i) {
    estimate = follow(estimate, milliseconds(16));
  }
  EXPECT_GT(estimate, milliseconds(15));
}

}  // namespace
}  // namespace podsense::batching
