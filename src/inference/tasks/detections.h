#pragma once

/// Object detectors' outputs → boxes. Pure functions of numbers. Private to this module.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "image/image.h"
#include "protocol/messages.h"

namespace podsense::inference {

/// What was found, with its box in pixels of the model's input.
struct Detection {
  protocol::Box box;
  float score = 0;
  std::uint32_t index = 0;  ///< of the class, as the model counts
  std::size_t place = 0;    ///< among all finds, for ties; set by suppress
};

/// How four numbers are a box.
enum class BoxForm { kXyxy, kYxyx, kXywh, kCxcywh };

struct Size {
  float width = 0;
  float height = 0;
};

/// `numbers` as `form` has them, each times width or height of `unit`.
protocol::Box to_box(std::span<const float> numbers, BoxForm form, const Size& unit);

/// What is taken for a find: not below `score`, classes from `first_class` on.
struct ScoreThreshold {
  float score = 0;
  std::uint32_t first_class = 0;
};

/// The class of highest score times `certainty`, where that is a find; ties by lower index.
void take_best(const protocol::Box& box, std::span<const float> scores, float certainty,
               const ScoreThreshold& threshold, std::vector<Detection>& out);

/// A YOLOX head's places: cells of 8, 16 and 32 pixels, row by row.
struct GridCell {
  float x = 0;
  float y = 0;
  float size = 0;
};
std::vector<GridCell> grid_cells(std::uint32_t width, std::uint32_t height);

/// Intersection over union; 0 where one of them is empty.
float overlap(const protocol::Box& a, const protocol::Box& b);

/// The best `most`, best first; of boxes of one class that overlap by more than `overlap_limit`
/// the best alone. What has no finite box is left out. Ties keep the model's order.
void suppress(std::vector<Detection>& found, float overlap_limit, std::size_t most);

/// Into pixels of the picture, cut at its edges.
protocol::Box in_picture(const protocol::Box& box, const image::Geometry& geometry);

}  // namespace podsense::inference
