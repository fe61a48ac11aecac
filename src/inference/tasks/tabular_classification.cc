#include <algorithm>
#include <optional>
#include <utility>

#include "inference/tasks/kinds.h"
#include "inference/tasks/rows.h"

namespace podsense::inference {
namespace {

class TabularClassification final : public RowsModel<TabularClassification> {
 public:
  using RowsModel::RowsModel;

  Result<void> fit(const model::Model& model) {
    if (auto done = take_rows(model, *this); !done) {
      return done;
    }
    const auto& outputs = model.signature().outputs;
    labels_output_ = class_output(outputs, DataType::kInt64);
    if (!labels_output_) {
      labels_output_ = class_output(outputs, DataType::kBytes);
    }
    scores_output_ = score_output(outputs, 1);
    if (!scores_output_ && !labels_output_) {
      return unfit("'task: " + std::string(kind().name()) +
                   "' needs an output of FP32 [N, classes]; the first is " +
                   shape_text(outputs[0]));
    }
    const std::int64_t classes = scores_output_ ? outputs[*scores_output_].shape[1] : 0;
    return take_labels(model, static_cast<std::size_t>(std::max<std::int64_t>(classes, 0)), *this);
  }

  [[nodiscard]] Result<protocol::RowsAnswer> answer(const model::Outputs& outputs,
                                                    std::size_t first, std::size_t count,
                                                    std::size_t all) const {
    std::span<const float> scores;
    if (scores_output_) {
      scores = elements<float>(outputs[*scores_output_]);
    }
    std::span<const std::int64_t> numbers;
    std::vector<std::string> texts;
    if (labels_output_) {
      const model::TensorView output = outputs[*labels_output_];
      if (output.type == DataType::kBytes) {
        for_each_text(output.data, [&](std::string_view text) { texts.emplace_back(text); });
      } else {
        numbers = elements<std::int64_t>(output);
      }
    }
    const std::size_t classes = scores.size() / all;
    protocol::RowsAnswer answer;
    answer.rows.reserve(count);
    for (std::size_t i = first; i < first + count; ++i) {
      answer.rows.push_back(
          row(scores.subspan(i * classes, classes),
              i < numbers.size() ? std::optional(numbers[i]) : std::nullopt,
              i < texts.size() ? std::optional(std::move(texts[i])) : std::nullopt));
    }
    return answer;
  }

 private:
  [[nodiscard]] std::string_view label(std::size_t index) const {
    return index < labels.size() ? std::string_view(labels[index]) : std::string_view();
  }

  /// Its label where the model gives labels, else the class of the highest probability.
  [[nodiscard]] protocol::RowAnswer row(std::span<const float> scores,
                                        std::optional<std::int64_t> number,
                                        std::optional<std::string> text) const {
    const auto best = static_cast<std::size_t>(std::ranges::max_element(scores) - scores.begin());
    // Without scores a label is all there is: it names itself.
    const std::size_t name = scores.empty() ? static_cast<std::size_t>(number.value_or(-1)) : best;
    return {.prediction = number.value_or(static_cast<std::int64_t>(best)),
            .label = label(name),
            .text_label = std::move(text),
            .probabilities = {scores.begin(), scores.end()}};
  }

  std::optional<std::size_t> scores_output_;
  std::optional<std::size_t> labels_output_;  ///< labels as INT64 or texts
};

class Kind final : public TaskKind {
 public:
  using TaskKind::TaskKind;

  [[nodiscard]] bool looks_like(const model::Model& model,
                                std::vector<std::string>& /*warnings*/) const override {
    const model::Signature& signature = model.signature();
    if (signature.inputs.size() != 1 || !is_float(signature.inputs[0]) ||
        signature.inputs[0].shape.size() != 2 || signature.inputs[0].shape[1] <= 0) {
      return false;
    }
    const auto scores = score_output(signature.outputs, 2);
    return class_output(signature.outputs, DataType::kInt64) ||
           class_output(signature.outputs, DataType::kBytes) ||
           (scores && signature.outputs[*scores].shape[1] > 0);
  }

  [[nodiscard]] Result<std::unique_ptr<ModelTask>> fit(const model::Model& model) const override {
    auto task = std::make_unique<TabularClassification>(*this);
    if (auto done = task->fit(model); !done) {
      return fail(std::move(done.error()));
    }
    return task;
  }
};

}  // namespace

const TaskKind& tabular_classification() {
  static const Kind kKind("tabular-classification", Form::kRows, "/predict-single");
  return kKind;
}

}  // namespace podsense::inference
