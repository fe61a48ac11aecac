#include "inference/opening.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <string_view>
#include <vector>

#include "base/temp_folder_testing.h"
#include "inference/trials.h"
#include "model/fast_hash.h"

namespace podsense::inference {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using testing::ElementsAre;

/// A run moves the clock by what it costs.
class TimedModel final : public model::Model {
 public:
  TimedModel(ManualClock& clock, const model::Candidate& candidate, Duration run)
      : clock_(clock), candidate_(candidate), run_(run) {
    signature_.inputs = {{.name = "x", .shape = {1, 4}}};
  }
  [[nodiscard]] const std::string& name() const override { return candidate_.name; }
  [[nodiscard]] std::uint64_t version() const override { return candidate_.version; }
  [[nodiscard]] const model::Manifest& manifest() const override { return candidate_.manifest; }
  [[nodiscard]] const model::Signature& signature() const override { return signature_; }
  [[nodiscard]] const model::Engine& engine() const override {
    static constexpr model::Engine kEngine{.backend = "test", .platform = "test", .file = ""};
    return kEngine;
  }
  [[nodiscard]] std::uint64_t file_bytes() const override { return 1; }
  [[nodiscard]] unsigned threads() const override { return candidate_.manifest.threads; }
  Result<void> run_until(std::span<const model::TensorView>, model::Outputs&,
                         const std::stop_token&) const override {
    if (run_ == Duration::zero()) {
      return fail(ErrorCode::kInternal, "no such threads");
    }
    clock_.advance(run_);
    return {};
  }

 private:
  ManualClock& clock_;
  const model::Candidate candidate_;
  const Duration run_;
  model::Signature signature_;
};

/// Opens models that take the time given for their number of threads.
class TimedBackend final : public model::Backend {
 public:
  TimedBackend(ManualClock& clock, std::map<unsigned, Duration> times)
      : clock_(clock), times_(std::move(times)) {}
  Result<std::shared_ptr<const model::Model>> load(const model::Candidate& candidate) override {
    loaded.push_back(candidate.manifest.threads);
    return std::make_shared<TimedModel>(clock_, candidate, times_.at(candidate.manifest.threads));
  }
  [[nodiscard]] std::string_view version() const override { return "1"; }
  [[nodiscard]] std::string_view machine() const override { return "cpu"; }
  [[nodiscard]] std::string_view name() const override { return "test"; }
  [[nodiscard]] bool accepts(const model::Candidate&) const override { return true; }

  std::vector<unsigned> loaded;  ///< numbers of threads, in order

 private:
  ManualClock& clock_;
  std::map<unsigned, Duration> times_;
};

class OpeningTest : public testing::Test {
 protected:
  static constexpr unsigned kCores = 4;

  OpeningTest() {
    candidate_.name = "costly";
    candidate_.version = 1;
    candidate_.file = model_file_;
    candidate_.manifest.instances = 1;
  }
  /// @p one and @p all: a run with one thread, and with all cores; zero: it fails.
  Result<Opened> try_open(Duration one, Duration all, unsigned cores) {
    auto backend = std::make_unique<TimedBackend>(
        clock_, std::map<unsigned, Duration>{{1, one}, {kCores, all}});
    const TimedBackend& timed = *backend;
    std::vector<std::unique_ptr<model::Backend>> list;
    list.push_back(std::move(backend));
    const model::Backends backends(std::move(list));
    auto opened =
        open_measured(backends, candidate_, saved_, {.cores = cores}, clock_, trials_.get());
    loaded_ = timed.loaded;
    return opened;
  }
  Opened open(Duration one, Duration all, unsigned cores = kCores) {
    return try_open(one, all, cores).value();
  }

  ManualClock clock_;
  const TempFolder folder_;
  const std::filesystem::path model_file_ = folder_.write("model.onnx", "of any content");
  model::Candidate candidate_;
  SavedProfiles saved_{""};
  std::unique_ptr<Trials> trials_;
  std::vector<unsigned> loaded_;
};

TEST_F(OpeningTest, ASingleInstanceTakesAllCoresWhereTheySaveAFifth) {
  const Opened opened = open(milliseconds(10), milliseconds(8));
  EXPECT_EQ(opened.model->threads(), kCores);
  EXPECT_EQ(opened.profile.front().time, milliseconds(8)) << "the plan goes by what will run";
  EXPECT_THAT(loaded_, ElementsAre(1, kCores));
}

TEST_F(OpeningTest, ASingleInstanceKeepsOneThreadWhereCoresSaveLess) {
  const Opened opened = open(milliseconds(10), microseconds(8001));
  EXPECT_EQ(opened.model->threads(), 1U);
  EXPECT_EQ(opened.profile.front().time, milliseconds(10));
  EXPECT_THAT(loaded_, ElementsAre(1, kCores));
}

TEST_F(OpeningTest, CoresAreNotTriedWhereTheyCannotHelp) {
  open(microseconds(200), microseconds(1));
  EXPECT_THAT(loaded_, ElementsAre(1)) << "it runs inline";
  open(milliseconds(10), milliseconds(1), 1);
  EXPECT_THAT(loaded_, ElementsAre(1)) << "there is one core";
}

TEST_F(OpeningTest, CoresAreNotTriedAgainstTheManifest) {
  candidate_.manifest.instances = 2;
  open(milliseconds(10), milliseconds(1));
  EXPECT_THAT(loaded_, ElementsAre(1)) << "runs at the same time share the cores";
  candidate_.manifest.instances.reset();
  open(milliseconds(10), milliseconds(1));
  EXPECT_THAT(loaded_, ElementsAre(1));
  candidate_.manifest.instances = 1;
  candidate_.manifest.threads_given = true;
  open(milliseconds(10), milliseconds(1));
  EXPECT_THAT(loaded_, ElementsAre(1)) << "threads are given";
  candidate_.manifest.threads_given = false;
  candidate_.manifest.warmup_runs = 1;
  open(milliseconds(10), milliseconds(1));
  EXPECT_THAT(loaded_, ElementsAre(1)) << "one run has nothing to compare";
}

TEST_F(OpeningTest, ASavedProfileBringsItsThreadsBackUntried) {
  const TempFolder folder;
  saved_ = SavedProfiles(folder.path());
  EXPECT_FALSE(open(milliseconds(10), milliseconds(5)).saved);
  const Opened again = open(milliseconds(10), milliseconds(5));
  EXPECT_TRUE(again.saved);
  EXPECT_EQ(again.model->threads(), kCores);
  const Opened slower = open(milliseconds(10), milliseconds(11));
  EXPECT_FALSE(slower.saved) << "it takes twice as long now";
  EXPECT_EQ(slower.model->threads(), 1U);
}

TEST_F(OpeningTest, WhetherRowsAreIndependentIsKeptWhereTimesHaveChanged) {
  saved_ = SavedProfiles(folder_ / "profiles");
  const Opened first = open(milliseconds(10), milliseconds(10));
  saved_.keep(
      first.key,
      {.threads = first.model->threads(), .profile = first.profile, .rows = "rows are summed up"});
  for (int i = 0; i < 2; ++i) {
    const Opened again = open(milliseconds(100), milliseconds(100));
    EXPECT_EQ(again.saved, i == 1) << "ten times as long is measured anew";
    EXPECT_EQ(again.rows, "rows are summed up");
  }
}

TEST_F(OpeningTest, AFailingTrialFailsTheLoad) {
  const auto opened = try_open(milliseconds(10), Duration::zero(), kCores);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().message, "the warm-up run failed: no such threads");
}

/// A trial that counts, and says that one run with one thread takes 3 ms.
class OpeningAfterTrialTest : public OpeningTest {
 protected:
  void try_with(TrialReport report, std::set<std::string> known = {}) {
    trials_ = std::make_unique<Trials>(
        TrialsOptions{.trial =
                          [this, report](const model::Candidate&, const std::stop_token&) {
                            ++tried_;
                            return report;
                          },
                      .known = std::move(known)},
        clock_);
  }
  TrialReport measured_ = {
      .end = TrialReport::End::kOpened,
      .profile = SavedProfile{.threads = 1, .profile = {{.rows = 1, .time = milliseconds(3)}}}};
  std::atomic<int> tried_ = 0;
};

TEST_F(OpeningAfterTrialTest, WhatTheTrialMeasuredIsNotMeasuredAgain) {
  try_with(measured_);
  const Opened opened = open(milliseconds(3), milliseconds(1));
  EXPECT_EQ(opened.profile.front().time, milliseconds(3));
  EXPECT_FALSE(opened.saved);
  EXPECT_THAT(loaded_, ElementsAre(1)) << "more threads were the trial's affair";
  EXPECT_EQ(tried_, 1);
}

TEST_F(OpeningAfterTrialTest, WhatTheTrialRefusedIsNeverOpenedHere) {
  for (const auto end : {TrialReport::End::kRefused, TrialReport::End::kFellOver}) {
    try_with({.end = end, .reason = "it is broken"});
    const auto opened = try_open(milliseconds(3), milliseconds(1), kCores);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().message, "it is broken");
    EXPECT_THAT(loaded_, testing::IsEmpty());
  }
}

TEST_F(OpeningAfterTrialTest, WithoutAProcessToTryItInItIsOpenedHere) {
  try_with({.end = TrialReport::End::kNotTried, .reason = "no process"});
  EXPECT_EQ(open(milliseconds(3), milliseconds(3)).profile.front().time, milliseconds(3));
}

TEST_F(OpeningAfterTrialTest, ASavedProfileOrAKnownHashNeedsNoTrial) {
  const TempFolder folder;
  saved_ = SavedProfiles(folder.path());
  try_with(measured_);
  open(milliseconds(3), milliseconds(3));
  EXPECT_EQ(tried_, 1);
  EXPECT_TRUE(open(milliseconds(3), milliseconds(3)).saved);
  EXPECT_EQ(tried_, 1) << "the profile was kept";
  saved_ = SavedProfiles("");
  try_with(measured_, {model::fast_hash_file(model_file_)->hex()});
  open(milliseconds(3), milliseconds(3));
  EXPECT_EQ(tried_, 1) << "the file is known";
}

}  // namespace
}  // namespace podsense::inference
