#pragma once

/// The output formats of object detectors, and their recognition. Private to this module.

#include <cstddef>
#include <optional>
#include <vector>

#include "base/error.h"
#include "inference/tasks/detections.h"
#include "model/model.h"

namespace podsense::inference {

enum class HeadForm {
  kYolov5,  ///< [N, A, 5 + classes]: cx, cy, w, h, certainty, scores
  kYolov8,  ///< [N, 4 + classes, A]: cx, cy, w, h, scores, transposed
  kYolox,   ///< [N, A, 5 + classes]: as yolov5, but places and sizes in cells of a grid
  kNms,     ///< [N, K, 6]: x, y, x, y, score, class; or [K, 7]: picture, x, y, x, y, class, score
  kBoxesScores,  ///< boxes [N, K, 4], scores [N, K, classes]
  kBoxesLabels,  ///< boxes [N, K, 4], scores [N, K], labels [N, K], optionally their number
};

/// The outputs of a head, as indices of the model's outputs.
struct DetectorHead {
  HeadForm form = HeadForm::kYolov5;
  std::size_t main = 0;  ///< the boxes, or the only output
  std::size_t scores = 0;
  std::size_t labels = 0;
  std::optional<std::size_t> count;
  BoxForm boxes = BoxForm::kXyxy;
  bool normalized = false;  ///< boxes from 0 to 1
  float overlap_limit = 1;  ///< of boxes of one class that overlap more, one remains
  std::size_t classes = 0;  ///< 0: not known
};

/// The head in the manifest, or the only one that the outputs match.
/// @errors kInvalidArgument: the outputs match no head or several; the message says what to write
/// into the manifest
Result<DetectorHead> find_head(const model::Model& model, std::uint32_t width,
                               std::uint32_t height);

}  // namespace podsense::inference
