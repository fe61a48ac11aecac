#include "inference/tasks/row_inputs.h"

#include "inference/tasks/task_testing.h"
#include "protocol/json_codec.h"

namespace podsense::inference {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class RowInputsTest : public TaskTest {
 protected:
  void SetUp() override {
    put("double", "tabular_double.onnx");
    put("columns", "tabular_columns.onnx");
    put("floats", "tabular.onnx");
    put("longs", "tabular_longs.onnx");
    put("words", "tabular_words.onnx");
    put("open", "tabular_open.onnx");
    open();
    ASSERT_THAT(reload().refused, IsEmpty());
  }
  Result<protocol::RowsAnswer> ask(const std::string& model, std::string_view rows) {
    const std::string json = R"({"instances":)" + std::string(rows) + "}";
    auto request = protocol::parse_instances(json);
    if (!request) {
      return fail(request.error());
    }
    request->model.name = model;
    std::promise<Result<protocol::RowsAnswer>> promise;
    service_->predict(std::move(*request), context(),
                      [&](auto result) { promise.set_value(std::move(result)); });
    return promise.get_future().get();
  }
  std::string refusal(const std::string& model, std::string_view rows) {
    const auto answer = ask(model, rows);
    return answer ? "answered" : answer.error().message;
  }
  std::vector<std::int64_t> labels(const std::string& model, std::string_view rows) {
    const auto answer = ask(model, rows);
    EXPECT_TRUE(answer) << answer.error().message;
    std::vector<std::int64_t> out;
    for (const auto& row : answer ? answer->rows : std::vector<protocol::RowAnswer>{}) {
      out.push_back(row.prediction);
    }
    return out;
  }
};

TEST_F(RowInputsTest, DoublesComeAsTheyWereWritten) {
  // In FP32 all of these are one number, above 0.1.
  const auto answer = ask("double", "[[0.1, 0.1], [0.10000000001, 0.1], [0.10000000001, 0.2]]");
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_THAT(answer->rows[0].probabilities, ElementsAre(1, 0));
  EXPECT_THAT(answer->rows[1].probabilities, ElementsAre(0.5F, 0.5F));
  EXPECT_THAT(answer->rows[2].probabilities, ElementsAre(0, 1));
  EXPECT_THAT(labels("double", "[[null, 0.2]]"), ElementsAre(0));
  EXPECT_EQ(refusal("double", "[[1]]"), "model 'double' takes 2 features; got 1");
}

TEST_F(RowInputsTest, DoublesMayBeBeyondFloats) {
  EXPECT_THAT(labels("double", "[[1e300, 0.05], [-1e300, 0.05]]"), ElementsAre(0, 0));
  EXPECT_EQ(refusal("floats", "[[1e300]]"),
            "instances[0][0] is 1e300; it must be within ±3.4028235e+38 (32-bit float)");
}

TEST_F(RowInputsTest, WholeNumbersComeExactly) {
  EXPECT_EQ(name("tabular_longs.onnx"), "tabular-classification");
  EXPECT_THAT(labels("longs", R"([[1, 2], [2, 1], [9007199254740993, 9007199254740994],
                                  [9223372036854775806, 9223372036854775807], [1.0, 2e0]])"),
              ElementsAre(1, 0, 1, 1, 1));
  const std::string rest = " must be a whole number of its size: the model takes it as INT64";
  EXPECT_EQ(refusal("longs", "[[1, 2], [1, 2.5]]"), "value 1 of row 1" + rest);
  EXPECT_EQ(refusal("longs", "[[1, null]]"), "value 1 of row 0" + rest);
  EXPECT_EQ(refusal("longs", "[[1, 9223372036854775808]]"), "value 1 of row 0" + rest);
  EXPECT_EQ(refusal("longs", R"([["1", 2]])"), "value 0 of row 0" + rest);
  EXPECT_EQ(refusal("longs", "[[1]]"), "model 'longs' takes 2 features; got 1");
  EXPECT_EQ(refusal("longs", R"([{"a": 1}])"),
            "model 'longs' takes a row as a list of 2 INT64: its columns have no names");
}

TEST_F(RowInputsTest, TextsComeInLists) {
  EXPECT_THAT(labels("words", R"([["a", "a"], ["", ""], ["a", "b"], ["K\u00f6ln", "Köln"]])"),
              ElementsAre(1, 1, 0, 1));
  EXPECT_EQ(refusal("words", R"([["a", 1]])"),
            "value 1 of row 0 must be a text: the model takes it as BYTES");
  EXPECT_EQ(refusal("words", "[[1, 1]]"),
            "value 0 of row 0 must be a text: the model takes it as BYTES");
  EXPECT_EQ(refusal("floats", R"([["a", "b"]])"),
            "instances[0][0] is a string; it must be a finite number, or null where it is missing");
  EXPECT_EQ(refusal("open", R"([["a", "b"]])"),
            "instances[0][0] is a string; it must be a finite number, or null where it is missing");
}

TEST_F(RowInputsTest, RowsMayHaveAnyLengthWhereTheModelTakesAny) {
  EXPECT_EQ(name("tabular_open.onnx"), "tabular-classification");
  EXPECT_THAT(labels("open", "[[1, 2, 3], [3, 2, 1]]"), ElementsAre(2, 0));
  EXPECT_THAT(labels("open", "[[1, 5, 3, 2]]"), ElementsAre(1));
}

TEST_F(RowInputsTest, ColumnsComeByTheInputsNamesTypeByType) {
  EXPECT_EQ(name("tabular_columns.onnx"), "tabular-classification");
  EXPECT_THAT(labels("columns", R"([{"age": 41, "city": "Berlin", "member": false},
                                    {"member": true, "city": "Köln", "age": 18.5},
                                    {"age": 17, "city": "Berlin", "member": false},
                                    {"age": 41, "city": "Köln", "member": 0},
                                    {"age": null, "city": "Berlin", "member": 1}])"),
              ElementsAre(1, 1, 0, 0, 0));
  EXPECT_THAT(labels("columns", R"([{"age": 41, "city": "", "member": true}])"), ElementsAre(1));
}

TEST_F(RowInputsTest, SaysWhichValueIsWrongAndWhatIsTaken) {
  const std::string taken = "age (FP32), city (BYTES), member (BOOL)";
  EXPECT_EQ(refusal("columns", "[[1, 2, 3]]"),
            "model 'columns' takes a row as an object of its inputs: " + taken);
  EXPECT_EQ(refusal("columns", R"([{"age": 1, "city": "x"}])"),
            "'member' is missing; model 'columns' takes " + taken);
  EXPECT_EQ(refusal("columns", R"([{"age": 1, "city": "x", "member": true, "name": "y"}])"),
            "model 'columns' has no input 'name'; it takes " + taken);
  EXPECT_EQ(refusal("columns", R"([{"age": "old", "city": "x", "member": true}])"),
            "'age' of row 0 must be a number, or null where it is missing: the model takes it as "
            "FP32");
  EXPECT_EQ(refusal("columns", R"([{"age": 1e39, "city": "x", "member": true}])"),
            "'age' of row 0 must be a number, or null where it is missing: the model takes it as "
            "FP32");
  EXPECT_EQ(refusal("columns", R"([{"age": 1, "city": 7, "member": true}])"),
            "'city' of row 0 must be a text: the model takes it as BYTES");
  EXPECT_EQ(refusal("columns", R"([{"age": 1, "city": "x", "member": true},
                                   {"age": 1, "city": "x", "member": null}])"),
            "'member' of row 1 must be true or false: the model takes it as BOOL");
  EXPECT_EQ(refusal("floats", R"([{"a": 1}])"),
            "model 'floats' takes a row as a list of 20 numbers: its columns have no names");
}

TEST_F(RowInputsTest, NamedRowsAreReadStrictly) {
  EXPECT_EQ(refusal("columns", R"([{"a": 1}, {"b": 1}])"),
            "instances[1].b is not in the first row; all rows must have the same names");
  EXPECT_EQ(refusal("columns", R"([{"a": 1, "b": 2}, {"a": 1}])"),
            "instances[1] has no 'b', which the first row has");
  EXPECT_EQ(refusal("columns", R"([{"a": 1, "a": 2}])"), "instances[0].a is given twice");
  EXPECT_EQ(refusal("columns", "[{}]"), "instances[0] holds no names; at least 1 is needed");
  EXPECT_THAT(refusal("columns", R"([{"a": [1]}])"),
              HasSubstr("instances[0].a is an array; it must be a finite number, a string"));
  EXPECT_THAT(refusal("columns", R"([{"a": 1}, [1]])"), HasSubstr("instances[1] is an array"));
  EXPECT_THAT(refusal("columns", R"([[1], {"a": 1}])"), HasSubstr("instances[1] is an object"));
}

TEST_F(RowInputsTest, RowsThatMayMeetRunOneByOne) {
  put("alone", "tabular_columns.onnx", "batching: {share_runs: false}");
  reload();
  EXPECT_THAT(labels("alone", R"([{"age": 41, "city": "Berlin", "member": false},
                                  {"age": 41, "city": "a longer name", "member": false},
                                  {"age": 18, "city": "", "member": true}])"),
              ElementsAre(1, 0, 1));
}

TEST_F(RowInputsTest, WhatIsNoColumnIsNoRow) {
  EXPECT_EQ(name("sum_two_inputs.onnx"), "tensor");
  EXPECT_EQ(name("strings.onnx"), "tensor");  // a column without a label
}

}  // namespace
}  // namespace podsense::inference
