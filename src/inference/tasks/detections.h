#pragma once

/// Converts object detectors' outputs to boxes. Pure. Private to this module.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "image/image.h"
#include "protocol/messages.h"

namespace podsense::inference {

/// A detected object, with its box in pixels of the model's input.
struct Detection {
  protocol::Box box;
  float score = 0;
  std::uint32_t index = 0;  ///< of the class, in the model's numbering
  std::size_t place = 0;    ///< position among all detections, for ties; set by suppress
};

/// The meaning of a box's four numbers.
enum class BoxForm { kXyxy, kYxyx, kXywh, kCxcywh };

struct Size {
  float width = 0;
  float height = 0;
};

/// Converts `numbers` in `form` to a box, each multiplied by the width or height of `unit`.
protocol::Box to_box(std::span<const float> numbers, BoxForm form, const Size& unit);

/// The minimum for a detection: at least `score`, and a class from `first_class` on.
struct ScoreThreshold {
  float score = 0;
  std::uint32_t first_class = 0;
};

/// Appends the class with the highest score times `certainty`, if that reaches the threshold; for
/// ties the lower index.
void take_best(const protocol::Box& box, std::span<const float> scores, float certainty,
               const ScoreThreshold& threshold, std::vector<Detection>& out);

/// The grid of a YOLOX head: cells of 8, 16 and 32 pixels, row by row.
struct GridCell {
  float x = 0;
  float y = 0;
  float size = 0;
};
std::vector<GridCell> grid_cells(std::uint32_t width, std::uint32_t height);

/// Intersection over union; 0 if one of them is empty.
float overlap(const protocol::Box& a, const protocol::Box& b);

/// Non-maximum suppression: keeps at most `most` detections, best first. Of boxes of one class that
/// overlap by more than `overlap_limit` only the best remains. Detections without a finite box are
/// removed. Ties keep the model's order.
void suppress(std::vector<Detection>& found, float overlap_limit, std::size_t most);

/// Converts a box to pixels of the picture, clipped at its edges.
protocol::Box in_picture(const protocol::Box& box, const image::Geometry& geometry);

}  // namespace podsense::inference
