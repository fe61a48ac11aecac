#include "batching/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <latch>
#include <optional>
#include <semaphore>
#include <string>
#include <thread>

#include "batching/fate_testing.h"

namespace podsense::batching {
namespace {

using std::chrono::milliseconds;

class TestTask final : public Task {
 public:
  explicit TestTask(Fate& fate) : fate_(fate) {}
  void drop(Error error) override { fate_.promise.set_value(error.code); }
  [[nodiscard]] bool abandoned() const override { return fate_.gone; }
  void answer() { fate_.promise.set_value(std::nullopt); }

 private:
  Fate& fate_;
};

void answer_all(std::span<TaskPtr> batch, const std::stop_token& /*stop*/ = {}) {
  for (const TaskPtr& task : batch) {
    static_cast<TestTask&>(*task).answer();
  }
}

/// A run that says it began and waits until released.
struct Gate {
  std::counting_semaphore<> begun{0};
  std::counting_semaphore<> release{0};
  std::vector<std::size_t> sizes;
  Queue::Run run() {
    return [this](std::span<TaskPtr> batch, const std::stop_token& /*stop*/) {
      sizes.push_back(batch.size());
      begun.release();
      release.acquire();
      answer_all(batch);
    };
  }
};

/// Fates are declared before the queue: destroying a queue waits for those that write into them.
class SchedulerTest : public testing::Test {
 protected:
  Result<void> submit(Queue& queue, Fate& fate, Deadline deadline = {}) {
    TaskPtr task = std::make_unique<TestTask>(fate);
    task->deadline = deadline;
    return queue.submit(task);
  }
  [[nodiscard]] Deadline in(Duration d) const { return Deadline::after(clock_.now(), d); }

  ManualClock clock_;
  Scheduler scheduler_{{.executors = 1}, clock_};
};

TEST_F(SchedulerTest, RunsWhatIsSubmitted) {
  Fate fate;
  const auto queue = scheduler_.add_queue({}, answer_all);
  ASSERT_TRUE(submit(*queue, fate));
  EXPECT_EQ(fate.future.get(), std::nullopt);
}

TEST_F(SchedulerTest, TakesWhatWaitedAsOneBatch) {
  Gate gate;
  std::vector<Fate> fates(6);
  const auto queue = scheduler_.add_queue({.max_batch = 4}, gate.run());
  ASSERT_TRUE(submit(*queue, fates[0]));
  gate.begun.acquire();
  for (std::size_t i = 1; i < fates.size(); ++i) {
    ASSERT_TRUE(submit(*queue, fates[i]));
  }
  EXPECT_EQ(queue->load().waiting, 5U);
  gate.release.release(3);
  for (Fate& fate : fates) {
    EXPECT_EQ(fate.future.get(), std::nullopt);
  }
  EXPECT_THAT(gate.sizes, testing::ElementsAre(1, 4, 1));
}

TEST_F(SchedulerTest, RefusesAtArrivalWhatCannotMeetItsDeadline) {
  Gate gate;
  Fate running;
  Fate refused;
  Fate waiting;
  const auto queue = scheduler_.add_queue({.service = milliseconds(100)}, gate.run());
  ASSERT_TRUE(submit(*queue, running, in(milliseconds(500))));
  gate.begun.acquire();
  const auto result = submit(*queue, refused, in(milliseconds(120)));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kOverloaded);
  EXPECT_EQ(result.error().retry_after, milliseconds(37));
  EXPECT_TRUE(submit(*queue, waiting, in(milliseconds(200))));
  gate.release.release(2);
  EXPECT_EQ(waiting.future.get(), std::nullopt);
}

TEST_F(SchedulerTest, CountsAnswersThatNobodyReceived) {
  std::vector<Fate> fates(2);
  const auto queue =
      scheduler_.add_queue({}, [&](std::span<TaskPtr> batch, const std::stop_token& /*stop*/) {
        batch[0]->unreceived = true;
        answer_all(batch);
      });
  for (Fate& fate : fates) {
    ASSERT_TRUE(submit(*queue, fate));
    fate.future.get();
  }
  EXPECT_GE(queue->load().unreceived, 1U) << "the first run has ended when the second has begun";
}

TEST_F(SchedulerTest, RefusesAtArrivalWhatWouldWaitTooLong) {
  Gate gate;
  std::vector<Fate> fates(3);
  const auto queue = scheduler_.add_queue(
      {.max_wait = milliseconds(100), .service = milliseconds(100)}, gate.run());
  ASSERT_TRUE(submit(*queue, fates[0]));
  gate.begun.acquire();
  ASSERT_TRUE(submit(*queue, fates[1]));
  const auto refused = submit(*queue, fates[2]);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kOverloaded);
  EXPECT_EQ(refused.error().message,
            "the queue is longer than clients usually wait; ask again later or elsewhere");
  EXPECT_EQ(refused.error().retry_after, milliseconds(50));
  gate.release.release(2);
  EXPECT_EQ(fates[1].future.get(), std::nullopt);
}

TEST_F(SchedulerTest, RefusesBeyondItsLength) {
  Gate gate;
  std::vector<Fate> fates(3);
  const auto queue = scheduler_.add_queue({.max_waiting = 1}, gate.run());
  ASSERT_TRUE(submit(*queue, fates[0]));
  gate.begun.acquire();
  ASSERT_TRUE(submit(*queue, fates[1]));
  EXPECT_EQ(submit(*queue, fates[2]).error().code, ErrorCode::kOverloaded);
  gate.release.release(2);
}

TEST_F(SchedulerTest, DropsBeforeRunningWhatIsLateOrAbandoned) {
  Gate gate;
  Fate running;
  Fate late;
  Fate gone;
  Fate good;
  const auto queue = scheduler_.add_queue({.max_batch = 8}, gate.run());
  ASSERT_TRUE(submit(*queue, running));
  gate.begun.acquire();
  ASSERT_TRUE(submit(*queue, late, in(milliseconds(10))));
  ASSERT_TRUE(submit(*queue, gone));
  ASSERT_TRUE(submit(*queue, good));
  clock_.advance(milliseconds(10));
  gone.gone = true;
  gate.release.release(2);
  EXPECT_EQ(late.future.get(), ErrorCode::kDeadlineExceeded);
  EXPECT_EQ(gone.future.get(), ErrorCode::kCancelled);
  EXPECT_EQ(good.future.get(), std::nullopt);
  EXPECT_THAT(gate.sizes, testing::ElementsAre(1, 1));
}

TEST_F(SchedulerTest, DropsBeforeRunningWhatCanNoLongerBeInTime) {
  Gate gate;
  Fate running;
  Fate hopeless;
  Fate last;
  const auto queue = scheduler_.add_queue({.service = milliseconds(20)}, gate.run());
  ASSERT_TRUE(submit(*queue, running));
  gate.begun.acquire();
  ASSERT_TRUE(submit(*queue, hopeless, in(milliseconds(60))));
  ASSERT_TRUE(submit(*queue, last, in(milliseconds(60))));
  clock_.advance(milliseconds(50));  // 10 ms are left for 20 ms of work
  gate.release.release(2);
  EXPECT_EQ(hopeless.future.get(), ErrorCode::kDeadlineExceeded);
  EXPECT_EQ(last.future.get(), std::nullopt) << "nothing else waits: the estimate may be wrong";
  EXPECT_EQ(queue->load().unserved.late, 1U);
}

TEST_F(SchedulerTest, RefusesWhatIsAlreadyLate) {
  Fate fate;
  const auto queue = scheduler_.add_queue({}, answer_all);
  EXPECT_EQ(submit(*queue, fate, in(Duration::zero())).error().code, ErrorCode::kDeadlineExceeded);
}

TEST_F(SchedulerTest, RefusesWorkThatIsKnownNotToFitBeforeItsDeadline) {
  Fate fate;
  const auto queue = scheduler_.add_queue({}, answer_all);
  TaskPtr task = std::make_unique<TestTask>(fate);
  task->cost = milliseconds(20);
  task->deadline = in(milliseconds(10));
  EXPECT_EQ(queue->submit(task).error().code, ErrorCode::kDeadlineExceeded);
  EXPECT_NE(task, nullptr);
}

TEST_F(SchedulerTest, AFloodOfOneModelDoesNotStarveAnother) {
  Gate gate;
  std::vector<std::string> order;
  const auto note = [&](const char* name, Duration cost) {
    return [&order, this, name, cost](std::span<TaskPtr> batch, const std::stop_token& /*stop*/) {
      order.emplace_back(name);
      clock_.advance(cost);
      answer_all(batch);
    };
  };
  Fate first;
  std::vector<Fate> floods(6);
  std::vector<Fate> others(2);
  const auto blocker = scheduler_.add_queue({}, gate.run());
  const auto flood = scheduler_.add_queue({}, note("flood", milliseconds(10)));
  const auto other = scheduler_.add_queue({}, note("other", milliseconds(10)));
  ASSERT_TRUE(submit(*blocker, first));
  gate.begun.acquire();
  for (Fate& fate : floods) {
    ASSERT_TRUE(submit(*flood, fate));
  }
  for (Fate& fate : others) {
    ASSERT_TRUE(submit(*other, fate));
  }
  gate.release.release();
  for (Fate& fate : floods) {
    fate.future.get();
  }
  EXPECT_THAT(order, testing::ElementsAre("flood", "other", "flood", "other", "flood", "flood",
                                          "flood", "flood"));
}

TEST_F(SchedulerTest, BatchesAreBoundedInRows) {
  Gate gate;
  std::vector<Fate> fates(8);
  const auto queue = scheduler_.add_queue({.max_batch = 4}, gate.run());
  ASSERT_TRUE(submit(*queue, fates[0]));
  gate.begun.acquire();
  for (const std::size_t rows : {3U, 1U, 2U, 9U, 1U, 3U, 4U}) {
    TaskPtr task = std::make_unique<TestTask>(fates[gate.sizes.size() + queue->load().waiting]);
    task->rows = rows;
    ASSERT_TRUE(queue->submit(task));
  }
  gate.release.release(6);
  for (Fate& fate : fates) {
    EXPECT_EQ(fate.future.get(), std::nullopt);
  }
  EXPECT_THAT(gate.sizes, testing::ElementsAre(1, 2, 1, 1, 2, 1));
}

TEST_F(SchedulerTest, KnownCostsOfWhatWaitsAreCounted) {
  Gate gate;
  std::vector<Fate> fates(3);
  const auto queue = scheduler_.add_queue({.service = milliseconds(1)}, gate.run());
  const auto submit_costing = [&](Fate& fate, Duration cost, Duration limit) {
    TaskPtr task = std::make_unique<TestTask>(fate);
    task->cost = cost;
    task->deadline = in(limit);
    return queue->submit(task);
  };
  ASSERT_TRUE(submit_costing(fates[0], milliseconds(100), milliseconds(500)));
  gate.begun.acquire();
  ASSERT_TRUE(submit_costing(fates[1], milliseconds(300), milliseconds(500)));
  const auto refused = submit_costing(fates[2], milliseconds(1), milliseconds(200));
  EXPECT_EQ(refused.error().code, ErrorCode::kOverloaded);
  EXPECT_EQ(refused.error().retry_after, milliseconds(195));  // (50 + 300) × 9/8 + 1 - 200
  gate.release.release(2);
  EXPECT_EQ(fates[1].future.get(), std::nullopt);
}

TEST_F(SchedulerTest, AFloodingClientIsRefusedWhileOthersAreLetIn) {
  Gate gate;
  std::vector<Fate> fates(20);
  const auto queue = scheduler_.add_queue({.service = milliseconds(10)}, gate.run());
  std::size_t next = 0;
  const auto submit_as = [&](std::uint64_t client) {
    TaskPtr task = std::make_unique<TestTask>(fates[next++]);
    task->client = client;
    task->deadline = in(milliseconds(50));
    return queue->submit(task).has_value();
  };
  ASSERT_TRUE(submit_as(1));
  gate.begun.acquire();
  std::size_t admitted = 0;
  while (submit_as(1)) {
    ++admitted;
  }
  EXPECT_EQ(admitted, 4U);
  EXPECT_FALSE(submit_as(1));
  EXPECT_TRUE(submit_as(2));
  gate.release.release(6);
}

TEST_F(SchedulerTest, WeightsShareTheExecutors) {
  Gate gate;
  std::string order;
  const auto note = [&](char name) {
    return [&order, this, name](std::span<TaskPtr> batch, const std::stop_token& /*stop*/) {
      order += name;
      clock_.advance(milliseconds(10));
      answer_all(batch);
    };
  };
  std::vector<Fate> fates(13);
  const auto blocker = scheduler_.add_queue({}, gate.run());
  const auto heavy = scheduler_.add_queue({.weight = 3}, note('h'));
  const auto light = scheduler_.add_queue({}, note('l'));
  ASSERT_TRUE(submit(*blocker, fates[0]));
  gate.begun.acquire();
  for (std::size_t i = 1; i <= 6; ++i) {
    ASSERT_TRUE(submit(*heavy, fates[i]));
    ASSERT_TRUE(submit(*light, fates[6 + i]));
  }
  gate.release.release();
  for (Fate& fate : fates) {
    fate.future.get();
  }
  EXPECT_EQ(std::ranges::count(order.substr(0, 8), 'h'), 6) << order;
}

TEST_F(SchedulerTest, AnIdleModelSavesNoTimeUp) {
  Gate gate;
  std::string order;
  const auto note = [&](char name) {
    return [&order, this, name](std::span<TaskPtr> batch, const std::stop_token& /*stop*/) {
      order += name;
      clock_.advance(milliseconds(10));
      answer_all(batch);
    };
  };
  const auto busy = scheduler_.add_queue({}, note('b'));
  const auto idle = scheduler_.add_queue({}, note('i'));
  std::vector<Fate> before(5);
  for (Fate& fate : before) {
    ASSERT_TRUE(submit(*busy, fate));
    fate.future.get();
  }
  const auto blocker = scheduler_.add_queue({}, gate.run());
  std::vector<Fate> fates(9);
  ASSERT_TRUE(submit(*blocker, fates[0]));
  gate.begun.acquire();
  for (std::size_t i = 1; i <= 4; ++i) {
    ASSERT_TRUE(submit(*busy, fates[i]));
  }
  for (std::size_t i = 5; i <= 8; ++i) {
    ASSERT_TRUE(submit(*idle, fates[i]));
  }
  order.clear();
  gate.release.release();
  for (Fate& fate : fates) {
    fate.future.get();
  }
  EXPECT_EQ(std::ranges::count(order.substr(0, 4), 'b'), 2) << order;
}

TEST_F(SchedulerTest, StoppingDropsWhatWaits) {
  Gate gate;
  Fate running;
  Fate waiting;
  const auto queue = scheduler_.add_queue({}, gate.run());
  ASSERT_TRUE(submit(*queue, running));
  gate.begun.acquire();
  ASSERT_TRUE(submit(*queue, waiting));
  auto stopped = std::async(std::launch::async, [&] { scheduler_.stop(); });
  gate.release.release(2);
  stopped.get();
  EXPECT_EQ(running.future.get(), std::nullopt);
  waiting.future.get();  // run or dropped, but answered
}

TEST_F(SchedulerTest, DestroyingAQueueDropsWhatWaitsAndFinishesWhatRuns) {
  Gate gate;
  Fate running;
  Fate waiting;
  auto queue = scheduler_.add_queue({}, gate.run());
  ASSERT_TRUE(submit(*queue, running));
  gate.begun.acquire();
  ASSERT_TRUE(submit(*queue, waiting));
  auto destroyed = std::async(std::launch::async, [&] { queue.reset(); });
  gate.release.release(2);
  destroyed.get();
  EXPECT_EQ(running.future.get(), std::nullopt);
  waiting.future.get();  // run or dropped, but answered
}

TEST_F(SchedulerTest, GrowsAndShrinksWhileItWorks) {
  Scheduler scheduler({.executors = 1, .most_executors = 3}, clock_);
  Gate gate;
  std::vector<Fate> fates(8);
  const auto queue = scheduler.add_queue(
      {.instances = 0}, [&](std::span<TaskPtr> batch, const std::stop_token& /*stop*/) {
        gate.begun.release();
        gate.release.acquire();
        answer_all(batch);
      });
  for (Fate& fate : fates) {
    ASSERT_TRUE(submit(*queue, fate));
  }
  gate.begun.acquire();
  EXPECT_EQ(queue->load().running, 1U);
  scheduler.resize(7);
  EXPECT_EQ(scheduler.executors(), 3U);
  gate.begun.acquire();
  gate.begun.acquire();
  EXPECT_EQ(queue->load().running, 3U);
  scheduler.resize(1);
  gate.release.release(static_cast<std::ptrdiff_t>(fates.size()));
  for (Fate& fate : fates) {
    EXPECT_EQ(fate.future.get(), std::nullopt);
  }
  scheduler.resize(2);
  Fate last;
  ASSERT_TRUE(submit(*queue, last));
  gate.release.release();
  EXPECT_EQ(last.future.get(), std::nullopt);
}

TEST_F(SchedulerTest, WhoFindsAnExecutorFreeIsExpectedToWaitForNobody) {
  Scheduler scheduler({.executors = 2}, clock_);
  Gate gate;
  std::vector<Fate> fates(2);
  const auto queue =
      scheduler.add_queue({.instances = 0, .service = milliseconds(100)}, gate.run());
  ASSERT_TRUE(submit(*queue, fates[0]));
  gate.begun.acquire();
  EXPECT_EQ(queue->load().expected_wait, Duration::zero());
  const auto second = submit(*queue, fates[1], in(milliseconds(105)));
  if (second) {
    gate.begun.acquire();
    EXPECT_GT(queue->load().expected_wait, Duration::zero());
  }
  gate.release.release(2);
  EXPECT_EQ(fates[0].future.get(), std::nullopt);
  ASSERT_TRUE(second);
  EXPECT_EQ(fates[1].future.get(), std::nullopt);
}

TEST(SchedulerThreads, NoTaskIsForgottenWhileExecutorsComeAndGo) {
  const SteadyClock clock;
  Scheduler scheduler({.executors = 2, .most_executors = 4}, clock);
  const auto queue = scheduler.add_queue({.instances = 0, .max_waiting = 100'000}, answer_all);
  std::vector<Fate> fates(4000);
  std::jthread resizing([&](const std::stop_token& stop) {
    for (unsigned n = 0; !stop.stop_requested(); ++n) {
      scheduler.resize(1 + n % 4);
    }
  });
  for (Fate& fate : fates) {
    TaskPtr task = std::make_unique<TestTask>(fate);
    ASSERT_TRUE(queue->submit(task));
  }
  for (Fate& fate : fates) {
    EXPECT_EQ(fate.future.get(), std::nullopt);
  }
}

TEST(SchedulerThreads, EveryTaskMeetsExactlyOneEndUnderManyProducers) {
  const SteadyClock clock;
  Scheduler scheduler({.executors = 3}, clock);
  std::atomic<int> answered{0};
  std::atomic<int> dropped{0};
  class Counted final : public Task {
   public:
    Counted(std::atomic<int>& a, std::atomic<int>& d) : answered(a), dropped_(d) {}
    void drop(Error) override { ++dropped_; }
    std::atomic<int>& answered;

   private:
    std::atomic<int>& dropped_;
  };
  auto queue = scheduler.add_queue({.max_batch = 4, .instances = 2, .max_waiting = 100'000},
                                   [](std::span<TaskPtr> batch, const std::stop_token& /*stop*/) {
                                     for (const TaskPtr& task : batch) {
                                       ++static_cast<Counted&>(*task).answered;
                                     }
                                   });
  {
    std::vector<std::jthread> producers;
    for (int p = 0; p < 4; ++p) {
      producers.emplace_back([&] {
        for (int i = 0; i < 2000; ++i) {
          TaskPtr task = std::make_unique<Counted>(answered, dropped);
          ASSERT_TRUE(queue->submit(task));
        }
      });
    }
  }
  queue.reset();
  EXPECT_EQ(answered + dropped, 8000);
}

}  // namespace
}  // namespace podsense::batching
