#include "inference/stacking.h"

#include <cstring>

#include "inference/backends_testing.h"
#include "inference/request_task.h"
#include "inference/test_fixture.h"

namespace podsense::inference {
namespace {

using protocol::InferAnswer;
using protocol::InferRequest;
using State = Stacking::State;
using testing::HasSubstr;
using testing::IsEmpty;

/// Tiny models by name, each with four numbers a row.
class StackingTest : public InferenceTest {
 protected:
  void serve_models(std::initializer_list<const char*> names, const std::string& manifest = "") {
    for (const std::string name : names) {
      put_model(name, 1, name + ".onnx");
      write(name + "/model.yaml", "batching: {max_batch: 8" + manifest + "}\n");
    }
    open();
    ASSERT_THAT(reload().refused, IsEmpty());
  }
  std::shared_ptr<const ServedModel> served(const std::string& name) {
    return catalog_->find({.name = name}).value();
  }

  static InferRequest row(const std::string& model, float first) {
    InferRequest request{.model = {.name = model}};
    protocol::InputTensor tensor{.name = "x", .shape = {1, 4}};
    const std::array<float, 4> values{first, 2, -first, 0.5F};
    tensor.storage = std::make_unique<std::byte[]>(sizeof(values));
    std::memcpy(tensor.storage.get(), values.data(), sizeof(values));
    tensor.data = {tensor.storage.get(), sizeof(values)};
    request.inputs.push_back(std::move(tensor));
    return request;
  }
  /// As a free executor would run them: in one batch.
  std::vector<Result<InferAnswer>> together(const std::string& name, std::size_t count) {
    std::vector<Result<InferAnswer>> answers(count);
    std::vector<batching::TaskPtr> batch;
    for (std::size_t i = 0; i < count; ++i) {
      Done<InferAnswer> done = [&answers, i](auto result) { answers[i] = std::move(result); };
      batch.push_back(
          make_task(served(name), context(), row(name, static_cast<float>(i)), done).value());
    }
    run_batch(*served(name), clock_, batch);
    return answers;
  }
  static std::vector<std::byte> bytes(const Result<InferAnswer>& answer) {
    EXPECT_TRUE(answer) << answer.error().message;
    return answer ? std::vector(answer->outputs[0].data.begin(), answer->outputs[0].data.end())
                  : std::vector<std::byte>();
  }
  void expect_answers_as_alone(const std::string& name) {
    const auto answers = together(name, 4);
    for (std::size_t i = 0; i < answers.size(); ++i) {
      std::vector<Result<InferAnswer>> alone(1);
      Done<InferAnswer> done = [&alone](auto result) { alone[0] = std::move(result); };
      std::vector<batching::TaskPtr> batch;
      batch.push_back(
          make_task(served(name), context(), row(name, static_cast<float>(i)), done).value());
      run_batch(*served(name), clock_, batch);
      EXPECT_EQ(bytes(answers[i]), bytes(alone[0])) << name << " " << i;
      EXPECT_EQ(answers[i]->outputs[0].shape, alone[0]->outputs[0].shape) << name;
    }
  }
};

TEST_F(StackingTest, RequestsShareRunsWhereGraphAndRandomRowsAgree) {
  serve_models({"apart_mlp"});
  EXPECT_EQ(served("apart_mlp")->stacking->state(), State::kShared);
  EXPECT_EQ(served("apart_mlp")->shared_rows(), 8U);
  EXPECT_EQ(served("apart_mlp")->max_batch_size(), 8U);
  expect_answers_as_alone("apart_mlp");
  EXPECT_GT(served("apart_mlp")->statistics().inference_count,
            served("apart_mlp")->statistics().execution_count);
}

TEST_F(StackingTest, RequestsRunAloneWhereRowsMeet) {
  serve_models({"mixes_softmax", "mixes_largest_decides", "mixes_reversed", "mixes_quantised"});
  for (const char* name :
       {"mixes_softmax", "mixes_largest_decides", "mixes_reversed", "mixes_quantised"}) {
    EXPECT_EQ(served(name)->stacking->state(), State::kAlone) << name;
    EXPECT_EQ(served(name)->shared_rows(), 1U) << name;
    EXPECT_EQ(served(name)->max_batch_size(), 0U) << name;
    expect_answers_as_alone(name);
    EXPECT_EQ(served(name)->statistics().inference_count,
              served(name)->statistics().execution_count);
  }
  EXPECT_THAT(served("mixes_softmax")->stacking->reason(), HasSubstr("Softmax"));
}

TEST_F(StackingTest, TheManifestMaySayNo) {
  serve_models({"apart_mlp"}, ", share_runs: false");
  EXPECT_EQ(served("apart_mlp")->stacking->state(), State::kAlone);
  EXPECT_THAT(served("apart_mlp")->stacking->reason(), HasSubstr("model.yaml"));
  expect_answers_as_alone("apart_mlp");
}

TEST_F(StackingTest, AnAnswerThatCannotBeDividedIsAskedForAgain) {
  serve_models({"mixes_twice_the_rows"}, ", share_runs: true");
  const auto model = served("mixes_twice_the_rows");
  EXPECT_EQ(model->stacking->state(), State::kShared);
  expect_answers_as_alone("mixes_twice_the_rows");
  EXPECT_EQ(model->stacking->state(), State::kAlone);
  EXPECT_EQ(model->stacking->ended(), 1U);
  EXPECT_EQ(model->shared_rows(), 1U);
}

TEST_F(StackingTest, RowsOfOneRequestAreAnsweredOneByOneWhereRowsMeet) {
  serve_models({"mixes_softmax"});
  const std::vector<float> values{1, 2, 3, 4, 4, 3, 2, 1, 0, 9, 0, 9};
  const auto ask = [&](std::size_t first, std::size_t rows) {
    std::promise<Result<protocol::RowsAnswer>> promise;
    service_->predict({.model = {.name = "mixes_softmax"},
                       .values = {values.begin() + static_cast<std::ptrdiff_t>(4 * first),
                                  values.begin() + static_cast<std::ptrdiff_t>(4 * (first + rows))},
                       .rows = rows,
                       .columns = 4},
                      context(), [&](auto result) { promise.set_value(std::move(result)); });
    return promise.get_future().get();
  };
  const auto all = ask(0, 3);
  ASSERT_TRUE(all) << all.error().message;
  ASSERT_EQ(all->rows.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(all->rows[i].probabilities, ask(i, 1)->rows[0].probabilities) << i;
  }
}

TEST_F(StackingTest, TheOutcomeIsKeptForTheNextStart) {
  put_model("apart_mlp", 1, "apart_mlp.onnx");
  const auto start = [&] {
    catalog_.reset();
    backends_ = test_backends({.cache_dir = folder_ / "cache"});
    scheduler_.emplace(batching::Scheduler::Options{.executors = 1}, clock_);
    catalog_.emplace(
        CatalogOptions{.repository = {.root = root_}, .profile_dir = folder_ / "cache"}, *backends_,
        *scheduler_, registry_, clock_);
    reload();
    return served("apart_mlp")->stacking->reason();
  };
  EXPECT_THAT(start(), HasSubstr("random rows"));
  EXPECT_THAT(start(), HasSubstr("earlier start"));
  EXPECT_EQ(served("apart_mlp")->stacking->state(), State::kShared);
}

}  // namespace
}  // namespace podsense::inference
