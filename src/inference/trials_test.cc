#include "inference/trials.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <string>

namespace podsense::inference {
namespace {

using End = TrialReport::End;
using std::chrono::milliseconds;
using std::chrono::minutes;
using testing::HasSubstr;

model::Candidate candidate(const std::string& name) {
  model::Candidate out;
  out.name = name;
  out.version = 1;
  out.file = "model.onnx";
  out.fingerprint = "fingerprint of " + name;
  return out;
}

/// Trials of a function of the test's own, without patience unless a test asks for some.
class TrialsTest : public testing::Test {
 protected:
  void make(Trial trial, Duration patience = std::chrono::hours(24)) {
    trials_.emplace(TrialsOptions{.trial = std::move(trial),
                                  .known = {model::Hash128{1, 2}.hex()},
                                  .patience = patience,
                                  .least_patience = Duration::zero()},
                    clock_);
    trials_->begin_round({candidate("a"), candidate("b")});
  }

  ManualClock clock_;
  std::optional<Trials> trials_;
};

TEST_F(TrialsTest, WhatWasFoundOutComesBack) {
  make([](const model::Candidate& what, const std::stop_token&) {
    return TrialReport{.end = End::kRefused, .reason = what.name + " is broken"};
  });
  const auto report = trials_->run(candidate("a"));
  ASSERT_TRUE(report);
  EXPECT_EQ(report->end, End::kRefused);
  EXPECT_EQ(report->reason, "a is broken");
}

TEST_F(TrialsTest, OnlyUnknownFilesNeedOne) {
  make([](const model::Candidate&, const std::stop_token&) { return TrialReport{}; });
  model::Candidate one = candidate("a");
  EXPECT_TRUE(trials_->needed(one));
  one.content = model::Hash128{1, 2};
  EXPECT_FALSE(trials_->needed(one)) << "its hash is known";
  one.content = model::Hash128{1, 3};
  EXPECT_TRUE(trials_->needed(one));
  one.file.clear();
  EXPECT_FALSE(trials_->needed(one)) << "there is nothing to open";
  EXPECT_FALSE(Trials({}, clock_).needed(candidate("a"))) << "nobody gave a way to try";
}

TEST_F(TrialsTest, WhatFellOverIsLeftAloneForLongerEachTime) {
  std::atomic<int> tried = 0;
  make([&](const model::Candidate&, const std::stop_token&) {
    ++tried;
    return TrialReport{.end = End::kFellOver, .reason = "it crashed"};
  });
  EXPECT_EQ(trials_->run(candidate("a"))->end, End::kFellOver);
  const auto again = trials_->run(candidate("a"));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().message, "it crashed");
  EXPECT_EQ(again.error().retry_after, milliseconds::zero());
  EXPECT_EQ(tried, 1);
  EXPECT_EQ(trials_->run(candidate("b"))->end, End::kFellOver) << "another model's own affair";
  EXPECT_EQ(tried, 2);
  clock_.advance(minutes(1));
  EXPECT_TRUE(trials_->run(candidate("a")));
  EXPECT_EQ(tried, 3);
  clock_.advance(minutes(1));
  EXPECT_FALSE(trials_->run(candidate("a"))) << "two minutes now";
  trials_->forget("a");
  EXPECT_TRUE(trials_->run(candidate("a"))) << "somebody asked for it by name";
  EXPECT_EQ(tried, 4);
}

TEST_F(TrialsTest, ASlowOneGoesOnByItselfAndIsToldOf) {
  std::promise<void> release;
  std::promise<void> told;
  make(
      [&, go = release.get_future().share()](const model::Candidate&, const std::stop_token&) {
        go.wait();
        return TrialReport{.end = End::kOpened};
      },
      Duration::zero());
  trials_->when_late([&] { told.set_value(); });
  for (int i = 0; i < 2; ++i) {
    const auto report = trials_->run(candidate("a"));
    ASSERT_FALSE(report);
    EXPECT_GT(report.error().retry_after, milliseconds::zero());
    EXPECT_THAT(report.error().message, HasSubstr("still being opened"));
  }
  release.set_value();
  told.get_future().wait();
  const auto report = trials_->run(candidate("a"));
  ASSERT_TRUE(report);
  EXPECT_EQ(report->end, End::kOpened);
}

/// Ends when it is told to.
TrialReport wait_for_stop(const std::stop_token& stop) {
  std::promise<void> stopped;
  const std::stop_callback tell(stop, [&] { stopped.set_value(); });
  stopped.get_future().wait();
  return {.end = End::kFellOver, .reason = "stopped"};
}

TEST_F(TrialsTest, OneThatNobodyWantsAnyMoreIsStopped) {
  std::promise<void> ended;
  make(
      [&](const model::Candidate&, const std::stop_token& stop) {
        auto report = wait_for_stop(stop);
        ended.set_value();
        return report;
      },
      Duration::zero());
  EXPECT_FALSE(trials_->run(candidate("a")));
  trials_->begin_round({candidate("b")});
  ended.get_future().wait();
}

TEST_F(TrialsTest, StoppingEndsAllAndAnswersWhoWaits) {
  std::promise<void> began;
  make([&](const model::Candidate&, const std::stop_token& stop) {
    began.set_value();
    return wait_for_stop(stop);
  });
  auto waiting = std::async(std::launch::async, [&] { return trials_->run(candidate("a")); });
  began.get_future().wait();
  trials_->stop();
  const auto report = waiting.get();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().message, "the server is shutting down");
  EXPECT_FALSE(trials_->run(candidate("a")));
}

TEST_F(TrialsTest, WhatATrialThrowsIsNoTrial) {
  make([](const model::Candidate&, const std::stop_token&) -> TrialReport {
    throw std::runtime_error("no memory");
  });
  const auto report = trials_->run(candidate("a"));
  ASSERT_TRUE(report);
  EXPECT_EQ(report->end, End::kNotTried);
  EXPECT_EQ(report->reason, "no memory");
}

TEST(TrialReports, OnlyKnownTextIsBelieved) {
  EXPECT_EQ(read_report("").end, End::kFellOver);
  EXPECT_EQ(read_report("hello").end, End::kFellOver);
  EXPECT_EQ(read_report("refused").end, End::kFellOver);
  EXPECT_EQ(read_report("refused no\nlabels\n").reason, "no");
  EXPECT_EQ(read_report("exhausted much").reason, "much");
  EXPECT_EQ(read_report("exhausted much").end, End::kFellOver);
  const auto opened = read_report("opened\nrubbish");
  EXPECT_EQ(opened.end, End::kOpened);
  EXPECT_FALSE(opened.profile) << "it is measured anew";
  const auto measured = read_report(
      "opened\n" + write_profile({}, {.threads = 3, .profile = {{.rows = 1, .time = minutes(1)}}}));
  ASSERT_TRUE(measured.profile);
  EXPECT_EQ(measured.profile->threads, 3U);
  EXPECT_EQ(measured.profile->profile.front().time, minutes(1));
}

}  // namespace
}  // namespace podsense::inference
