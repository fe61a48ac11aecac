#include "batching/saturation.h"

#include <gtest/gtest.h>

namespace podsense::batching {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Runs equal_runs(std::uint64_t count, double each) {
  const auto n = static_cast<double>(count);
  return {.count = count, .seconds = n * each, .square_seconds = n * each * each};
}

/// Ten seconds in which 25 ms requests keep two executors busy for `share` of the time.
double at_load(double share, const Demand& more = {}) {
  const double done = 20 * share;
  const auto count = static_cast<std::uint64_t>(done / 0.025);
  const Demand demand{.window = seconds(10),
                      .done = done,
                      .unreceived = more.unreceived,
                      .refused = more.refused,
                      .grown = more.grown,
                      .cpu = more.cpu};
  return saturation(demand, {.executors = 2, .cpu_cores = 2}, equal_runs(count, 0.025), {});
}

TEST(Saturation, IsZeroWithoutWorkAndWithoutTime) {
  EXPECT_EQ(saturation({.window = seconds(10)}, {}, {}, {}), 0);
  EXPECT_EQ(saturation({}, {}, {}, {}), 0);
}

TEST(Saturation, IsLinearInTheLoadSoThatItsAverageIsRight) {
  // Two pods at 20 % and 60 % need as many pods as two at 40 %.
  EXPECT_NEAR((at_load(0.2) + at_load(0.6)) / 2, at_load(0.4), 1e-3);
}

TEST(Saturation, ReachesOneAtTheUtilisationWhereTheObjectiveBreaks) {
  const double usable = usable_utilisation(equal_runs(1000, 0.025), 2, {});
  EXPECT_GT(usable, 0.8);
  EXPECT_LT(usable, 0.95);
  EXPECT_NEAR(at_load(usable), 1, 1e-2);
  EXPECT_LT(at_load(usable - 0.1), 1);
}

TEST(Saturation, SolvesTheFormula) {
  // One server: u^1 · exp(-(L - s) · 2 (1 - u) / s) = 1 - q for equal service times s.
  const double u =
      usable_utilisation(equal_runs(10, 0.1), 1, {.latency = milliseconds(500), .quantile = 0.9});
  EXPECT_NEAR(u * std::exp(-0.4 * 2 * (1 - u) / 0.1), 0.1, 1e-6);
}

TEST(Saturation, LongAndUnequalRunsLeaveLessToUse) {
  const auto usable = [](const Runs& runs) { return usable_utilisation(runs, 2, {}); };
  EXPECT_GT(usable(equal_runs(100, 0.001)), 0.99);
  EXPECT_GT(usable(equal_runs(100, 0.010)), usable(equal_runs(100, 0.050)));
  const Runs mixed{.count = 2, .seconds = 0.05, .square_seconds = 0.002 * 0.002 + 0.048 * 0.048};
  EXPECT_LT(usable(mixed), usable(equal_runs(2, 0.025)));
}

TEST(Saturation, MoreExecutorsAndALooserObjectiveLeaveMore) {
  const Runs runs = equal_runs(100, 0.05);
  EXPECT_GT(usable_utilisation(runs, 8, {}), usable_utilisation(runs, 1, {}));
  EXPECT_GT(usable_utilisation(runs, 1, {.latency = seconds(1)}),
            usable_utilisation(runs, 1, {.latency = milliseconds(100)}));
  EXPECT_GT(usable_utilisation(runs, 1, {.quantile = 0.5}),
            usable_utilisation(runs, 1, {.quantile = 0.999}));
}

TEST(Saturation, WhereARunTakesTheWholeObjectiveItIsUtilisation) {
  for (const double run : {0.25, 0.26, 0.3, 10.0}) {
    EXPECT_EQ(usable_utilisation(equal_runs(10, run), 2, {}), 1) << run;
  }
  // Half a request a second of 260 ms, one executor: no pod more would help.
  const Demand demand{.window = seconds(20), .done = 2.6};
  EXPECT_NEAR(saturation(demand, {}, equal_runs(10, 0.26), {}), 0.13, 1e-9);
}

TEST(Saturation, ComesToUtilisationWithoutAStepAsRunsNearTheObjective) {
  double before = usable_utilisation(equal_runs(10, 0.150), 1, {});
  for (int us = 150'000; us <= 260'000; us += 100) {
    const double usable = usable_utilisation(equal_runs(10, us / 1e6), 1, {});
    EXPECT_NEAR(usable, before, 0.01) << us;
    EXPECT_GE(usable, kLeastUtilisation);
    before = usable;
  }
  EXPECT_EQ(before, 1);
}

TEST(Saturation, AnObjectiveOutOfReachIsSaidOnceOfAMeanThatMovesAboutIt) {
  const Duration objective = milliseconds(250);
  EXPECT_FALSE(objective_out_of_reach(false, milliseconds(249), objective));
  EXPECT_TRUE(objective_out_of_reach(false, milliseconds(250), objective));
  EXPECT_TRUE(objective_out_of_reach(true, milliseconds(230), objective));
  EXPECT_FALSE(objective_out_of_reach(true, milliseconds(224), objective));
}

TEST(Saturation, AnAbandonedRequestAndItsRetryAreOneDemand) {
  // Ten seconds of executor time were for nobody; their retries found no room.
  EXPECT_NEAR(at_load(1, {.unreceived = 10, .refused = 10}), at_load(1), 1e-6);
  EXPECT_NEAR(at_load(1, {.unreceived = 10, .refused = 20}), 1.5 * at_load(1), 1e-6);
  EXPECT_EQ(at_load(1, {.unreceived = 20}), at_load(1)) << "what was used was used";
}

TEST(Saturation, RefusalsAndGrowingQueuesTakeItOverOne) {
  EXPECT_GT(at_load(1), 1);
  EXPECT_NEAR(at_load(1, {.refused = 20}), 2 * at_load(1), 1e-6);
  EXPECT_NEAR(at_load(1, {.grown = 20}), 2 * at_load(1), 1e-6);
  // A queue that is being worked off is no smaller demand: it still waits.
  EXPECT_EQ(at_load(1, {.grown = -20}), at_load(1));
}

TEST(Saturation, CpuOutsideTheExecutorsCounts) {
  // Inline models and JSON: executors idle, both cores used.
  EXPECT_EQ(at_load(0, {.cpu = 20}), 1);
}

}  // namespace
}  // namespace podsense::batching
