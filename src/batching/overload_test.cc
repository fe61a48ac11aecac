#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <future>
#include <memory>
#include <numbers>
#include <random>
#include <string>
#include <vector>

#include "batching/scheduler.h"

namespace podsense::batching {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// How a machine's speed changes: what a run takes, in parts of the usual service time.
struct Machine {
  std::string name;
  double noise = 0;  ///< of each run: half of them are within this share of the usual
  double slow = 1;   ///< times the usual in the last fifth of every two seconds
  std::size_t max_batch = 1;
};

/// Three times as many tasks as one executor can do, at random moments of a manual clock, which
/// runs advance: what a run takes, and who comes meanwhile, is decided by seeds alone.
class Overload {
 public:
  static constexpr Duration kService = milliseconds(6);
  static constexpr Duration kDeadline = seconds(1);
  static constexpr Duration kWarm = seconds(5);  ///< until then nothing is counted
  static constexpr Duration kEnd = seconds(65);

  explicit Overload(const Machine& machine) : machine_(machine) {
    queue_ = scheduler_.add_queue(
        {.max_batch = machine.max_batch, .max_waiting = 100'000, .service = kService},
        [this](std::span<TaskPtr> batch, const std::stop_token& /*stop*/) { run(batch); });
    arrive();
    done_.get_future().get();
    queue_.reset();
  }

  /// Of what was admitted: answered after its deadline, or dropped.
  [[nodiscard]] double unmet_share() const {
    const auto unmet = static_cast<double>(late_ + dropped_);
    return unmet / (static_cast<double>(in_time_) + unmet);
  }
  /// The share of the executor's time that went into answers in time.
  [[nodiscard]] double goodput() const { return to_seconds(useful_) / to_seconds(busy_); }
  [[nodiscard]] Duration p99() {
    const auto at = latencies_.begin() + static_cast<std::ptrdiff_t>(latencies_.size() * 99 / 100);
    std::ranges::nth_element(latencies_, at);
    return *at;
  }

 private:
  class Guest final : public Task {
   public:
    explicit Guest(Overload& host) : host_(host) {}
    void drop(Error) override { host_.dropped(); }

   private:
    Overload& host_;
  };

  [[nodiscard]] bool counts() const { return clock_.now() - begin_ > kWarm; }

  void arrive() {
    TaskPtr task = std::make_unique<Guest>(*this);
    task->deadline = Deadline::after(clock_.now(), kDeadline);
    const double gap = -std::log(1 - uniform()) * to_seconds(kService) / 3;
    next_ = clock_.now() + from_seconds(gap);
    ++open_;
    // Nothing may follow but for the refused: from the first task on all happens on the executor.
    if (!queue_->submit(task)) {
      --open_;
    }
  }

  void pass(Duration time) {
    const TimePoint end = clock_.now() + time;
    while (next_ <= end && clock_.now() - begin_ < kEnd) {
      clock_.advance(next_ - clock_.now());
      arrive();
    }
    clock_.advance(end - clock_.now());
  }

  void run(std::span<TaskPtr> batch) {
    const double length = std::sqrt(-2 * std::log(1 - uniform()));
    const double normal = length * std::cos(2 * std::numbers::pi * uniform());
    const bool slow = (clock_.now() - begin_) % seconds(2) > milliseconds(1600);
    const Duration took =
        from_seconds(to_seconds(kService) * static_cast<double>(batch.size()) *
                     std::exp(1.5 * machine_.noise * normal) * (slow ? machine_.slow : 1));
    pass(took);
    const bool counted = counts();
    busy_ += counted ? took : Duration::zero();
    for (const TaskPtr& task : batch) {
      const Duration latency = clock_.now() - task->enqueued;
      if (counted) {
        latencies_.push_back(latency);
        const bool in_time = latency <= kDeadline;
        ++(in_time ? in_time_ : late_);
        useful_ += in_time ? took / static_cast<Duration::rep>(batch.size()) : Duration::zero();
      }
    }
    // Nothing else moves the clock: an idle executor waits here for who comes next.
    while (queue_->load().waiting == 0 && clock_.now() - begin_ < kEnd) {
      busy_ += counted ? next_ - clock_.now() : Duration::zero();
      pass(next_ - clock_.now());
    }
    settle(batch.size());
  }

  void dropped() {
    dropped_ += counts() ? 1 : 0;
    settle(1);
  }
  void settle(std::size_t tasks) {
    if ((open_ -= tasks) == 0) {
      done_.set_value();
    }
  }
  double uniform() { return static_cast<double>(random_()) / 4294967296.0; }

  const Machine machine_;
  std::mt19937 random_{7};
  ManualClock clock_;
  const TimePoint begin_ = clock_.now();
  TimePoint next_ = begin_;
  std::vector<Duration> latencies_;
  std::size_t in_time_ = 0;
  std::size_t late_ = 0;
  std::size_t dropped_ = 0;
  std::size_t open_ = 0;
  Duration busy_{};
  Duration useful_{};
  std::promise<void> done_;
  Scheduler scheduler_{{.executors = 1}, clock_};
  std::unique_ptr<Queue> queue_;
};

class OverloadTest : public testing::TestWithParam<Machine> {};

TEST_P(OverloadTest, WhatIsAdmittedMeetsItsDeadlineAndNoTimeIsLost) {
  Overload overload(GetParam());
  EXPECT_LE(overload.p99(), Duration(Overload::kDeadline));
  EXPECT_LE(overload.unmet_share(), 0.01);
  EXPECT_GE(overload.goodput(), 0.95);
}

INSTANTIATE_TEST_SUITE_P(
    Machines, OverloadTest,
    testing::Values(Machine{.name = "calm", .noise = 0.02}, Machine{.name = "noisy", .noise = 0.2},
                    Machine{.name = "busy", .noise = 0.1, .slow = 1.5},
                    Machine{.name = "batching", .noise = 0.1, .slow = 1.3, .max_batch = 16}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace podsense::batching
