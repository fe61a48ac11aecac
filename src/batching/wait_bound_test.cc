/// What comes of overload at default settings: virtual time, the real core, clients that leave.

#include <gtest/gtest.h>

#include <algorithm>
#include <initializer_list>
#include <string>
#include <vector>

#include "batching/core_simulation_testing.h"

namespace podsense::batching {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr Duration kCalm = seconds(20);
constexpr Duration kOverload = seconds(100);
/// From then on goodput has to be back.
constexpr Duration kCounted = kCalm + seconds(10);

/// Half the capacity, then a step to `load` times it.
Counts after_step(const Pod& pod, const Clients& clients, double load) {
  return CoreSimulation(pod, clients)
      .run({{.load = 0.5, .length = kCalm}, {.load = load, .length = kOverload}}, kCounted);
}
/// Answers a second that reached a client.
double goodput(const Counts& counts) {
  return counts.received / to_seconds(kCalm + kOverload - kCounted);
}
double peak(const Pod& pod) {
  const Clients patient{.timeout = minutes(5), .deadline = minutes(5)};
  return std::max(goodput(after_step(pod, patient, 0.9)), goodput(after_step(pod, patient, 1)));
}

struct Case {
  Pod pod;
  Duration shortest;  ///< time-out: five times what a request takes that meets nobody
};

class GoodputTest : public testing::TestWithParam<Case> {};

TEST_P(GoodputTest, StaysAtNineTenthsOfThePeakWhateverTimeClientsWait) {
  const auto& [pod, shortest] = GetParam();
  const double best = peak(pod);
  EXPECT_GT(best, 0.9 * pod.capacity());
  for (const Duration timeout :
       std::initializer_list<Duration>{shortest, seconds(1), seconds(2), seconds(5), seconds(20)}) {
    for (const int retries : {0, 2}) {
      for (const double load : {1.5, 3.0}) {
        const Counts counts = after_step(pod, {.timeout = timeout, .retries = retries}, load);
        EXPECT_GE(goodput(counts), 0.9 * best)
            << "time-out " << to_seconds(timeout) << " s, " << load << " times the capacity, "
            << retries << " retries; for nobody: " << counts.unreceived;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Pods, GoodputTest,
    testing::Values(Case{{.name = "exact"}, milliseconds(125)},
                    Case{{.name = "noisy", .noise = 0.2}, milliseconds(125)},
                    Case{{.name = "throttled", .throttled = true}, milliseconds(375)},
                    Case{{.name = "four", .noise = 0.2, .executors = 4}, milliseconds(125)},
                    Case{{.name = "batching", .noise = 0.1, .max_batch = 8}, milliseconds(300)},
                    Case{{.name = "slow", .service = milliseconds(200)}, seconds(1)}),
    [](const auto& info) { return info.param.pod.name; });

TEST(Overload, WhatIsAnsweredComesWellBeforeClientsLeave) {
  CoreSimulation pod({}, {.timeout = seconds(20)});
  const Counts counts = pod.run({{.load = 3, .length = minutes(2)}}, minutes(1));
  EXPECT_LE(counts.longest, seconds(10));
  EXPECT_GT(pod.load().wait_bound, seconds(4));
  EXPECT_LT(pod.load().wait_bound, seconds(15));
}

TEST(Overload, ClientsThatWaitKeepALongQueue) {
  CoreSimulation pod({}, {.timeout = minutes(1), .deadline = minutes(5)});
  const Counts counts = pod.run({{.load = 3, .length = seconds(20)}}, {});
  EXPECT_EQ(counts.refused, 0);
  EXPECT_EQ(pod.load().wait_bound, Duration::zero());
}

TEST(Overload, ClientsThatLeaveForReasonsOfTheirOwnBoundNothing) {
  for (const double load : {0.5, 0.8}) {
    CoreSimulation pod({.noise = 0.2}, {.hasty = 0.2, .hasty_timeout = milliseconds(15)});
    const Counts counts = pod.run({{.load = load, .length = minutes(5)}}, {});
    EXPECT_EQ(counts.refused, 0) << load;
    EXPECT_GT(counts.unreceived, 0) << load;
  }
}

TEST(Overload, OfClientsThatWaitDifferentlyLongExecutorsWorkForThoseThatAreThere) {
  const Pod pod;
  const Counts counts =
      after_step(pod, {.timeout = seconds(20), .hasty = 0.5, .hasty_timeout = seconds(1)}, 1.5);
  EXPECT_GE(goodput(counts), 0.9 * pod.capacity());
}

TEST(Overload, NothingIsRefusedAnyMoreSoonAfterItIsOver) {
  CoreSimulation pod({.noise = 0.1}, {.timeout = seconds(1)});
  const Counts counts =
      pod.run({{.load = 3, .length = minutes(1)}, {.load = 0.5, .length = minutes(1)}},
              minutes(1) + seconds(1));
  EXPECT_EQ(counts.refused, 0);
  EXPECT_EQ(counts.unreceived, 0);
}

TEST(Overload, AConfiguredBoundHoldsFromTheBeginning) {
  CoreSimulation pod({.max_wait = milliseconds(500)}, {.timeout = minutes(1)});
  const Counts counts = pod.run({{.load = 3, .length = minutes(1)}}, {});
  EXPECT_LE(counts.longest, milliseconds(600));
  EXPECT_EQ(pod.load().wait_bound, milliseconds(500));
  EXPECT_GE(counts.received, 0.9 * 60 * Pod{}.capacity());
}

TEST(Overload, RefusedForTheBoundIsDemandForMoreExecutors) {
  CoreSimulation pod({.max_wait = milliseconds(500)}, {.timeout = minutes(1)});
  pod.run({{.load = 3, .length = minutes(1)}}, {});
  const Unserved unserved = pod.load().unserved;
  EXPECT_GT(unserved.wait_bound, 4000U);
  EXPECT_EQ(unserved.crowded_out(), unserved.wait_bound + unserved.waited_too_long);
}

}  // namespace
}  // namespace podsense::batching
