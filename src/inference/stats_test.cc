#include "inference/stats.h"

#include <atomic>
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
