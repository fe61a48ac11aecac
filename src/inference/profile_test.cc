#include "inference/profile.h"

#include "inference/test_fixture.h"

namespace podsense::inference {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

TEST(BestBatch, IsOneWhereBatchingDoesNotPay) {
  EXPECT_EQ(best_batch({}), 1U);
  EXPECT_EQ(best_batch(Profile{{1, microseconds(100)}}), 1U);
  EXPECT_EQ(best_batch(Profile{{1, microseconds(100)}, {2, microseconds(190)}}), 1U);
}

TEST(BestBatch, IsTheSmallestThatIsNearlyTheCheapest) {
  const Profile profile{{1, microseconds(10)},
                        {2, microseconds(12)},
                        {4, microseconds(16)},
                        {8, microseconds(24)},
                        {16, microseconds(47)}};
  EXPECT_EQ(best_batch(profile), 8U);
}

TEST(BestBatch, IsTakenOnlyWhereItsGainIsBeyondTheNoise) {
  const auto chosen = [](double noise) {
    return choose_batch(Profile{{1, microseconds(100), 0}, {2, microseconds(170), noise}});
  };
  EXPECT_EQ(chosen(0).rows, 2U);
  EXPECT_NEAR(chosen(0).gain, 0.15, 1e-9);
  EXPECT_EQ(chosen(0.02).rows, 2U);
  EXPECT_EQ(chosen(0.04).rows, 1U) << "it may be a loss of a tenth that is not there";
  EXPECT_NEAR(chosen(0.04).gain, 0.15, 1e-9) << "which is reported all the same";
  EXPECT_NEAR(chosen(0.04).noise, 0.034, 1e-9);
  // What the first step may be off, the second is, too: it is not counted twice.
  EXPECT_EQ(
      best_batch(Profile{
          {1, microseconds(100), 0}, {2, microseconds(120), 0.1}, {4, microseconds(220), 0.1}}),
      4U);
}

/// A clock that moves by what the model under test costs.
class CostlyModel final : public model::Model {
 public:
  CostlyModel(ManualClock& clock, Duration run, Duration row)
      : clock_(clock), run_(run), row_(row) {
    signature_.inputs = {{.name = "x", .shape = {-1, 4}}};
    signature_.batchable = true;
    manifest_.warmup_runs = 4;
  }
  [[nodiscard]] const std::string& name() const override { return name_; }
  [[nodiscard]] std::uint64_t version() const override { return 1; }
  [[nodiscard]] const model::Manifest& manifest() const override { return manifest_; }
  [[nodiscard]] const model::Signature& signature() const override { return signature_; }
  [[nodiscard]] const model::Engine& engine() const override {
    static constexpr model::Engine kEngine{.backend = "test", .platform = "test", .file = ""};
    return kEngine;
  }
  [[nodiscard]] std::uint64_t file_bytes() const override { return 0; }
  Result<void> run_until(std::span<const model::TensorView> inputs, model::Outputs&,
                         const std::stop_token&) const override {
    EXPECT_EQ(inputs[0].data.size(), static_cast<std::size_t>(inputs[0].shape[0]) * 16);
    if (inputs[0].shape[0] > most_rows) {
      return fail(ErrorCode::kInvalidArgument, "one row only");
    }
    clock_.advance(run_ + row_ * inputs[0].shape[0]);
    if (busy_every != 0 && ++runs_ % busy_every == 0) {
      clock_.advance(busy_for);  // another process has the core
    }
    return {};
  }

  model::Manifest manifest_;
  std::int64_t most_rows = 1000;
  unsigned busy_every = 0;  ///< runs; 0: never
  Duration busy_for{};

 private:
  ManualClock& clock_;
  mutable unsigned runs_ = 0;
  Duration run_, row_;
  std::string name_ = "costly";
  model::Signature signature_;
};

TEST(Measure, TriesLargerBatchesAsLongAsRowsBecomeCheaper) {
  ManualClock clock;
  const CostlyModel fixed_cost(clock, microseconds(80), microseconds(20));
  const auto profile = measure(fixed_cost, clock).value();
  ASSERT_EQ(profile.size(), 6U);
  EXPECT_EQ(profile[0].time, microseconds(100));
  EXPECT_EQ(profile[5].rows, 32U);
  EXPECT_EQ(profile[5].time, microseconds(80 + 640));
  EXPECT_EQ(best_batch(profile), 32U);
  const CostlyModel by_row(clock, microseconds(1), milliseconds(10));
  EXPECT_EQ(measure(by_row, clock)->size(), 2U) << "the first larger size did not pay";
}

TEST(Measure, ComesToTheSameOnABusyMachine) {
  for (unsigned every = 2; every < 40; ++every) {
    ManualClock clock;
    CostlyModel by_row(clock, microseconds(10), microseconds(200));
    CostlyModel fixed_cost(clock, microseconds(80), microseconds(20));
    for (CostlyModel* model : {&by_row, &fixed_cost}) {
      model->busy_every = every;
      model->busy_for = milliseconds(3);
    }
    EXPECT_EQ(best_batch(measure(by_row, clock).value()), 1U) << every;
    EXPECT_GE(best_batch(measure(fixed_cost, clock).value()), every < 9 ? 1U : 8U) << every;
  }
}

TEST(Measure, EndsAtItsLimit) {
  ManualClock clock;
  CostlyModel slow(clock, std::chrono::seconds(3), microseconds(1));
  EXPECT_EQ(measure(slow, clock)->size(), 1U);
}

TEST(Measure, AModelThatTakesOneRowOnlyIsFine) {
  ManualClock clock;
  CostlyModel single(clock, microseconds(80), microseconds(20));
  single.most_rows = 1;
  EXPECT_EQ(measure(single, clock)->size(), 1U);
  single.most_rows = 0;
  EXPECT_EQ(measure(single, clock).error().message, "the warm-up run failed: one row only");
}

TEST(Measure, AGivenBatchSizeIsNotQuestioned) {
  ManualClock clock;
  CostlyModel given(clock, microseconds(80), microseconds(20));
  given.manifest_.max_batch = 4;
  EXPECT_EQ(measure(given, clock)->size(), 1U);
}

TEST(StillFits, RefusesAProfileOfOtherTimes) {
  ManualClock clock;
  const CostlyModel model(clock, microseconds(80), microseconds(20));
  EXPECT_TRUE(still_fits(model, {{1, microseconds(100)}}, clock).value());
  EXPECT_TRUE(still_fits(model, {{1, microseconds(190)}}, clock).value());
  EXPECT_TRUE(still_fits(model, {{1, microseconds(60)}}, clock).value());
  EXPECT_FALSE(still_fits(model, {{1, microseconds(300)}}, clock).value());
  EXPECT_FALSE(still_fits(model, {{1, microseconds(40)}}, clock).value());
  CostlyModel busy(clock, microseconds(80), microseconds(20));
  busy.busy_every = 2;
  busy.busy_for = milliseconds(3);
  EXPECT_TRUE(still_fits(busy, {{1, microseconds(100)}}, clock).value())
      << "a busy machine only adds";
}

TEST(StillFits, SaysWhenAModelDoesNotRun) {
  ManualClock clock;
  CostlyModel broken(clock, microseconds(80), microseconds(20));
  broken.most_rows = 0;
  EXPECT_FALSE(still_fits(broken, {{1, microseconds(100)}}, clock));
}

TEST_F(InferenceTest, ServesByTheProfileItMeasured) {
  open();
  reload();
  const auto tabular = catalog_->find({.name = "tabular"}).value();
  EXPECT_EQ(tabular->profile.front().rows, 1U);
  EXPECT_GT(tabular->service, Duration::zero());
  EXPECT_EQ(tabular->max_batch, best_batch(tabular->profile));
  EXPECT_THAT(registry_.expose(), testing::HasSubstr("podsense_profile_seconds{model=\"tabular\""));
}

}  // namespace
}  // namespace podsense::inference
