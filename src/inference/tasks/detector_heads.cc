#include "inference/tasks/detector_heads.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>
#include <string_view>

#include "base/ascii.h"
#include "inference/tasks/signatures.h"

namespace podsense::inference {
namespace {

using model::DetectionSpec;
using model::TensorInfo;

struct Named {
  std::string_view name;
  HeadForm form;
};
constexpr std::array<Named, 6> kHeads{{{"yolov5", HeadForm::kYolov5},
                                       {"yolov8", HeadForm::kYolov8},
                                       {"yolox", HeadForm::kYolox},
                                       {"nms", HeadForm::kNms},
                                       {"boxes-scores", HeadForm::kBoxesScores},
                                       {"boxes-scores-labels", HeadForm::kBoxesLabels}}};
constexpr float kOverlapLimit = 0.45F;

bool is_readable(DataType type) {
  return type == DataType::kFp32 || type == DataType::kFp64 || type == DataType::kInt32 ||
         type == DataType::kInt64;
}

bool is_whole(DataType type) {
  return type == DataType::kInt32 || type == DataType::kInt64;
}

/// Whether the name contains one of these words; ignores case.
bool is_called(const TensorInfo& tensor, std::initializer_list<std::string_view> words) {
  const std::string name = ascii::lower(tensor.name);
  return std::ranges::any_of(words, [&](std::string_view word) { return name.contains(word); });
}

std::int64_t last(const TensorInfo& tensor) {
  return tensor.shape.empty() ? 0 : tensor.shape.back();
}

/// Finds the parts of a head among the outputs; ignores TensorFlow's additional outputs.
class Finder {
 public:
  Finder(const std::vector<TensorInfo>& outputs, std::size_t cells)
      : outputs_(outputs), cells_(static_cast<std::int64_t>(cells)) {}

  /// The head of this form, if the outputs match it. A guess also checks the number of positions,
  /// because a shape of three numbers is ambiguous.
  [[nodiscard]] std::optional<DetectorHead> of(HeadForm form, bool guess) const {
    switch (form) {
      case HeadForm::kYolov5:
      case HeadForm::kYolox:
        return rows(form, guess);
      case HeadForm::kYolov8:
        return columns(guess);
      case HeadForm::kNms:
        return found(guess);
      case HeadForm::kBoxesScores:
      case HeadForm::kBoxesLabels:
        break;
    }
    return apart(form);
  }

 private:
  template <class Wanted>
  [[nodiscard]] std::optional<std::size_t> first(const Wanted& wanted) const {
    for (std::size_t i = 0; i < outputs_.size(); ++i) {
      if (is_readable(outputs_[i].type) && !is_called(outputs_[i], {"raw", "anchor"}) &&
          wanted(i)) {
        return i;
      }
    }
    return std::nullopt;
  }
  [[nodiscard]] bool has(std::size_t i, std::size_t rank) const {
    return outputs_[i].shape.size() == rank;
  }

  [[nodiscard]] bool may_be_places(std::int64_t count) const {
    return count < 0 || count >= cells_;
  }

  [[nodiscard]] std::optional<DetectorHead> rows(HeadForm form, bool guess) const {
    const auto at = first([&](std::size_t i) {
      const auto& shape = outputs_[i].shape;
      if (!is_float(outputs_[i]) || shape.size() != 3 || (shape[2] >= 0 && shape[2] < 6)) {
        return false;
      }
      const bool one_a_cell = shape[1] < 0 || shape[1] == cells_;
      return form == HeadForm::kYolox ? one_a_cell : !guess || may_be_places(shape[1]);
    });
    return at ? std::optional(DetectorHead{.form = form,
                                           .main = *at,
                                           .boxes = BoxForm::kCxcywh,
                                           .overlap_limit = kOverlapLimit,
                                           .classes = width(last(outputs_[*at]), 5)})
              : std::nullopt;
  }

  [[nodiscard]] std::optional<DetectorHead> columns(bool guess) const {
    const auto at = first([&](std::size_t i) {
      const auto& shape = outputs_[i].shape;
      return is_float(outputs_[i]) && shape.size() == 3 && shape[1] >= 5 &&
             (!guess || (may_be_places(shape[2]) && (shape[2] < 0 || shape[1] < shape[2])));
    });
    return at ? std::optional(DetectorHead{.form = HeadForm::kYolov8,
                                           .main = *at,
                                           .boxes = BoxForm::kCxcywh,
                                           .overlap_limit = kOverlapLimit,
                                           .classes = width(outputs_[*at].shape[1], 4)})
              : std::nullopt;
  }

  [[nodiscard]] std::optional<DetectorHead> found(bool guess) const {
    const auto at = first([&](std::size_t i) {
      const auto& shape = outputs_[i].shape;
      const bool apart =
          shape.size() == 2 && (shape[1] == 6 || shape[1] == 7) && (!guess || outputs_.size() == 1);
      const bool batched = shape.size() == 3 && shape[2] == 6;
      return is_float(outputs_[i]) &&
             (apart || (batched && (!guess || shape[1] < 0 || shape[1] < cells_)));
    });
    return at ? std::optional(DetectorHead{.form = HeadForm::kNms, .main = *at}) : std::nullopt;
  }

  [[nodiscard]] std::optional<DetectorHead> apart(HeadForm form) const {
    const auto boxes = first([&](std::size_t i) {
      return last(outputs_[i]) == 4 && (has(i, 2) || has(i, 3)) && !is_whole(outputs_[i].type);
    });
    if (!boxes) {
      return std::nullopt;
    }
    const std::size_t rank = outputs_[*boxes].shape.size();
    const std::size_t scores_rank = form == HeadForm::kBoxesScores ? rank : rank - 1;
    DetectorHead head{.form = form, .main = *boxes};
    if (form == HeadForm::kBoxesLabels) {
      auto labels = first([&](std::size_t i) {
        return has(i, scores_rank) && is_called(outputs_[i], {"label", "class", "cls"});
      });
      if (!labels) {
        labels = first([&](std::size_t i) {
          return has(i, scores_rank) && is_whole(outputs_[i].type) && !is_count(i);
        });
      }
      if (!labels) {
        return std::nullopt;
      }
      head.labels = *labels;
      head.count = first([&](std::size_t i) { return i != *labels && is_count(i); });
    }
    const auto scores = first([&](std::size_t i) {
      const bool taken =
          i == *boxes || (form == HeadForm::kBoxesLabels && i == head.labels) || head.count == i;
      return !taken && has(i, scores_rank) && !is_whole(outputs_[i].type);
    });
    if (!scores) {
      return std::nullopt;
    }
    head.scores = *scores;
    if (form == HeadForm::kBoxesScores) {
      head.overlap_limit = kOverlapLimit;
      head.classes = width(last(outputs_[*scores]), 0);
    }
    return head;
  }

  [[nodiscard]] bool is_count(std::size_t i) const {
    return is_called(outputs_[i], {"num", "count", "valid"}) &&
           (outputs_[i].shape.size() < 2 || (has(i, 2) && last(outputs_[i]) == 1));
  }
  static std::size_t width(std::int64_t columns, std::int64_t others) {
    return static_cast<std::size_t>(std::max<std::int64_t>(columns - others, 0));
  }

  const std::vector<TensorInfo>& outputs_;
  const std::int64_t cells_;
};

std::string outputs_text(const std::vector<TensorInfo>& outputs) {
  std::string out;
  for (const TensorInfo& output : outputs) {
    out += (out.empty() ? "" : ", ") + output.name + " " + shape_text(output);
  }
  return out;
}

std::string names_of(std::span<const Named> heads) {
  std::string names;
  for (const Named& head : heads) {
    names += (names.empty() ? "" : ", ") + std::string(head.name);
  }
  return names;
}

Result<Named> choose(const DetectionSpec& spec, const Finder& finder,
                     const std::vector<TensorInfo>& outputs) {
  if (!spec.head.empty()) {
    const auto named = std::ranges::find(kHeads, spec.head, &Named::name);
    if (named == kHeads.end()) {
      return unfit("'detection.head' must be one of " + names_of(kHeads) + ", not '" + spec.head +
                   "'");
    }
    return *named;
  }
  std::vector<Named> possible;
  for (const Named& head : kHeads) {
    if (finder.of(head.form, true)) {
      possible.push_back(head);
    }
  }
  if (possible.size() == 1) {
    return possible.front();
  }
  return unfit(possible.empty()
                   ? "'task: object-detection' knows no head with the outputs " +
                         outputs_text(outputs) + "; it knows " + names_of(kHeads)
                   : "the outputs " + outputs_text(outputs) + " may be of several heads; write " +
                         "'detection: {head: …}' in model.yaml with one of " + names_of(possible));
}

/// Applies the manifest's settings for boxes to the head.
Result<void> read_boxes(const DetectionSpec& spec, DetectorHead& head) {
  const bool apart = head.form == HeadForm::kBoxesScores || head.form == HeadForm::kBoxesLabels;
  if (apart && (spec.boxes.empty() || spec.coordinates.empty())) {
    return unfit(
        "nothing says how boxes are to be read; write 'detection: {boxes: …, coordinates: …}' in "
        "model.yaml, with boxes xyxy, yxyx, xywh or cxcywh, and coordinates pixels or normalized");
  }
  constexpr std::array<std::pair<std::string_view, BoxForm>, 4> kForms{
      {{"xyxy", BoxForm::kXyxy},
       {"yxyx", BoxForm::kYxyx},
       {"xywh", BoxForm::kXywh},
       {"cxcywh", BoxForm::kCxcywh}}};
  for (const auto& [name, form] : kForms) {
    head.boxes = spec.boxes == name ? form : head.boxes;
  }
  if (head.form == HeadForm::kYolox && (!spec.boxes.empty() || !spec.coordinates.empty())) {
    return unfit("'detection.boxes' and 'detection.coordinates' do not go with 'head: yolox'");
  }
  head.normalized = spec.coordinates == "normalized";
  if (spec.iou_threshold) {
    head.overlap_limit = static_cast<float>(*spec.iou_threshold);
  }
  return {};
}

}  // namespace

Result<DetectorHead> find_head(const model::Model& model, std::uint32_t width,
                               std::uint32_t height) {
  const DetectionSpec& spec = model.manifest().detection;
  const auto& outputs = model.signature().outputs;
  const Finder finder(outputs, grid_cells(width, height).size());
  const auto named = choose(spec, finder, outputs);
  if (!named) {
    return fail(named.error());
  }
  auto head = finder.of(named->form, false);
  if (!head) {
    return unfit("the outputs " + outputs_text(outputs) + " are none of a head '" +
                 std::string(named->name) + "'");
  }
  if (auto done = read_boxes(spec, *head); !done) {
    return fail(std::move(done.error()));
  }
  return *head;
}

}  // namespace podsense::inference
