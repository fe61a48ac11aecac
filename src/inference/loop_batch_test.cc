#include "inference/loop_batch.h"

#include <algorithm>
#include <cstring>
#include <thread>

#include "inference/request_task.h"
#include "inference/test_fixture.h"

namespace podsense::inference {
namespace {

using testing::Each;
using testing::HasSubstr;
using testing::IsEmpty;

/// A loop's turn that the test ends by hand.
class LoopBatchTest : public InferenceTest {
 protected:
  void SetUp() override {
    InferenceTest::SetUp();
    write("tabular/model.yaml", "batching: {max_batch: 8}\n");
    put_model("alone", 1, "tabular.onnx");
    write("alone/model.yaml", "batching: {max_batch: 1}\n");
    put_model("gather", 1, "gather_fail.onnx");
    write("gather/model.yaml", "batching: {max_batch: 8}\n");
    open();
    ASSERT_THAT(reload().refused, IsEmpty());
  }
  Context with_turn() {
    Context made = context();
    made.turn = LoopBatchRef(turn_);
    return made;
  }
  /// Answers stand in the order of the calls; those that wait have no rows.
  void ask(float value, const std::string& model = "tabular", std::size_t columns = 20) {
    const std::size_t at = answers_.size();
    answers_.emplace_back();
    service_->predict({.model = {.name = model},
                       .values = std::vector<float>(columns, value),
                       .rows = 1,
                       .columns = columns},
                      with_turn(), [this, at](auto answer) { answers_[at] = std::move(answer); });
  }
  void end() {
    ends_wanted_ = 0;
    turn_.end(clock_);
  }
  /// Until a turn is watched in which two come: from then on it gathers.
  void make_busy() {
    while (ends_wanted_ == 0) {
      ask(0);
    }
    ask(0);
    end();
    answers_.clear();
  }
  std::vector<float> alone(float value) {
    std::vector<float> probabilities;
    service_->predict(
        {.values = std::vector<float>(20, value), .rows = 1, .columns = 20}, context(),
        [&](auto answer) { probabilities = answer.value().rows.front().probabilities; });
    return probabilities;
  }
  std::vector<bool> answered() const {
    std::vector<bool> list;
    for (const auto& answer : answers_) {
      list.push_back(!answer || !answer->rows.empty());
    }
    return list;
  }
  [[nodiscard]] metrics::ModelMetrics::Phases counted(const std::string& model) {
    return catalog_->find({.name = model}).value()->metrics->phases();
  }

  unsigned ends_wanted_ = 0;
  LoopBatch turn_{[this] { ++ends_wanted_; }};
  std::vector<Result<protocol::RowsAnswer>> answers_;
};

TEST_F(LoopBatchTest, ALoneRequestIsAnsweredAtOnceAndSeldomWatched) {
  for (unsigned i = 0; i < 10 * LoopBatch::kWatchEvery; ++i) {
    ask(0.5F);
    EXPECT_EQ(turn_.size(), 0U);
    EXPECT_LE(ends_wanted_, 1U);
    if (ends_wanted_ > 0) {
      EXPECT_EQ((i + 1) % LoopBatch::kWatchEvery, 0U) << i;
      end();
    }
  }
  EXPECT_THAT(answered(), Each(true));
}

TEST_F(LoopBatchTest, EachRequestOfASharedRunGetsItsOwnRow) {
  make_busy();
  const auto before = counted("tabular");
  for (int i = 0; i < 6; ++i) {
    ask(static_cast<float>(i) - 2.5F);
  }
  EXPECT_EQ(turn_.size(), 6U);
  EXPECT_EQ(ends_wanted_, 1U);
  EXPECT_THAT(answered(), Each(false));
  end();
  EXPECT_EQ(turn_.size(), 0U);
  const auto after = counted("tabular");
  EXPECT_EQ(after.compute.count - before.compute.count, 1U) << "one run";
  EXPECT_EQ(after.rows - before.rows, 6U);
  EXPECT_EQ(after.request.count - before.request.count, 6U);
  for (int i = 0; i < 6; ++i) {
    ASSERT_TRUE(answers_[static_cast<std::size_t>(i)]);
    EXPECT_EQ(answers_[static_cast<std::size_t>(i)]->rows.front().probabilities,
              alone(static_cast<float>(i) - 2.5F));
  }
  EXPECT_NE(alone(-2.5F), alone(2.5F)) << "the model tells them apart";
}

TEST_F(LoopBatchTest, ARunTakesAtMostTheLargestBatch) {
  make_busy();
  const auto before = counted("tabular");
  for (int i = 0; i < 20; ++i) {
    ask(1);
  }
  end();
  EXPECT_EQ(counted("tabular").compute.count - before.compute.count, 3U);
  EXPECT_EQ(counted("tabular").rows - before.rows, 20U);
  EXPECT_THAT(answered(), Each(true));
}

TEST_F(LoopBatchTest, WhatCannotBeRunTogetherRunsAtOnce) {
  make_busy();
  ask(1, "alone");
  ask(1, "tabular", 19);  // a column is missing
  EXPECT_THAT(answered(), Each(true));
  EXPECT_THAT(answers_[1].error().message, HasSubstr("got 19"));
  EXPECT_EQ(turn_.size(), 0U);
}

TEST_F(LoopBatchTest, ModelsDoNotMix) {
  put_model("other", 1, "tabular_no_label.onnx");
  write("other/model.yaml", "task: tabular-classification\nbatching: {max_batch: 8}\n");
  ASSERT_THAT(reload().refused, IsEmpty());
  make_busy();
  for (const char* name : {"tabular", "other", "tabular", "other"}) {
    ask(1, name);
  }
  end();
  EXPECT_EQ(answers_[0]->model, "tabular");
  EXPECT_EQ(answers_[1]->model, "other");
  EXPECT_EQ(answers_[3]->model, "other");
  EXPECT_EQ(counted("other").compute.count, 1U);
}

TEST_F(LoopBatchTest, AModelThatIsUnloadedMeanwhileStillAnswers) {
  make_busy();
  ask(1);
  ask(1);
  std::filesystem::remove_all(root_ / "tabular");
  ASSERT_TRUE(catalog_->reload());
  end();
  EXPECT_THAT(answered(), Each(true));
  EXPECT_EQ(answers_[1]->model, "tabular");
}

TEST_F(LoopBatchTest, GatheringEndsWhenTurnsBringOneEach) {
  make_busy();
  for (unsigned i = 0; i < LoopBatch::kLoneTurns; ++i) {
    ask(1);
    EXPECT_EQ(turn_.size(), 1U) << i;
    end();
  }
  ask(1);
  EXPECT_EQ(turn_.size(), 0U);
  EXPECT_EQ(ends_wanted_, 0U);
  EXPECT_THAT(answered(), Each(true));
}

TEST_F(LoopBatchTest, IsNotThereForOtherThreads) {
  make_busy();
  const Context copied = with_turn();
  EXPECT_EQ(copied.turn.get(), &turn_);
  EXPECT_EQ(context().turn.get(), nullptr);
  std::vector<Result<protocol::RowsAnswer>> answers;
  std::jthread([&] {
    EXPECT_EQ(copied.turn.get(), nullptr);
    service_->predict({.model = {.name = "tabular"},
                       .values = std::vector<float>(20, 1),
                       .rows = 1,
                       .columns = 20},
                      copied, [&](auto answer) { answers.push_back(std::move(answer)); });
    EXPECT_EQ(answers.size(), 1U) << "answered before the call returns";
  }).join();
  EXPECT_EQ(turn_.size(), 0U);
}

TEST_F(LoopBatchTest, SharedRunsAreCountedByTheirRows) {
  make_busy();
  const auto runs = [this](std::uint64_t size) {
    std::uint64_t found = 0;
    for (const auto& batch : catalog_->find({.name = "tabular"}).value()->statistics().batches) {
      found += batch.size == size ? batch.runs : 0;
    }
    return found;
  };
  const std::uint64_t alone_before = runs(1);
  EXPECT_GT(alone_before, 0U);
  for (int i = 0; i < 6; ++i) {
    ask(1);
  }
  end();
  EXPECT_EQ(runs(6), 1U);
  EXPECT_EQ(runs(1), alone_before);
}

TEST_F(LoopBatchTest, ValuesThatTheModelCannotTakeFailNoOtherRequest) {
  make_busy();
  std::vector<Result<protocol::InferAnswer>> answers(3);
  const std::array<std::int64_t, 3> indices{2, 9, 1};
  for (std::size_t i = 0; i < indices.size(); ++i) {
    protocol::InferRequest request{.model = {.name = "gather"}};
    auto& input = request.inputs.emplace_back(
        protocol::InputTensor{.name = "idx", .type = DataType::kInt64, .shape = {1}});
    input.storage = std::make_unique<std::byte[]>(sizeof(std::int64_t));
    std::memcpy(input.storage.get(), &indices[i], sizeof(std::int64_t));
    input.data = {input.storage.get(), sizeof(std::int64_t)};
    service_->infer(std::move(request), with_turn(),
                    [&answers, i](auto answer) { answers[i] = std::move(answer); });
  }
  EXPECT_EQ(turn_.size(), 3U);
  end();
  const auto value = [&](std::size_t i) {
    float number = -1;
    std::memcpy(&number, answers[i]->outputs.at(0).data.data(), sizeof number);
    return number;
  };
  ASSERT_TRUE(answers[0]) << answers[0].error().message;
  ASSERT_TRUE(answers[2]) << answers[2].error().message;
  EXPECT_EQ(value(0), 2);
  EXPECT_EQ(value(2), 1);
  ASSERT_FALSE(answers[1]);
  EXPECT_THAT(answers[1].error().message, HasSubstr("idx=9"));
}

}  // namespace
}  // namespace podsense::inference
