#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "inference/tasks/detector_heads.h"
#include "inference/tasks/kinds.h"
#include "inference/tasks/pictures.h"
#include "inference/tasks/signatures.h"

namespace podsense::inference {
namespace {

/// A thread's buffers for outputs that are not FP32.
struct FindBuffers {
  std::vector<float> main;
  std::vector<float> scores;
  std::vector<float> labels;
  std::vector<float> column;
  std::vector<Detection> found;
};

template <class Number>
std::span<const float> converted(const model::TensorView& view, std::vector<float>& buffer) {
  const auto values = elements<Number>(view);
  buffer.resize(values.size());
  std::ranges::transform(values, buffer.begin(), [](Number n) { return static_cast<float>(n); });
  return buffer;
}

/// The values of `view` as FP32: in place if they are FP32, else converted into `buffer`.
std::span<const float> numbers(const model::TensorView& view, std::vector<float>& buffer) {
  switch (view.type) {
    case DataType::kFp64:
      return converted<double>(view, buffer);
    case DataType::kInt32:
      return converted<std::int32_t>(view, buffer);
    case DataType::kInt64:
      return converted<std::int64_t>(view, buffer);
    default:
      return elements<float>(view);
  }
}

class ObjectDetection final : public PictureModel {
 public:
  using PictureModel::PictureModel;

  Result<void> fit(const model::Model& model) {
    model::PreprocessSpec preprocess = model.signature().preprocess;
    const bool picture = picture_input(model.signature()).has_value();
    const bool bytes = picture && model.signature().inputs[0].type == DataType::kUint8;
    if (picture && !bytes && !model.signature().preprocess_given) {
      return unfit(
          "nothing says how pixels become the model's input; write into model.yaml: preprocess: "
          "{resize: …, scale: …, mean: …, std: …}");
    }
    if ((preprocess.given & model::PreprocessSpec::kResize) == 0) {
      preprocess.resize = "squash";  // a crop would lose objects outside of it
    }
    if (auto done = take_pictures(model, std::move(preprocess)); !done) {
      return done;
    }
    const auto head = find_head(model, spec.width, spec.height);
    if (!head) {
      return fail(head.error());
    }
    head_ = *head;
    const model::DetectionSpec& wanted = model.manifest().detection;
    constexpr double kScore = 0.25;
    threshold_ = {.score = static_cast<float>(wanted.score_threshold.value_or(kScore)),
                  .first_class = has_columns() ? wanted.first_class : 0};
    first_label_ = wanted.first_class;
    most_ = wanted.max_boxes.value_or(most_);
    if (head_.form == HeadForm::kYolox) {
      cells_ = grid_cells(spec.width, spec.height);
    }
    const std::size_t classes =
        head_.classes > first_label_ ? head_.classes - first_label_ : std::size_t{0};
    return take_labels(model, classes, *this);
  }

 private:
  /// Whether scores have one column per class.
  [[nodiscard]] bool has_columns() const {
    return head_.form != HeadForm::kNms && head_.form != HeadForm::kBoxesLabels;
  }

  bool answer(const ServedModel& /*served*/, const model::Outputs& outputs, std::size_t row,
              std::size_t rows, const PictureTask& task,
              protocol::ClassifyAnswer& answer) const override {
    thread_local FindBuffers mine;
    mine.found.clear();
    if (!find(outputs, row, rows, mine)) {
      return false;
    }
    suppress(mine.found, head_.overlap_limit, task.request.top_k.value_or(most_));
    answer.picture = {.width = task.geometry.width, .height = task.geometry.height};
    answer.predictions.reserve(mine.found.size());
    for (const Detection& one : mine.found) {
      // Wraps to a large number if it is below the first.
      const std::size_t label = one.index - first_label_;
      answer.predictions.push_back(
          {.index = one.index,
           .label = label < labels.size() ? std::string_view(labels[label]) : std::string_view(),
           .score = one.score,
           .box = in_picture(one.box, task.geometry)});
    }
    return true;
  }

  [[nodiscard]] bool find(const model::Outputs& outputs, std::size_t row, std::size_t rows,
                          FindBuffers& mine) const {
    switch (head_.form) {
      case HeadForm::kYolov5:
      case HeadForm::kYolox:
        return find_in_rows(outputs, row, rows, mine);
      case HeadForm::kYolov8:
        return find_in_columns(outputs, row, rows, mine);
      case HeadForm::kNms:
        return take_found(outputs, row, rows, mine);
      case HeadForm::kBoxesScores:
      case HeadForm::kBoxesLabels:
        break;
    }
    return find_apart(outputs, row, rows, mine);
  }

  /// One picture's part of an output. `rank`: its dimensions, including that of the pictures, which
  /// may be missing.
  struct Part {
    std::span<const float> values;
    std::vector<std::int64_t> shape;
  };
  static std::optional<Part> part(const model::TensorView& view, std::size_t rank, std::size_t row,
                                  std::size_t rows, std::vector<float>& buffer) {
    auto shape = view.shape;
    const auto values = numbers(view, buffer);
    if (shape.size() == rank && shape.front() == static_cast<std::int64_t>(rows)) {
      shape = shape.subspan(1);
    } else if (shape.size() + 1 != rank || rows != 1) {
      return std::nullopt;
    }
    const std::size_t width = values.size() / rows;
    return Part{.values = values.subspan(row * width, width),
                .shape = {shape.begin(), shape.end()}};
  }

  [[nodiscard]] Size unit() const {
    return head_.normalized ? Size{.width = static_cast<float>(spec.width),
                                   .height = static_cast<float>(spec.height)}
                            : Size{.width = 1, .height = 1};
  }

  bool find_in_rows(const model::Outputs& outputs, std::size_t row, std::size_t rows,
                    FindBuffers& mine) const {
    const auto all = part(outputs[head_.main], 3, row, rows, mine.main);
    constexpr std::size_t kFirstScore = 5;
    if (!all || all->shape[1] <= static_cast<std::int64_t>(kFirstScore)) {
      return false;
    }
    const auto width = static_cast<std::size_t>(all->shape[1]);
    const std::size_t count = all->values.size() / width;
    if (head_.form == HeadForm::kYolox && count != cells_.size()) {
      return false;
    }
    for (std::size_t i = 0; i < count; ++i) {
      const auto one = all->values.subspan(i * width, width);
      const float certainty = one[4];
      if (!(certainty >= threshold_.score)) {
        continue;  // no score is above 1
      }
      take_best(head_.form == HeadForm::kYolox ? on_grid(one, cells_[i])
                                               : to_box(one, head_.boxes, unit()),
                one.subspan(kFirstScore), certainty, threshold_, mine.found);
    }
    return true;
  }

  static protocol::Box on_grid(std::span<const float> one, const GridCell& cell) {
    const std::array<float, 4> numbers{(one[0] + cell.x) * cell.size, (one[1] + cell.y) * cell.size,
                                       std::exp(one[2]) * cell.size, std::exp(one[3]) * cell.size};
    return to_box(numbers, BoxForm::kCxcywh, {.width = 1, .height = 1});
  }

  bool find_in_columns(const model::Outputs& outputs, std::size_t row, std::size_t rows,
                       FindBuffers& mine) const {
    const auto all = part(outputs[head_.main], 3, row, rows, mine.main);
    if (!all || all->shape[0] < 5) {
      return false;
    }
    const auto height = static_cast<std::size_t>(all->shape[0]);
    const std::size_t count = all->values.size() / height;
    mine.column.resize(height);
    for (std::size_t i = 0; i < count; ++i) {
      for (std::size_t k = 0; k < height; ++k) {
        mine.column[k] = all->values[k * count + i];
      }
      const std::span<const float> one = mine.column;
      take_best(to_box(one, head_.boxes, unit()), one.subspan(4), 1, threshold_, mine.found);
    }
    return true;
  }

  void take(const protocol::Box& box, float score, float label, FindBuffers& mine) const {
    // Models mark empty entries with a negative class.
    if (score >= threshold_.score && label >= 0 && label < 1e6F) {
      mine.found.push_back(
          {.box = box, .score = score, .index = static_cast<std::uint32_t>(std::lround(label))});
    }
  }

  bool take_found(const model::Outputs& outputs, std::size_t row, std::size_t rows,
                  FindBuffers& mine) const {
    const model::TensorView output = outputs[head_.main];
    const bool numbered = output.shape.size() == 2 && output.shape[1] == 7;
    if (numbered) {
      const auto all = elements<float>(output);
      for (std::size_t i = 0; i + 7 <= all.size(); i += 7) {
        if (all[i] == static_cast<float>(row)) {
          take(to_box(all.subspan(i + 1, 4), head_.boxes, unit()), all[i + 6], all[i + 5], mine);
        }
      }
      return true;
    }
    const auto all = part(output, 3, row, rows, mine.main);
    if (!all || all->shape[1] != 6) {
      return false;
    }
    for (std::size_t i = 0; i + 6 <= all->values.size(); i += 6) {
      const auto one = all->values.subspan(i, 6);
      take(to_box(one, head_.boxes, unit()), one[4], one[5], mine);
    }
    return true;
  }

  bool find_apart(const model::Outputs& outputs, std::size_t row, std::size_t rows,
                  FindBuffers& mine) const {
    const bool labelled = head_.form == HeadForm::kBoxesLabels;
    const auto boxes = part(outputs[head_.main], 3, row, rows, mine.main);
    const auto scores = part(outputs[head_.scores], labelled ? 2 : 3, row, rows, mine.scores);
    const auto classes =
        labelled ? part(outputs[head_.labels], 2, row, rows, mine.labels) : std::optional(Part{});
    if (!boxes || !scores || !classes || boxes->shape[1] != 4) {
      return false;
    }
    std::size_t count = boxes->values.size() / 4;
    const std::size_t width = count == 0 ? 0 : scores->values.size() / count;
    if (scores->values.size() != width * count ||
        (labelled && (width != 1 || classes->values.size() != count) && count > 0)) {
      return false;
    }
    if (head_.count) {
      const auto counts = numbers(outputs[*head_.count], mine.column);
      if (row < counts.size() && counts[row] >= 0) {
        count = std::min(count, static_cast<std::size_t>(counts[row]));
      }
    }
    for (std::size_t i = 0; i < count; ++i) {
      const auto box = to_box(boxes->values.subspan(i * 4, 4), head_.boxes, unit());
      if (labelled) {
        take(box, scores->values[i], classes->values[i], mine);
      } else {
        take_best(box, scores->values.subspan(i * width, width), 1, threshold_, mine.found);
      }
    }
    return true;
  }

  DetectorHead head_;
  ScoreThreshold threshold_;
  std::size_t first_label_ = 0;
  std::uint32_t most_ = 100;
  std::vector<GridCell> cells_;
};

class Kind final : public TaskKind {
 public:
  using TaskKind::TaskKind;
  [[nodiscard]] Result<std::unique_ptr<ModelTask>> fit(const model::Model& model) const override {
    auto task = std::make_unique<ObjectDetection>(*this);
    if (auto done = task->fit(model); !done) {
      return fail(std::move(done.error()));
    }
    return task;
  }
};

}  // namespace

const TaskKind& object_detection() {
  static const Kind kKind("object-detection", Form::kPicture, "/predict");
  return kKind;
}

}  // namespace podsense::inference
