#include "inference/tasks/task_testing.h"

namespace podsense::inference {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Numbers = protocol::RowsAnswer::Numbers;

class TabularRegression : public TaskTest {
 protected:
  /// Rows whose first number is their place from 1 on; the others are 0.
  Result<protocol::RowsAnswer> ask(const std::string& model, std::size_t rows) {
    std::vector<float> values(rows * 20);
    for (std::size_t i = 0; i < rows; ++i) {
      values[i * 20] = static_cast<float>(i + 1);
    }
    std::promise<Result<protocol::RowsAnswer>> promise;
    service_->predict(
        {.model = {.name = model}, .values = std::move(values), .rows = rows, .columns = 20},
        context(), [&](auto result) { promise.set_value(std::move(result)); });
    return promise.get_future().get();
  }
};

TEST_F(TabularRegression, IsServedWhereTheManifestSaysSo) {
  EXPECT_EQ(name("regressor.onnx"), "tensor");
  const auto made = task("regressor.onnx", "task: tabular-regression");
  EXPECT_EQ(made->features, 20U);
  EXPECT_THAT(made->labels, IsEmpty());
}

TEST_F(TabularRegression, TheManifestMustFitTheFile) {
  EXPECT_EQ(refused("sum_two_inputs.onnx", "task: tabular-regression"),
            "'task: tabular-regression' needs one input of [N, features], or inputs of [N, "
            "1] for a column each; there are 2");
  EXPECT_EQ(refused("tabular_label_only.onnx", "task: tabular-regression"),
            "'task: tabular-regression' needs an output of FP32 or FP64, [N] or [N, values]; the "
            "first is INT64 [N]");
  EXPECT_THAT(refused("regressor.onnx", "task: tabular-regression\nlabels: [a]"),
              HasSubstr("'labels' goes with classes"));
}

TEST_F(TabularRegression, GivesEachRowItsValue) {
  put("mean", "regressor.onnx", "task: tabular-regression");
  open();
  ASSERT_THAT(reload().refused, IsEmpty());
  const auto answer = ask("mean", 3);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->numbers, Numbers::kValues);
  ASSERT_EQ(answer->rows.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_THAT(answer->rows[i].values,
                ElementsAre(static_cast<double>(static_cast<float>(i + 1) / 20)));
    EXPECT_THAT(answer->rows[i].probabilities, IsEmpty());
  }
}

TEST_F(TabularRegression, SeveralOutputsAreOneAnswer) {
  put("several", "regressor_several.onnx", "task: tabular-regression");
  open();
  ASSERT_THAT(reload().refused, IsEmpty());
  for (const std::size_t rows : {1U, 4U}) {
    const auto answer = ask("several", rows);
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(answer->numbers, Numbers::kDoubles);
    ASSERT_EQ(answer->rows.size(), rows);
    const auto last = static_cast<double>(rows);
    EXPECT_THAT(answer->rows.back().values, ElementsAre(0, last, last));
  }
}

}  // namespace
}  // namespace podsense::inference
