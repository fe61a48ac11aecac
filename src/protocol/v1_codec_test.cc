#include "protocol/v1_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "protocol/refusals_testing.h"

namespace podsense::protocol {
namespace {

using testing::HasSubstr;

constexpr std::array<std::int64_t, 2> kRows{-1, 2};
constexpr std::array<std::int64_t, 2> kColumn{-1, 1};
constexpr TensorMetadata kMatrix{.name = "x", .type = DataType::kFp32, .shape = kRows};
constexpr TensorMetadata kText{.name = "text", .type = DataType::kBytes, .shape = kColumn};

std::string oip(std::string_view json, std::vector<TensorMetadata> inputs) {
  const auto instances = read_instances(json);
  if (!instances) {
    return instances.error().message;
  }
  const auto made = instances_to_oip(*instances, inputs);
  return made ? *made : made.error().message;
}

TEST(ReadInstances, RefusesWhatHoldsNone) {
  static constexpr Refusal kTable[] = {
      {"", "the body is not valid JSON at byte 0: expected a value, found the end of the body"},
      {"[]",
       R"(the body is not a JSON object; it must be one such as {"instances": [[0.5, 1], [2, 3]]})"},
      {"{}", R"(the field 'instances' is missing; send {"instances": [[0.5, 1], [2, 3]]})"},
      {R"({"instances": 1})",
       R"(instances must be an array; send {"instances": [[0.5, 1], [2, 3]]})"},
      {R"({"instances": []})", "instances holds nothing; at least 1 is needed"},
      {R"({"instances": [1], "instances": [2]})", "the field 'instances' is given twice"},
      {R"({"inputs": [1]})",
       R"('inputs' is not offered here; send {"instances": [[0.5, 1], [2, 3]]})"},
      {R"({"instances": [{"b64": "?"}]})", "instances[0].b64 is not base64: '?' at offset 0"},
      {R"({"instances": [1)",
       "the body is not valid JSON at byte 16: expected ',' or ']' after an element, found the end "
       "of the body"},
  };
  expect_refusals(kTable, read_instances);
}

TEST(ReadInstances, TakesThemAsTheyWereWrittenAndLeavesTheRest) {
  const auto read = read_instances(
      R"( {"signature_name": "a]\"}", "parameters": {"instances": [9]}, "instances": [[1, 2.50],[ 3,4]] } )");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->json, R"({"instances":[[1, 2.50],[ 3,4]]})");
  EXPECT_EQ(read->count, 2U);
  EXPECT_EQ(read->picture, "");
  EXPECT_EQ(read_instances(R"({"instances": [{"b64": "aGk\/"}]})")->picture, "hi?");
}

TEST(InstancesToOip, RowsBecomeATensor) {
  EXPECT_EQ(
      oip(R"({"instances": [[1, 2], [3, 4], [5, 6]]})", {kMatrix}),
      R"({"inputs":[{"name":"x","datatype":"FP32","shape":[3,2],"data":[[1, 2],[3, 4],[5, 6]]}]})");
  EXPECT_EQ(
      oip(R"({"instances": ["a, [b]", "c\"]"]})", {kText}),
      R"({"inputs":[{"name":"text","datatype":"BYTES","shape":[2,1],"data":["a, [b]","c\"]"]}]})");
}

TEST(InstancesToOip, ObjectsBecomeATensorForEachMember) {
  EXPECT_EQ(oip(R"({"instances": [{"text": "a", "x": [1, 2]}, {"x": [3, 4], "text": "b"}]})",
                {kMatrix, kText}),
            R"({"inputs":[{"name":"x","datatype":"FP32","shape":[2,2],"data":[[1, 2],[3, 4]]},)"
            R"({"name":"text","datatype":"BYTES","shape":[2,1],"data":["a","b"]}]})");
  EXPECT_EQ(oip(R"({"instances": [[1, 2]]})", {kMatrix, kText}),
            "instances[0] must be an object of the model's inputs: x, text");
  EXPECT_EQ(oip(R"({"instances": [{"x": [1, 2]}]})", {kMatrix, kText}),
            "instances[0] has no 'text'; inputs: x, text");
  EXPECT_EQ(oip(R"({"instances": [{"x": [1, 2], "y": 1, "text": "a"}]})", {kMatrix, kText}),
            "instances[0] has no place for 'y'; inputs: x, text");
  EXPECT_EQ(oip(R"({"instances": [{"x": [1, 2], "x": 1, "text": "a"}]})", {kMatrix, kText}),
            "instances[0] has twice 'x'; inputs: x, text");
}

InferAnswer answer_of(std::vector<OutputTensor> outputs) {
  InferAnswer answer;
  answer.model = "m";
  answer.outputs = std::move(outputs);
  return answer;
}

TEST(WritePredictions, EachInstanceGetsItsRow) {
  static constexpr std::array<float, 4> kNumbers{1, 2.5F, 3, 4};
  static constexpr std::string_view kTexts("\1\0\0\0a\2\0\0\0bc", 11);
  const OutputTensor numbers{.name = "y",
                             .type = DataType::kFp32,
                             .shape = {2, 2},
                             .data = std::as_bytes(std::span(kNumbers)),
                             .binary_data = {}};
  OutputTensor deep = numbers;
  deep.shape = {2, 2, 1};
  OutputTensor flat = numbers;
  flat.shape = {4};
  const OutputTensor texts{.name = "t",
                           .type = DataType::kBytes,
                           .shape = {2},
                           .data = std::as_bytes(std::span(kTexts)),
                           .binary_data = {}};
  EXPECT_EQ(write_predictions(answer_of({numbers}), 2).value(),
            R"({"predictions":[[1,2.5],[3,4]]})");
  EXPECT_EQ(write_predictions(answer_of({deep}), 2).value(),
            R"({"predictions":[[[1],[2.5]],[[3],[4]]]})");
  EXPECT_EQ(write_predictions(answer_of({flat}), 4).value(), R"({"predictions":[1,2.5,3,4]})");
  EXPECT_EQ(write_predictions(answer_of({numbers, texts}), 2).value(),
            R"({"predictions":[{"y":[1,2.5],"t":"a"},{"y":[3,4],"t":"bc"}]})");
  EXPECT_THAT(write_predictions(answer_of({flat}), 2).error().message,
              HasSubstr("output 'y' does not hold one entry for each instance"));
}

TEST(WritePredictions, RowsAreLabelsOrValues) {
  RowsAnswer labels;
  labels.rows.push_back({.prediction = 3, .label = {}, .text_label = {}, .probabilities = {}});
  labels.rows.push_back({.prediction = 0, .label = {}, .text_label = "a\"b", .probabilities = {}});
  EXPECT_EQ(write_predictions(labels), R"({"predictions":[3,"a\"b"]})");
  RowsAnswer values{.numbers = RowsAnswer::Numbers::kValues, .rows = {}};
  values.rows.push_back(
      {.label = {}, .text_label = {}, .probabilities = {}, .values = {0.10000000149011612}});
  values.rows.push_back({.label = {}, .text_label = {}, .probabilities = {}, .values = {1, 2}});
  EXPECT_EQ(write_predictions(values), R"({"predictions":[0.1,[1,2]]})");
}

TEST(HasMember, LooksAtTheBodysOwnObject) {
  EXPECT_TRUE(has_member(R"({"a": {"b": 1}, "inputs": []})", "inputs"));
  EXPECT_FALSE(has_member(R"({"a": {"inputs": 1}})", "inputs"));
  for (const std::string_view broken :
       {"", "[", "{", "{\"", "{\"a", "{\"a\"", "{a}", "{,}", "\"{"}) {
    EXPECT_FALSE(has_member(broken, "inputs")) << broken;
  }
}

}  // namespace
}  // namespace podsense::protocol
