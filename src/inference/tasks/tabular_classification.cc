#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "inference/tasks/kinds.h"
#include "inference/tasks/rows.h"
#include "inference/tasks/scores.h"

namespace podsense::inference {
namespace {

class TabularClassification final : public RowsModel<TabularClassification> {
 public:
  explicit TabularClassification(const TaskKind& kind) : RowsModel(kind) {}

  Result<void> fit(const model::Model& model) {
    if (auto done = take_rows(model); !done) {
      return done;
    }
    const auto& outputs = model.signature().outputs;
    labels_output_ = class_output(outputs, DataType::kInt64);
    if (!labels_output_) {
      labels_output_ = class_output(outputs, DataType::kBytes);
    }
    scores_output_ = score_output(outputs, 1);
    if (!scores_output_) {
      scores_output_ = score_output(outputs, 1, DataType::kFp64);
    }
    const std::int64_t columns = scores_output_ ? outputs[*scores_output_].shape[1] : 0;
    if (auto done = scores_.take(model, columns); !done) {
      return done;
    }
    if (!labels_output_ && (!scores_output_ || (columns == 1 && !scores_.is_binary()))) {
      return unfit("'task: " + std::string(kind().name()) +
                   "' needs an output of FP32 [N, classes]; the first is " +
                   shape_text(outputs[0]) +
                   (columns == 1 ? ". For numbers that are no classes write 'task: "
                                   "tabular-regression', for the score of one class 'postprocess: "
                                   "sigmoid'"
                                 : ""));
    }
    // A single score next to a label does not belong to each class.
    single_ = columns == 1 && !scores_.is_binary();
    if (labels_output_ && outputs[*labels_output_].type == DataType::kBytes &&
        !model.manifest().labels.empty()) {
      warnings.emplace_back(
          "the model's own labels are texts, so 'labels' in model.yaml has no effect");
    }
    const std::int64_t classes = scores_.is_binary() ? 2 : single_ ? 0 : columns;
    return take_labels(model, static_cast<std::size_t>(std::max<std::int64_t>(classes, 0)), *this);
  }

  [[nodiscard]] Result<protocol::RowsAnswer> answer(const model::Outputs& outputs,
                                                    std::size_t first, std::size_t count,
                                                    std::size_t all) const {
    std::span<const float> scores;
    thread_local std::vector<float> narrowed;
    if (scores_output_) {
      scores = as_floats(outputs[*scores_output_], narrowed);
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
    thread_local std::vector<float> buffer;
    bool probabilities = !single_;
    protocol::RowsAnswer answer;
    answer.rows.reserve(count);
    for (std::size_t i = first; i < first + count; ++i) {
      const auto mine = scores_.read(scores.subspan(i * classes, classes), buffer);
      probabilities = probabilities && scores_.are_probabilities(mine);
      answer.rows.push_back(
          row(mine, i < numbers.size() ? std::optional(numbers[i]) : std::nullopt,
              i < texts.size() ? std::optional(std::move(texts[i])) : std::nullopt));
    }
    answer.numbers = probabilities ? protocol::RowsAnswer::Numbers::kProbabilities
                                   : protocol::RowsAnswer::Numbers::kScores;
    return answer;
  }

  void probe(const model::Model& model) const override {
    if (!scores_output_ || single_ || features == 0 ||
        inputs().kind() != RowInputs::Kind::kFloats) {
      return;  // a real request will show the error
    }
    const auto values = probe_values(features);
    const std::array<std::int64_t, 2> shape{1, static_cast<std::int64_t>(features)};
    const model::TensorView input{
        .type = DataType::kFp32, .shape = shape, .data = std::as_bytes(std::span(values))};
    model::Outputs outputs;
    if (model.run({&input, 1}, outputs)) {
      std::vector<float> buffer;
      std::vector<float> narrowed;
      static_cast<void>(scores_.are_probabilities(
          scores_.read(as_floats(outputs[*scores_output_], narrowed), buffer)));
    }
  }
  [[nodiscard]] std::string observed() const override { return scores_.warning(); }

 private:
  static std::span<const float> as_floats(const model::TensorView& view,
                                          std::vector<float>& narrowed) {
    if (view.type == DataType::kFp32) {
      return elements<float>(view);
    }
    const auto values = elements<double>(view);
    narrowed.resize(values.size());
    std::ranges::transform(values, narrowed.begin(),
                           [](double value) { return static_cast<float>(value); });
    return narrowed;
  }

  [[nodiscard]] std::string_view label(std::size_t index) const {
    return index < labels.size() ? std::string_view(labels[index]) : std::string_view();
  }

  /// The answer of a row: the model's own label if it has one, else the class with the highest
  /// score.
  [[nodiscard]] protocol::RowAnswer row(std::span<const float> scores,
                                        std::optional<std::int64_t> number,
                                        std::optional<std::string> text) const {
    const auto best = static_cast<std::int64_t>(std::ranges::max_element(scores) - scores.begin());
    const std::int64_t prediction = number.value_or(best);
    // `labels` names the columns of scores. If the model's own label differs from the column with
    // the highest score, its name is unknown, so its number is used.
    const bool named = scores.size() < 2 || prediction == best;
    return {.prediction = prediction,
            .label = named ? label(static_cast<std::size_t>(prediction)) : std::string_view(),
            .text_label = std::move(text),
            .probabilities = {scores.begin(), scores.end()}};
  }

  std::optional<std::size_t> scores_output_;
  std::optional<std::size_t> labels_output_;  ///< labels as INT64 or texts
  Scores scores_;
  bool single_ = false;  ///< one score per row, not per class
};

class Kind final : public TaskKind {
 public:
  using TaskKind::TaskKind;

  [[nodiscard]] bool is_classification() const override { return true; }
  [[nodiscard]] bool looks_like(const model::Model& model,
                                std::vector<std::string>& /*warnings*/) const override {
    const model::Signature& signature = model.signature();
    const auto inputs = RowInputs::of(signature);
    if (!inputs) {
      return false;
    }
    const bool labelled = class_output(signature.outputs, DataType::kInt64) ||
                          class_output(signature.outputs, DataType::kBytes);
    const auto scores = score_output(signature.outputs, 2);
    if (inputs->kind() == RowInputs::Kind::kFloats && inputs->columns() > 0) {
      return labelled || (scores && signature.outputs[*scores].shape[1] > 0);
    }
    // Other inputs are less specific, so both outputs are required.
    return labelled && (scores || score_output(signature.outputs, 2, DataType::kFp64));
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
