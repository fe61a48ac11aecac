#include "batching/deadline_timer.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <semaphore>
#include <thread>
#include <vector>

#include "batching/fate_testing.h"
#include "batching/scheduler.h"

namespace podsense::batching {
namespace {

using std::chrono::milliseconds;

/// Answered once: by a run, by being dropped, or at its deadline.
class TimedTask final : public Task {
 public:
  TimedTask(Fate& fate, std::atomic<bool>& freed) : fate_(fate), freed_(freed) {}
  ~TimedTask() override { freed_ = true; }
  TimedTask(const TimedTask&) = delete;
  TimedTask& operator=(const TimedTask&) = delete;
  void drop(Error error) override {
    if (claim()) {
      fate_.promise.set_value(error.code);
    }
  }
  void answer() {
    if (claim()) {
      fate_.promise.set_value(std::nullopt);
    }
  }
  [[nodiscard]] DeadlineAnswer answer_at_deadline() override {
    return [&fate = fate_] { fate.promise.set_value(ErrorCode::kDeadlineExceeded); };
  }

 private:
  Fate& fate_;
  std::atomic<bool>& freed_;
};

/// A deadline that comes by itself, and not before a run has begun on a busy machine.
constexpr Duration kSoon = milliseconds(300);

/// Real time: the deadline comes by itself.
class Deadlines : public testing::Test {
 protected:
  Result<void> submit(Queue& queue, Fate& fate, Duration deadline) {
    TaskPtr task = std::make_unique<TimedTask>(fate, freed_);
    task->deadline = Deadline::after(clock_.now(), deadline);
    return queue.submit(task);
  }
  Queue::Run run() {
    return [this](std::span<TaskPtr> batch, const std::stop_token& /*stop*/) {
      begun_.release();
      release_.acquire();
      for (const TaskPtr& task : batch) {
        static_cast<TimedTask&>(*task).answer();
      }
    };
  }
  /// Until a run counts as overdue, however late the machine is.
  void wait_overdue(unsigned runs) {
    while (scheduler_.overdue().runs < runs) {
      scheduler_.note_overdue(std::chrono::seconds(1));
      std::this_thread::yield();
    }
  }

  std::atomic<bool> freed_ = false;  ///< a task
  std::counting_semaphore<> begun_{0};
  std::counting_semaphore<> release_{0};
  SteadyClock clock_;
  Scheduler scheduler_{{.executors = 1}, clock_};
};

TEST_F(Deadlines, ARunningTaskIsAnsweredAtItsDeadline) {
  Fate fate;
  const auto queue = scheduler_.add_queue({}, run());
  ASSERT_TRUE(submit(*queue, fate, kSoon));
  begun_.acquire();
  EXPECT_EQ(fate.future.get(), ErrorCode::kDeadlineExceeded);
  EXPECT_FALSE(freed_) << "the run may still read it";
  release_.release();
}

TEST_F(Deadlines, AWaitingTaskIsAnsweredAtItsDeadline) {
  Fate running;
  Fate waiting;
  const auto queue = scheduler_.add_queue({}, run());
  ASSERT_TRUE(submit(*queue, running, std::chrono::hours(1)));
  begun_.acquire();
  ASSERT_TRUE(submit(*queue, waiting, kSoon));
  EXPECT_EQ(waiting.future.get(), ErrorCode::kDeadlineExceeded);
  release_.release();
  EXPECT_EQ(running.future.get(), std::nullopt);
}

TEST_F(Deadlines, AnEarlierDeadlineDoesNotWaitForALaterOne) {
  std::array<Fate, 3> fates;
  const auto queue = scheduler_.add_queue({}, run());
  ASSERT_TRUE(submit(*queue, fates[0], std::chrono::hours(1)));
  begun_.acquire();
  ASSERT_TRUE(submit(*queue, fates[1], std::chrono::minutes(30)));
  ASSERT_TRUE(submit(*queue, fates[2], kSoon));
  EXPECT_EQ(fates[2].future.get(), ErrorCode::kDeadlineExceeded);
  release_.release(2);
  EXPECT_EQ(fates[1].future.get(), std::nullopt);
}

TEST_F(Deadlines, EachTaskIsAnsweredOnce) {
  // Runs end about when their deadlines come: a second answer would throw.
  constexpr int kTasks = 300;
  std::vector<Fate> fates(kTasks);
  std::atomic<bool> freed = false;
  const auto queue = scheduler_.add_queue(
      {.max_batch = 4}, [](std::span<TaskPtr> batch, const std::stop_token& /*stop*/) {
        for (const TaskPtr& task : batch) {
          static_cast<TimedTask&>(*task).answer();
        }
      });
  for (int i = 0; i < kTasks; ++i) {
    TaskPtr task = std::make_unique<TimedTask>(fates[static_cast<std::size_t>(i)], freed);
    task->deadline = Deadline::after(clock_.now(), std::chrono::microseconds(i % 60));
    if (!queue->submit(task)) {
      fates[static_cast<std::size_t>(i)].promise.set_value(ErrorCode::kOverloaded);
    }
  }
  for (Fate& fate : fates) {
    fate.future.get();
  }
}

TEST_F(Deadlines, AnotherExecutorTakesThePlaceOfAStuckOne) {
  std::array<Fate, 3> fates;
  const auto queue = scheduler_.add_queue({}, run());
  EXPECT_EQ(scheduler_.overdue().runs, 0U);
  ASSERT_TRUE(submit(*queue, fates[0], kSoon));
  begun_.acquire();
  wait_overdue(1);
  EXPECT_GE(scheduler_.overdue().longest, std::chrono::seconds(1));
  ASSERT_TRUE(submit(*queue, fates[1], std::chrono::hours(1)));
  begun_.acquire();  // on the new one
  EXPECT_EQ(scheduler_.executors(), 1U);
  release_.release(2);
  EXPECT_EQ(fates[1].future.get(), std::nullopt);
  while (scheduler_.overdue().runs > 0) {
    std::this_thread::yield();
  }
  EXPECT_EQ(scheduler_.overdue().longest, Duration::zero());
  ASSERT_TRUE(submit(*queue, fates[2], std::chrono::hours(1)));
  release_.release();
  EXPECT_EQ(fates[2].future.get(), std::nullopt);
}

TEST_F(Deadlines, WhereEveryExecutorIsStuckWhatWaitsIsRefused) {
  std::array<Fate, 4> fates;
  const auto queue = scheduler_.add_queue({}, run());
  for (unsigned i = 0; i < 3; ++i) {  // the one and the two that may take its place
    ASSERT_TRUE(submit(*queue, fates[i], kSoon));
    begun_.acquire();
    wait_overdue(i + 1);
  }
  ASSERT_TRUE(submit(*queue, fates[3], std::chrono::hours(1)));
  scheduler_.note_overdue(std::chrono::seconds(1));
  EXPECT_EQ(fates[3].future.get(), ErrorCode::kUnavailable);
  release_.release(3);
}

TEST_F(Deadlines, TimeInWhichTheProcessWasStoppedMakesNoRunStuck) {
  Fate fate;
  const auto queue = scheduler_.add_queue({}, run());
  ASSERT_TRUE(submit(*queue, fate, kSoon));
  begun_.acquire();
  EXPECT_EQ(fate.future.get(), ErrorCode::kDeadlineExceeded);
  scheduler_.note_overdue(milliseconds(999));
  EXPECT_EQ(scheduler_.overdue().runs, 0U);
  release_.release();
}

}  // namespace
}  // namespace podsense::batching
