#include <utility>

#include "inference/tasks/kinds.h"
#include "inference/tasks/pictures.h"
#include "inference/tasks/scores.h"
#include "inference/tasks/signatures.h"
#include "inference/top_k.h"

namespace podsense::inference {
namespace {

class ImageClassification final : public PictureModel {
 public:
  using PictureModel::PictureModel;

  Result<void> fit(const model::Model& model) {
    const auto& outputs = model.signature().outputs;
    if (!picture_input(model.signature())) {
      return take_pictures(model, model.signature().preprocess);  // returns the error
    }
    const auto at = score_output(outputs, 1);
    if (!at) {
      return unfit("'task: " + std::string(kind().name()) +
                   "' needs an output of FP32 [N, classes]; the first is " +
                   shape_text(outputs[0]));
    }
    output_ = *at;
    if (auto done = scores_.take(model, outputs[output_].shape[1]); !done) {
      return done;
    }
    return take_pictures(model, model.signature().preprocess).and_then([&] {
      const auto columns = std::max<std::int64_t>(outputs[output_].shape[1], 0);
      const auto classes = scores_.is_binary() ? 2 : columns;
      return take_labels(model, static_cast<std::size_t>(classes), *this);
    });
  }

  void probe(const model::Model& model) const override {
    const auto outputs = probe_run(model);
    if (outputs && !(*outputs)[output_].data.empty()) {
      std::vector<float> buffer;
      static_cast<void>(
          scores_.are_probabilities(scores_.read(elements<float>((*outputs)[output_]), buffer)));
    }
  }
  [[nodiscard]] std::string observed() const override { return scores_.warning(); }

 private:
  bool answer(const ServedModel& served, const model::Outputs& outputs, std::size_t row,
              std::size_t rows, const PictureTask& task,
              protocol::ClassifyAnswer& answer) const override {
    const model::TensorView output = outputs[output_];
    if (row == 0 && !divides(served, output, rows, rows)) {
      return false;
    }
    const auto scores = elements<float>(output);
    const std::size_t classes = scores.size() / rows;
    thread_local std::vector<float> buffer;
    const auto mine = scores_.read(scores.subspan(row * classes, classes), buffer);
    static_cast<void>(scores_.are_probabilities(mine));  // logs it if they are not
    answer.predictions = top(served, mine, task.request.top_k.value_or(kTop));
    return true;
  }

  static constexpr std::uint32_t kTop = 5;

  /// The best `k` of one row of scores, best first, ties by lower index.
  static std::vector<protocol::ScoredClass> top(const ServedModel& served,
                                                std::span<const float> scores, std::size_t k) {
    std::vector<protocol::ScoredClass> best;
    for (const std::uint32_t index : top_k(scores, k)) {
      best.push_back({.index = index, .label = served.label(index), .score = scores[index]});
    }
    return best;
  }

  std::size_t output_ = 0;
  Scores scores_;
};

class Kind final : public TaskKind {
 public:
  using TaskKind::TaskKind;

  [[nodiscard]] bool is_classification() const override { return true; }
  [[nodiscard]] bool looks_like(const model::Model& model,
                                std::vector<std::string>& warnings) const override {
    const model::Signature& signature = model.signature();
    const auto seen = picture_input(signature);
    if (!seen || !score_output(signature.outputs, 2)) {
      return false;
    }
    const model::PreprocessSpec& spec = signature.preprocess;
    const bool sized = (seen->width > 0 || spec.width) && (seen->height > 0 || spec.height);
    // With wrong scaling or mean, a model returns wrong classes without any error.
    const bool described = spec.given != 0 || signature.preprocess_given ||
                           signature.inputs[0].type == DataType::kUint8;
    if (sized && !described) {
      warnings.emplace_back(
          "it looks like an image classifier, but nothing says how pixels become its input; for "
          "pictures write into model.yaml: task: image-classification, and preprocess: {resize: "
          "…, scale: …, mean: […], std: […]}");
    }
    return sized && described;
  }

  [[nodiscard]] Result<std::unique_ptr<ModelTask>> fit(const model::Model& model) const override {
    auto task = std::make_unique<ImageClassification>(*this);
    if (auto done = task->fit(model); !done) {
      return fail(std::move(done.error()));
    }
    return task;
  }
};

}  // namespace

const TaskKind& image_classification() {
  static const Kind kKind("image-classification", Form::kPicture, "/predict");
  return kKind;
}

}  // namespace podsense::inference
