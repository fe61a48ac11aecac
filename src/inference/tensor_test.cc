#include <array>
#include <cstring>
#include <numeric>

#include "inference/request_task.h"
#include "inference/test_fixture.h"

namespace podsense::inference {
namespace {

using namespace std::string_literals;
using protocol::InferAnswer;
using protocol::InferRequest;
using protocol::InputTensor;
using protocol::OutputTensor;
using testing::ElementsAre;
using testing::Pair;

void own(InputTensor& tensor, std::span<const std::byte> bytes) {
  tensor.storage = std::make_unique<std::byte[]>(bytes.size());
  std::ranges::copy(bytes, tensor.storage.get());
  tensor.data = {tensor.storage.get(), bytes.size()};
}

InputTensor floats(std::string name, std::vector<std::int64_t> shape, float first) {
  InputTensor tensor{.name = std::move(name), .shape = std::move(shape)};
  std::vector<float> values(protocol::element_count(tensor.shape).value());
  std::iota(values.begin(), values.end(), first);
  own(tensor, std::as_bytes(std::span(values)));
  return tensor;
}

InputTensor texts(std::string name, std::int64_t count, const std::string& packed) {
  InputTensor tensor{.name = std::move(name), .type = DataType::kBytes, .shape = {count}};
  own(tensor, std::as_bytes(std::span(packed)));
  return tensor;
}

std::vector<float> floats_of(const OutputTensor& tensor) {
  std::vector<float> values(tensor.data.size() / sizeof(float));
  std::memcpy(values.data(), tensor.data.data(), tensor.data.size());
  return values;
}

std::vector<std::string> texts_of(const OutputTensor& tensor) {
  std::vector<std::string> list;
  EXPECT_TRUE(for_each_text(tensor.data, [&](std::string_view text) { list.emplace_back(text); }));
  return list;
}

class TensorTest : public InferenceTest {
 protected:
  void SetUp() override {
    InferenceTest::SetUp();
    put_model("sum", 1, "sum_two_inputs.onnx");
    put_model("texts", 1, "strings.onnx");
    put_model("fixed", 1, "fixed_batch2.onnx");
    put_model("picture", 1, "conv_softmax.onnx");
    write("picture/model.yaml", "task: image-classification\npreprocess: {width: 8, height: 8}\n");
    open();
    ASSERT_THAT(reload().refused, testing::IsEmpty());
  }

  Result<InferAnswer> infer(InferRequest request) {
    std::promise<Result<InferAnswer>> promise;
    auto answer = promise.get_future();
    service_->infer(std::move(request), context(),
                    [&](auto result) { promise.set_value(std::move(result)); });
    return answer.get();
  }
  static InferRequest sum(std::int64_t rows, float a, float b) {
    InferRequest request{.model = {.name = "sum"}};
    request.inputs.push_back(floats("b", {rows, 3}, b));
    request.inputs.push_back(floats("a", {rows, 3}, a));
    return request;
  }
  /// Runs the requests as one batch, as a free executor would.
  std::vector<Result<InferAnswer>> together(std::vector<InferRequest> requests) {
    const auto served = catalog_->find(requests.front().model).value();
    std::vector<Result<InferAnswer>> answers(requests.size());
    std::vector<batching::TaskPtr> batch;
    for (std::size_t i = 0; i < requests.size(); ++i) {
      Done<InferAnswer> done = [&answers, i](auto result) { answers[i] = std::move(result); };
      batch.push_back(make_task(served, context(), std::move(requests[i]), done).value());
    }
    run_batch(*served, clock_, batch);
    return answers;
  }
};

TEST_F(TensorTest, TakesInputsInAnyOrderAndGivesAllOutputs) {
  InferRequest request = sum(2, 0, 10);
  request.id = "mine";
  const auto answer = infer(std::move(request));
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->id, "mine");
  EXPECT_EQ(answer->model, "sum");
  EXPECT_EQ(answer->version, "1");
  ASSERT_EQ(answer->outputs.size(), 2U);
  EXPECT_EQ(answer->outputs[0].name, "sum");
  EXPECT_THAT(answer->outputs[0].shape, ElementsAre(2, 3));
  EXPECT_THAT(floats_of(answer->outputs[0]), ElementsAre(10, 12, 14, 16, 18, 20));
  EXPECT_THAT(floats_of(answer->outputs[1]), ElementsAre(0, 11, 24, 39, 56, 75));
}

TEST_F(TensorTest, GivesTheOutputsAskedForInTheirOrder) {
  InferRequest request = sum(1, 1, 1);
  request.outputs = {{.name = "product", .binary_data = true}, {.name = "sum"}};
  const auto answer = infer(std::move(request));
  ASSERT_EQ(answer->outputs.size(), 2U);
  EXPECT_EQ(answer->outputs[0].name, "product");
  EXPECT_EQ(answer->outputs[0].binary_data, true);
  EXPECT_THAT(floats_of(answer->outputs[0]), ElementsAre(1, 4, 9));
  EXPECT_EQ(answer->outputs[1].binary_data, std::nullopt);
}

TEST_F(TensorTest, WhatCostsMoreAsItIsLargerSaysHowLargeItIs) {
  put_model("open", 1, "identity_dyn.onnx");
  ASSERT_THAT(reload().refused, testing::IsEmpty());
  const auto ticket = [this](const std::string& model, InputTensor input) {
    const auto served = catalog_->find({.name = model}).value();
    InferRequest request{.model = {.name = model}};
    request.inputs.push_back(std::move(input));
    Done<InferAnswer> done = [](const auto&) {};
    const auto task = make_task(served, context(), std::move(request), done).value();
    return std::pair(task->size, task->shape);
  };
  const auto small = ticket("open", floats("x", {2, 8}, 0));
  EXPECT_EQ(small.first, 32U) << "of a row";
  EXPECT_EQ(ticket("open", floats("x", {7, 8}, 0)), small);
  const auto large = ticket("open", floats("x", {2, 800}, 0));
  EXPECT_EQ(large.first, 3200U);
  EXPECT_NE(large.second, small.second) << "they cannot share a run";
  const auto text = ticket("texts", texts("x", 1, std::string("\x03\0\0\0abc", 7)));
  EXPECT_EQ(text.first, 7U);
  EXPECT_EQ(ticket("fixed", floats("x", {2, 3}, 0)).first, 0U) << "all are alike";
}

TEST_F(TensorTest, RequestsOfOneBatchGetTheirOwnRows) {
  std::vector<InferRequest> requests;
  requests.push_back(sum(1, 0, 100));
  requests.push_back(sum(3, 1, 200));
  requests.push_back(sum(2, 2, 300));
  const auto answers = together(std::move(requests));
  const std::array<std::size_t, 3> rows{1, 3, 2};
  for (std::size_t i = 0; i < answers.size(); ++i) {
    ASSERT_TRUE(answers[i]) << answers[i].error().message;
    const auto alone = infer(sum(static_cast<std::int64_t>(rows[i]), static_cast<float>(i),
                                 100 * static_cast<float>(i + 1)));
    for (const std::size_t output : {0U, 1U}) {
      EXPECT_EQ(answers[i]->outputs[output].shape, alone->outputs[output].shape);
      EXPECT_EQ(floats_of(answers[i]->outputs[output]), floats_of(alone->outputs[output]));
    }
  }
  const auto statistics = catalog_->find({.name = "sum"}).value()->statistics();
  EXPECT_EQ(statistics.execution_count, 1U + 3U);  // the batch, then each alone
  EXPECT_EQ(statistics.inference_count, 12U);
  EXPECT_EQ(statistics.success.count, 6U);
  EXPECT_GT(statistics.compute_infer.total, Duration::zero());
  // The sum of three requests, and each alone.
  Duration in_runs{};
  std::vector<std::pair<std::uint64_t, std::uint64_t>> sizes;
  for (const auto& batch : statistics.batches) {
    sizes.emplace_back(batch.size, batch.runs);
    in_runs += batch.compute_infer;
    EXPECT_EQ(batch.compute_input, Duration::zero());
  }
  EXPECT_THAT(sizes, ElementsAre(Pair(1, 1), Pair(2, 1), Pair(3, 1), Pair(6, 1)));
  EXPECT_NEAR(to_seconds(in_runs), to_seconds(statistics.compute_infer.total), 1e-7);
  EXPECT_GT(statistics.last_inference_ms, 1'700'000'000'000U);
}

TEST_F(TensorTest, TextsOfOneBatchAreCutAtTheirEnds) {
  InferRequest first{.model = {.name = "texts"}};
  first.inputs.push_back(texts("x", 2, "\1\0\0\0a\3\0\0\0bcd"s));
  InferRequest second{.model = {.name = "texts"}};
  second.inputs.push_back(texts("x", 1, "\2\0\0\0\0e"s));
  std::vector<InferRequest> both;
  both.push_back(std::move(first));
  both.push_back(std::move(second));
  const auto answers = together(std::move(both));
  EXPECT_THAT(texts_of(answers[0]->outputs[0]), ElementsAre("a", "bcd"));
  EXPECT_THAT(texts_of(answers[1]->outputs[0]), ElementsAre("\0e"s));
}

TEST_F(TensorTest, AnImageModelTakesTensorsBesidePictures) {
  InferRequest request{.model = {.name = "picture"}};
  request.inputs.push_back(floats("image", {2, 3, 8, 8}, 0));
  request.outputs = {{.name = "probabilities", .classification = 3}};
  const auto answer = infer(std::move(request));
  ASSERT_TRUE(answer) << answer.error().message;
  const auto& output = answer->outputs[0];
  EXPECT_EQ(output.type, DataType::kBytes);
  EXPECT_THAT(output.shape, ElementsAre(2, 3));
  const auto best = texts_of(output);
  ASSERT_EQ(best.size(), 6U);
  EXPECT_THAT(best[0], testing::MatchesRegex("[01]\\.[0-9]{6}:[0-3]:[abcd]"));
  EXPECT_GE(best[0].substr(0, 8), best[1].substr(0, 8));
  EXPECT_GE(best[1].substr(0, 8), best[2].substr(0, 8));
}

TEST_F(TensorTest, TellsWhatDoesNotFit) {
  struct Case {
    const char* what;
    std::function<void(InferRequest&)> spoil;
    const char* message;
  };
  const std::vector<Case> cases{
      {"model", [](InferRequest& r) { r.model.name = "nope"; },
       "no model 'nope' is served; there are: fixed, picture, simulated, sum, tabular, texts"},
      {"version", [](InferRequest& r) { r.model.version = "7"; },
       "model 'sum' has no version '7' that is served; there are: 1"},
      {"another model's inputs", [](InferRequest& r) { r.model.name = "simulated"; },
       "model 'simulated' has no input 'b'; inputs: cpu_ms"},
      {"unknown", [](InferRequest& r) { r.inputs[0].name = "c"; },
       "model 'sum' has no input 'c'; inputs: a, b"},
      {"twice", [](InferRequest& r) { r.inputs[0].name = "a"; }, "input 'a' is given twice"},
      {"missing", [](InferRequest& r) { r.inputs.pop_back(); },
       "input 'a' is missing; model 'sum' takes: a, b"},
      {"type", [](InferRequest& r) { r.inputs[1].type = DataType::kInt32; },
       "input 'a' must be FP32, not INT32"},
      {"rank", [](InferRequest& r) { r.inputs[1].shape = {6}; },
       "input 'a' must have shape [N, 3] (N: any length), not [6]"},
      {"output", [](InferRequest& r) { r.outputs = {{.name = "z"}}; },
       "model 'sum' has no output 'z'; outputs: sum, product"},
      {"output twice", [](InferRequest& r) { r.outputs = {{.name = "sum"}, {.name = "sum"}}; },
       "output 'sum' is asked for twice"},
      {"data", [](InferRequest& r) { r.inputs[1].data = r.inputs[1].data.first(20); },
       "input 'a' of shape [2, 3] takes 24 bytes, not 20"},
  };
  for (const Case& one : cases) {
    InferRequest request = sum(2, 0, 0);
    one.spoil(request);
    const auto answer = infer(std::move(request));
    ASSERT_FALSE(answer) << one.what;
    EXPECT_EQ(answer.error().message, one.message) << one.what;
  }
}

TEST_F(TensorTest, InputsMayHaveDifferentNumbersOfRows) {
  InferRequest request = sum(2, 0, 10);
  request.inputs[1] = floats("a", {1, 3}, 1);
  const auto answer = infer(std::move(request));
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_THAT(floats_of(answer->outputs[0]), ElementsAre(11, 13, 15, 14, 16, 18));
}

TEST_F(TensorTest, ClassificationIsForNumbers) {
  InferRequest request{.model = {.name = "texts"}};
  request.inputs.push_back(texts("x", 1, "\0\0\0\0"s));
  request.outputs = {{.name = "y", .classification = 2}};
  EXPECT_EQ(infer(std::move(request)).error().message,
            "output 'y' is BYTES; classification takes FP32 and FP64");
}

TEST_F(TensorTest, TheClientsTimeoutNarrowsTheDeadline) {
  InferRequest request{.model = {.name = "picture"}};
  request.inputs.push_back(floats("image", {1, 3, 8, 8}, 0));
  request.timeout = Duration(1);
  EXPECT_EQ(infer(std::move(request)).error().code, ErrorCode::kDeadlineExceeded);
}

TEST_F(TensorTest, ManyRowsOfASmallModelLeaveTheCallersThread) {
  const auto caller = std::this_thread::get_id();
  const auto runs_here = [&](std::int64_t rows) {
    InferRequest request{.model = {.name = "tabular"}};
    request.inputs.push_back(floats("features", {rows, 20}, 0));
    std::promise<bool> here;
    service_->infer(std::move(request), context(),
                    [&](auto) { here.set_value(std::this_thread::get_id() == caller); });
    return here.get_future().get();
  };
  EXPECT_TRUE(runs_here(1));
  const auto served = catalog_->find({.name = "tabular"}).value();
  const auto one_row = std::max<Duration>(served->service, Duration(100));
  EXPECT_FALSE(runs_here(2 * (kInlineLimit / one_row) + 2));
}

}  // namespace
}  // namespace podsense::inference
