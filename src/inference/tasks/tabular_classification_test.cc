#include "inference/tasks/task_testing.h"

namespace podsense::inference {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class TabularClassification : public TaskTest {};

TEST_F(TabularClassification, IsToldFromInputAndOutputs) {
  const auto whole = task("tabular.onnx");
  EXPECT_EQ(whole->kind().name(), "tabular-classification");
  EXPECT_EQ(whole->features, 20U);
  EXPECT_THAT(whole->labels, ElementsAre("no", "yes"));
  for (const char* file : {"tabular_no_label.onnx", "tabular_label_only.onnx"}) {
    EXPECT_EQ(name(file), "tabular-classification") << file;
  }
}

TEST_F(TabularClassification, TheManifestMustFitTheFile) {
  EXPECT_EQ(refused("tabular.onnx", "labels: [a]"), "there are 1 labels for 2 classes");
  EXPECT_EQ(refused("sum_two_inputs.onnx", "task: tabular-classification"),
            "'task: tabular-classification' needs one input of [N, features], or inputs of [N, "
            "1] for a column each; there are 2");
}

TEST_F(TabularClassification, ServesModelsThatGiveOnlyHalfTheAnswer) {
  put("tabular", "tabular.onnx");
  put("scores", "tabular_no_label.onnx");
  put("labels", "tabular_label_only.onnx", "task: tabular-classification\nlabels: [no, yes]\n");
  open();
  ASSERT_THAT(reload().refused, IsEmpty());
  const auto whole = predict(20)->rows[0];
  const auto scores = predict(20, "", "scores")->rows[0];
  EXPECT_EQ(scores.prediction, whole.prediction);
  EXPECT_EQ(scores.probabilities, whole.probabilities);
  const auto labels = predict(20, "", "labels")->rows[0];
  EXPECT_EQ(labels.prediction, whole.prediction);
  EXPECT_EQ(labels.label, whole.label);
  EXPECT_THAT(labels.probabilities, IsEmpty());
}

}  // namespace
}  // namespace podsense::inference
