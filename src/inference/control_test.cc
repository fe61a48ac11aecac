#include "inference/control.h"

#include <latch>
#include <memory>
#include <new>
#include <system_error>

#include "inference/test_fixture.h"

namespace podsense::inference {
namespace {

using Action = ControlRequest::Action;
using testing::HasSubstr;

/// A control plane whose reloads can be held.
class ControlTest : public InferenceTest {
 protected:
  void begin(ControlOptions options = {}) {
    open();
    options.read_files = [this]() -> std::vector<FilesRead> {
      ++reloads_;
      if (throws_) {
        throws_();
      }
      if (held_) {
        entered_->count_down();
        held_->wait();
      }
      return {};
    };
    control_.emplace(std::move(options), *catalog_, time_);
    ASSERT_TRUE(control_->start());
    ask().get();  // behind the first load
    reloads_ = 0;
  }
  void TearDown() override {
    release();
    control_.reset();
    InferenceTest::TearDown();
  }

  std::future<Result<ControlOutcome>> ask(Action action = Action::kReload, std::string model = "") {
    auto promise = std::make_shared<std::promise<Result<ControlOutcome>>>();
    control_->submit({.action = action, .model = std::move(model)},
                     [promise](auto outcome) { promise->set_value(std::move(outcome)); });
    return promise->get_future();
  }
  /// The worker is inside a reload until `release`.
  std::future<Result<ControlOutcome>> hold() {
    entered_.emplace(1);
    held_ = std::make_unique<std::latch>(1);
    auto first = ask();
    entered_->wait();
    return first;
  }
  void release() {
    if (held_) {
      released_.push_back(std::move(held_));  // the next reload is not held
      released_.back()->count_down();
    }
  }

  ManualClock time_;
  std::atomic<int> reloads_{0};
  std::function<void()> throws_;
  std::optional<std::latch> entered_;
  std::unique_ptr<std::latch> held_;
  std::vector<std::unique_ptr<std::latch>> released_;
  std::optional<Control> control_;
};

TEST_F(ControlTest, RequestsForTheSameThingThatWaitShareOneRun) {
  begin();
  auto first = hold();
  std::vector<std::future<Result<ControlOutcome>>> waiting;
  for (int i = 0; i < 800; ++i) {
    waiting.push_back(ask());
  }
  release();
  EXPECT_TRUE(first.get());
  for (auto& one : waiting) {
    EXPECT_TRUE(one.get());
  }
  EXPECT_EQ(reloads_, 2);
}

TEST_F(ControlTest, RefusesWhenTooManyDifferentThingsWait) {
  begin({.max_jobs = 2});
  auto first = hold();
  auto one = ask(Action::kUnload, "tabular");
  auto two = ask(Action::kUnload, "simulated");
  auto three = ask(Action::kLoad, "tabular").get();
  EXPECT_EQ(three.error().code, ErrorCode::kUnavailable);
  EXPECT_GT(three.error().retry_after.count(), 0);
  auto same = ask(Action::kUnload, "simulated");
  release();
  EXPECT_TRUE(one.get());
  EXPECT_TRUE(two.get());
  EXPECT_TRUE(same.get());
}

TEST_F(ControlTest, RefusesWhenTooManyCallersWait) {
  begin({.max_callers = 2});
  auto first = hold();
  auto second = ask();
  EXPECT_EQ(ask().get().error().code, ErrorCode::kUnavailable);
  release();
  EXPECT_TRUE(second.get());
  EXPECT_TRUE(ask().get());
}

TEST_F(ControlTest, NobodyWaitsLongerThanTheLimitAndTheWorkGoesOn) {
  begin();
  auto running = hold();
  auto waiting = ask(Action::kUnload, "tabular");
  time_.advance(std::chrono::seconds(29));
  control_->expire();
  auto late = ask(Action::kUnload, "simulated");
  time_.advance(std::chrono::seconds(2));
  control_->expire();
  for (auto* expired : {&running, &waiting}) {
    const auto outcome = expired->get();
    EXPECT_EQ(outcome.error().code, ErrorCode::kUnavailable);
    EXPECT_THAT(outcome.error().message, HasSubstr("longer than 30 s and goes on"));
    EXPECT_GT(outcome.error().retry_after.count(), 0);
  }
  release();
  EXPECT_TRUE(late.get());
  EXPECT_THAT(catalog_->unloaded(), testing::UnorderedElementsAre("simulated", "tabular"));
}

TEST_F(ControlTest, ALoadAfterAnUnloadIsNotTheLoadBeforeIt) {
  begin();
  auto first = hold();
  auto load = ask(Action::kLoad, "tabular");
  auto unload = ask(Action::kUnload, "tabular");
  auto again = ask(Action::kLoad, "tabular");
  release();
  EXPECT_TRUE(load.get());
  EXPECT_TRUE(unload.get());
  EXPECT_TRUE(again.get());
  EXPECT_THAT(catalog_->unloaded(), testing::IsEmpty());
}

TEST_F(ControlTest, SurvivesALackOfMemoryAndOfThreads) {
  begin();
  throws_ = [] { throw std::bad_alloc(); };
  EXPECT_EQ(ask().get().error().code, ErrorCode::kUnavailable);
  throws_ = [] {
    throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again));
  };
  EXPECT_EQ(ask().get().error().code, ErrorCode::kUnavailable);
  throws_ = [] { throw std::runtime_error("a fault"); };
  EXPECT_EQ(ask().get().error().code, ErrorCode::kInternal);
  throws_ = nullptr;
  EXPECT_TRUE(ask().get());
}

TEST_F(ControlTest, ItsEndAnswersThoseWhoWait) {
  begin();
  auto running = hold();
  auto waiting = ask(Action::kLoad, "tabular");
  std::jthread ending([this] { control_.reset(); });
  EXPECT_EQ(waiting.get().error().code, ErrorCode::kUnavailable);
  release();
  EXPECT_TRUE(running.get());
}

}  // namespace
}  // namespace podsense::inference
