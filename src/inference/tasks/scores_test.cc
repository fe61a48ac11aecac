#include "inference/tasks/scores.h"

#include <limits>

#include "inference/tasks/task_testing.h"

namespace podsense::inference {
namespace {

using Numbers = protocol::RowsAnswer::Numbers;
using testing::ElementsAre;
using testing::FloatNear;
using testing::HasSubstr;
using testing::IsEmpty;

class ScoresTest : public TaskTest {
 protected:
  /// Scores of a row whose first numbers are these: what tabular_logits.onnx and others give.
  protocol::RowsAnswer ask(const std::string& model, std::vector<float> row) {
    row.resize(20);
    std::promise<Result<protocol::RowsAnswer>> promise;
    service_->predict(
        {.model = {.name = model}, .values = std::move(row), .rows = 1, .columns = 20}, context(),
        [&](auto result) { promise.set_value(std::move(result)); });
    auto answer = promise.get_future().get();
    EXPECT_TRUE(answer) << answer.error().message;
    return answer ? std::move(*answer) : protocol::RowsAnswer{};
  }
  void serve(const std::string& name, const std::string& file, const std::string& yaml) {
    put(name, file, "task: tabular-classification\n" + yaml);
    open();
    ASSERT_THAT(reload().refused, IsEmpty());
  }
};

TEST_F(ScoresTest, LogitsAreCalledScoresAndPeopleAreTold) {
  serve("logits", "tabular_logits.onnx", "");
  // Random numbers at load have shown it, before anybody asked.
  EXPECT_THAT(catalog_->warnings(),
              ElementsAre(HasSubstr("logits/1: its scores are no probabilities (one is ")));
  const auto answer = ask("logits", {0.1F, 0.7F, 0.2F});
  EXPECT_EQ(answer.numbers, Numbers::kScores);
  EXPECT_EQ(answer.rows[0].prediction, 1);
  EXPECT_THAT(answer.rows[0].probabilities, ElementsAre(0.1F, 0.7F, 0.2F));
}

TEST_F(ScoresTest, TheManifestMakesProbabilitiesOfThem) {
  serve("soft", "tabular_logits.onnx", "postprocess: softmax");
  const auto soft = ask("soft", {1, 2, 3});
  EXPECT_EQ(soft.numbers, Numbers::kProbabilities);
  EXPECT_THAT(soft.rows[0].probabilities,
              ElementsAre(FloatNear(0.09003F, 1e-5F), FloatNear(0.24473F, 1e-5F),
                          FloatNear(0.66524F, 1e-5F)));
  EXPECT_THAT(ask("soft", {1000, 0, -1000}).rows[0].probabilities, ElementsAre(1, 0, 0));
  EXPECT_THAT(catalog_->warnings(), IsEmpty());
}

TEST_F(ScoresTest, EachScoreMayBeAProbabilityOfItsOwn) {
  serve("each", "tabular_logits.onnx", "postprocess: sigmoid\nlabels: [a, b, c]");
  const auto each = ask("each", {0, 2, -2});
  EXPECT_EQ(each.numbers, Numbers::kProbabilities);
  EXPECT_EQ(each.rows[0].label, "b");
  EXPECT_THAT(each.rows[0].probabilities,
              ElementsAre(0.5F, FloatNear(0.880797F, 1e-5F), FloatNear(0.119203F, 1e-5F)));
}

TEST_F(ScoresTest, OneScoreIsOfTwoClasses) {
  serve("one", "tabular_one_score.onnx", "postprocess: sigmoid\nlabels: [no, yes]");
  const auto yes = ask("one", {2});
  EXPECT_EQ(yes.rows[0].prediction, 1);
  EXPECT_EQ(yes.rows[0].label, "yes");
  EXPECT_THAT(yes.rows[0].probabilities,
              ElementsAre(FloatNear(0.119203F, 1e-5F), FloatNear(0.880797F, 1e-5F)));
  EXPECT_EQ(ask("one", {-2}).rows[0].label, "no");
  EXPECT_THAT(refused("tabular_one_score.onnx", "task: tabular-classification"),
              HasSubstr("write 'task: tabular-regression', for the score of one class "
                        "'postprocess: sigmoid'"));
  EXPECT_THAT(
      refused("tabular_one_score.onnx", "task: tabular-classification\npostprocess: softmax"),
      HasSubstr("for one score write sigmoid"));
}

TEST_F(ScoresTest, NoneSaysThatTheyAreNoProbabilitiesWithoutAWarning) {
  serve("none", "tabular_logits.onnx", "postprocess: none");
  EXPECT_EQ(ask("none", {0.1F, 0.7F, 0.2F}).numbers, Numbers::kScores);
  EXPECT_THAT(catalog_->warnings(), IsEmpty());
}

TEST_F(ScoresTest, TheLabelIsTheModelsOwnAndNoNameContradictsIt) {
  serve("five", "tabular_from_five.onnx", "labels: [a, b, c]\npostprocess: none");
  const auto answer = ask("five", {1, 3, 2});
  EXPECT_EQ(answer.rows[0].prediction, 6);
  EXPECT_EQ(answer.rows[0].label, "");  // written as "6"
}

TEST_F(ScoresTest, TextLabelsNeedNoOthers) {
  const auto texts = task("tabular_texts.onnx", "task: tabular-classification\nlabels: [x, y]");
  EXPECT_THAT(texts->warnings, ElementsAre(HasSubstr("the model's own labels are texts")));
}

TEST_F(ScoresTest, PicturesScoresAreLookedAtToo) {
  const std::string picture_task = "task: image-classification\npreprocess: {scale: 1}\n";
  put("means", "picture_means.onnx", picture_task);
  put("soft", "picture_means.onnx", picture_task + "postprocess: softmax\n");
  open();
  ASSERT_THAT(reload().refused, IsEmpty());
  EXPECT_THAT(catalog_->warnings(), ElementsAre(HasSubstr("means/1: its scores are no prob")));
  float sum = 0;
  for (const auto& one : classify("soft", picture("png_2_8.png"))->predictions) {
    sum += one.score;
  }
  EXPECT_FLOAT_EQ(sum, 1);
}

TEST_F(ScoresTest, GoWithClassifiersOnly) {
  EXPECT_EQ(refused("regressor.onnx", "task: tabular-regression\npostprocess: softmax"),
            "'postprocess' goes with classifiers, not with 'task: tabular-regression'");
  EXPECT_EQ(refused("regressor.onnx", "postprocess: softmax"),
            "'postprocess' goes with classifiers, not with 'task: tensor'");
}

}  // namespace
}  // namespace podsense::inference
