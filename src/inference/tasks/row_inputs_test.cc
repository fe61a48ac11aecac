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
