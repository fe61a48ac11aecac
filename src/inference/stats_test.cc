#include "inference/stats.h"

#include <atomic>
#include <cmath>
#include <memory>
#include <vector>

#include "inference/request_task.h"
#include "inference/tasks/cpu_time.h"
#include "inference/test_fixture.h"

namespace podsense::inference {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class StatsTest : public InferenceTest {
 protected:
  [[nodiscard]] Stats stats(Duration objective) {
    return {registry_, *scheduler_, *catalog_, {.latency = objective}, clock_};
  }
};

TEST_F(StatsTest, WarnsOfModelsOfWhichOneRunTakesTheWholeObjective) {
  open();
  reload();
  const Stats tight = stats(milliseconds(1));  // the simulated model takes 2 ms or more
  EXPECT_THAT(tight.warnings(),
              ElementsAre(testing::AllOf(HasSubstr("model 'simulated' version 1: one run takes "),
                                         HasSubstr("the latency objective is 1 ms"))));
  EXPECT_EQ(tight.out_of_reach(), 1U);
  const Stats loose = stats(std::chrono::minutes(1));
  EXPECT_THAT(loose.warnings(), IsEmpty());
  EXPECT_EQ(loose.out_of_reach(), 0U);
}

TEST_F(StatsTest, AModelThatGoesIsWarnedOfNoMore) {
  open();
  reload();
  Stats stats = this->stats(milliseconds(1));
  std::filesystem::remove_all(root_ / "simulated");
  reload();
  stats.tick();
  EXPECT_THAT(stats.warnings(), IsEmpty());
}

TEST(Process, WhatProcDoesNotTellIsUnset) {
  const Process with = process_now();
  EXPECT_GT(with.resident_bytes.value(), 1U << 20U);
  EXPECT_GT(with.descriptors.value(), 2U);
  const TempFolder empty;
  const Process without = process_now(empty.path());
  EXPECT_FALSE(without.resident_bytes);
  EXPECT_FALSE(without.descriptors);
  EXPECT_GT(without.max_descriptors, 0U);
}

TEST_F(StatsTest, RemembersTheLastTwoMinutes) {
  open();
  reload();
  ManualClock clock;
  Stats stats(registry_, *scheduler_, *catalog_, {.latency = milliseconds(100)}, clock);
  EXPECT_THAT(stats.history(), IsEmpty());
  const auto handles = registry_.for_model("simulated", "1");
  for (std::size_t i = 0; i < Stats::kHistory + 30; ++i) {
    for (std::size_t k = 0; k < i; ++k) {
      handles->ok(metrics::Protocol::kHttp, milliseconds(3));
    }
    clock.advance(std::chrono::seconds(1));
    stats.tick();
    const auto now = stats.history().back();
    EXPECT_EQ(now.rate, stats.load().rate);
    if (i == 0) {
      EXPECT_TRUE(std::isnan(now.latency.p99));  // nothing was answered yet
      continue;
    }
    EXPECT_EQ(now.latency.p99, stats.load().latency.quantile(0.99));
  }
  clock.advance(milliseconds(250));
  const auto history = stats.history();
  ASSERT_EQ(history.size(), Stats::kHistory);
  for (std::size_t i = 0; i < history.size(); ++i) {
    EXPECT_EQ(history[i].age, milliseconds(250) + std::chrono::seconds(history.size() - 1 - i));
    EXPECT_EQ(history[i].rate, static_cast<double>(i + 30));
    EXPECT_GT(history[i].latency.p50, 0.0);
    EXPECT_LE(history[i].latency.p50, history[i].latency.p99);
  }
}

TEST_F(StatsTest, AnAnswerWhoseClientLeftDuringTheRunIsMarked) {
  open();
  reload();
  const auto served = catalog_->find({.name = "simulated"}, Form::kCpuTime);
  ASSERT_TRUE(served);
  const auto left = std::make_shared<Departure>();
  Context leaving = context();
  leaving.departure = left;
  std::vector<batching::TaskPtr> batch;
  const auto ignore = [](const Result<protocol::SimulateAnswer>&) {};
  batch.push_back(std::make_unique<CpuTimeTask>(*served, leaving, microseconds(10), ignore));
  batch.push_back(std::make_unique<CpuTimeTask>(*served, context(), microseconds(10), ignore));
  left->leave(clock_.now());
  run_batch(**served, clock_, batch);
  EXPECT_TRUE(batch[0]->unreceived);
  EXPECT_FALSE(batch[1]->unreceived);
}

}  // namespace
}  // namespace podsense::inference
