#pragma once

/// The forms of object detectors' outputs, and which of them a model has. Private to this module.

#include <cstddef>
#include <optional>
#include <vector>

#include "base/error.h"
#include "inference/tasks/detections.h"
#include "model/model.h"

namespace podsense::inference {

enum class HeadForm {
  kYolov5,  ///< [N, A, 5 + classes]: cx, cy, w, h, certainty, scores
  kYolov8,  ///< [N, 4 + classes, A]: cx, cy, w, h, scores, one below the other
  kYolox,   ///< [N, A, 5 + classes]: as yolov5, but places and sizes in cells of a grid
  kNms,     ///< [N, K, 6]: x, y, x, y, score, class; or [K, 7]: picture, x, y, x, y, class, score
  kBoxesScores,  ///< boxes [N, K, 4], scores [N, K, classes]
  kBoxesLabels,  ///< boxes [N, K, 4], scores [N, K], labels [N, K], and maybe how many there are
};

/// Where a model has what, as indices of its outputs.
struct DetectorHead {
  HeadForm form = HeadForm::kYolov5;
  std::size_t main = 0;  ///< the boxes, or all there is
  std::size_t scores = 0;
  std::size_t labels = 0;
  std::optional<std::size_t> count;
  BoxForm boxes = BoxForm::kXyxy;
  bool normalized = false;  ///< boxes from 0 to 1
  float overlap_limit = 1;  ///< boxes of one class that overlap more are one
  std::size_t classes = 0;  ///< 0: not known
};

/// The head that the manifest names, or the only one that the outputs can be.
/// @errors kInvalidArgument: the outputs have no such form, or can be of several: the message has
///         what to write
Result<DetectorHead> find_head(const model::Model& model, std::uint32_t width,
                               std::uint32_t height);

}  // namespace podsense::inference
