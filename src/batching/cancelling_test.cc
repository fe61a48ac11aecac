/// Runs for which nobody waits any more are cancelled (scheduler.h), and no others.

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <functional>
#include <semaphore>
#include <stop_token>
#include <thread>
#include <vector>

#include "batching/fate_testing.h"
#include "batching/scheduler.h"

namespace podsense::batching {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

class Asked final : public Task {
 public:
  explicit Asked(Fate& fate) : fate_(fate) {}
  void drop(Error error) override { end(error.code); }
  void answer() { end(std::nullopt); }
  [[nodiscard]] bool abandoned() const override { return fate_.gone; }
  [[nodiscard]] DeadlineAnswer answer_at_deadline() override {
    return [&fate = fate_] { fate.promise.set_value(ErrorCode::kDeadlineExceeded); };
  }

 private:
  void end(std::optional<ErrorCode> code) {
    if (claim()) {
      fate_.promise.set_value(code);
    }
  }
  Fate& fate_;
};

/// Real time: deadlines come by themselves.
class Cancelling : public testing::Test {
 protected:
  void submit(Queue& queue, Fate& fate, Duration deadline) {
    TaskPtr task = std::make_unique<Asked>(fate);
    task->deadline = Deadline::after(clock_.now(), deadline);
    EXPECT_TRUE(queue.submit(task));
  }
  /// Goes on until it is cancelled, or released.
  Queue::Run run() {
    return [this](std::span<TaskPtr> batch, const std::stop_token& stop) {
      sizes_.push_back(batch.size());
      begun_.release();
      {
        const std::stop_callback cancelled(stop, [this] {
          ++cancelled_;
          go_on_.release();
        });
        go_on_.acquire();
      }
      for (const TaskPtr& task : batch) {
        static_cast<Asked&>(*task).answer();
      }
      ended_.release();
    };
  }

  std::vector<std::size_t> sizes_;  ///< of runs
  std::atomic<unsigned> cancelled_ = 0;
  std::counting_semaphore<> begun_{0};
  std::counting_semaphore<> go_on_{0};
  std::counting_semaphore<> ended_{0};
  SteadyClock clock_;
  Scheduler scheduler_{{.executors = 1}, clock_};
};

TEST_F(Cancelling, ARunEndsAtTheLatestDeadlineOfItsTasks) {
  std::array<Fate, 4> fates;
  const auto queue = scheduler_.add_queue({.max_batch = 4}, run());
  submit(*queue, fates[0], hours(1));
  begun_.acquire();
  const std::array<Duration, 3> deadlines{milliseconds(200), milliseconds(600), milliseconds(400)};
  const TimePoint latest = clock_.now() + milliseconds(600);
  for (std::size_t i = 0; i < deadlines.size(); ++i) {
    submit(*queue, fates[i + 1], deadlines[i]);
  }
  go_on_.release();
  begun_.acquire();  // of all that have waited
  ended_.acquire();
  ended_.acquire();
  EXPECT_EQ(fates[0].future.get(), std::nullopt);
  EXPECT_GE(clock_.now(), latest);
  for (std::size_t i = 1; i < fates.size(); ++i) {
    EXPECT_EQ(fates[i].future.get(), ErrorCode::kDeadlineExceeded) << "the timer comes first";
  }
  EXPECT_EQ(cancelled_, 1U);
  EXPECT_EQ(scheduler_.overdue().runs, 0U);
}

TEST_F(Cancelling, TheNextRunOfTheExecutorIsNotCancelled) {
  std::array<Fate, 2> fates;
  const auto queue = scheduler_.add_queue({}, run());
  submit(*queue, fates[0], milliseconds(300));
  begun_.acquire();
  ended_.acquire();
  submit(*queue, fates[1], hours(1));
  begun_.acquire();
  scheduler_.note_overdue(std::chrono::seconds(1));
  EXPECT_EQ(cancelled_, 1U);
  go_on_.release();
  EXPECT_EQ(fates[1].future.get(), std::nullopt);
  while (queue->load().running > 0) {
    std::this_thread::yield();
  }
  EXPECT_EQ(queue->load().cancelled, 1U);
}

TEST_F(Cancelling, ARunWhoseClientsHaveAllLeftEnds) {
  std::array<Fate, 3> fates;
  const auto queue = scheduler_.add_queue({.max_batch = 2}, run());
  submit(*queue, fates[0], hours(1));
  begun_.acquire();
  submit(*queue, fates[1], hours(1));
  submit(*queue, fates[2], hours(1));
  go_on_.release();
  begun_.acquire();
  ended_.acquire();
  fates[1].gone = true;
  scheduler_.note_overdue(milliseconds(1));
  EXPECT_EQ(cancelled_, 0U) << "one of two still waits";
  fates[2].gone = true;
  scheduler_.note_overdue(milliseconds(1));
  ended_.acquire();
  EXPECT_EQ(cancelled_, 1U);
  EXPECT_EQ(sizes_.back(), 2U);
}

TEST_F(Cancelling, WhatRunsWhenItStopsIsCancelled) {
  Fate fate;
  const auto queue = scheduler_.add_queue({}, run());
  submit(*queue, fate, hours(1));
  begun_.acquire();
  scheduler_.stop();
  EXPECT_EQ(cancelled_, 1U);
}

TEST_F(Cancelling, IsSafeWhileRunsComeAndGo) {
  // Clients leave and deadlines come at any moment of short runs.
  constexpr std::size_t kTasks = 2000;
  std::vector<Fate> fates(kTasks);
  const auto queue = scheduler_.add_queue(
      {.max_batch = 3}, [](std::span<TaskPtr> batch, const std::stop_token& stop) {
        for (int i = 0; i < 20 && !stop.stop_requested(); ++i) {
          std::this_thread::yield();
        }
        for (const TaskPtr& task : batch) {
          static_cast<Asked&>(*task).answer();
        }
      });
  std::jthread looks([this](const std::stop_token& enough) {
    while (!enough.stop_requested()) {
      scheduler_.note_overdue(Duration::zero());
    }
  });
  for (std::size_t i = 0; i < kTasks; ++i) {
    TaskPtr task = std::make_unique<Asked>(fates[i]);
    task->deadline = Deadline::after(clock_.now(), std::chrono::microseconds(50 + i % 500));
    fates[i].gone = i % 3 == 0;
    if (!queue->submit(task)) {
      fates[i].promise.set_value(ErrorCode::kOverloaded);
    }
  }
  for (Fate& fate : fates) {
    fate.future.get();
  }
}

}  // namespace
}  // namespace podsense::batching
