#include "inference/tasks/detections.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace podsense::inference {

using protocol::Box;

namespace {

bool is_finite(const Box& box) {
  return std::isfinite(box.x_min) && std::isfinite(box.y_min) && std::isfinite(box.x_max) &&
         std::isfinite(box.y_max);
}

float area(const Box& box) {
  return std::max(box.x_max - box.x_min, 0.0F) * std::max(box.y_max - box.y_min, 0.0F);
}

}  // namespace

Box to_box(std::span<const float> numbers, BoxForm form, const Size& unit) {
  float a = numbers[0];
  float b = numbers[1];
  float c = numbers[2];
  float d = numbers[3];
  switch (form) {
    case BoxForm::kXyxy:
      break;
    case BoxForm::kYxyx:
      std::swap(a, b);
      std::swap(c, d);
      break;
    case BoxForm::kXywh:
      c += a;
      d += b;
      break;
    case BoxForm::kCxcywh: {
      const float half_width = c / 2;
      const float half_height = d / 2;
      c = a + half_width;
      d = b + half_height;
      a -= half_width;
      b -= half_height;
      break;
    }
  }
  return {.x_min = a * unit.width,
          .y_min = b * unit.height,
          .x_max = c * unit.width,
          .y_max = d * unit.height};
}

void take_best(const Box& box, std::span<const float> scores, float certainty,
               const ScoreThreshold& threshold, std::vector<Detection>& out) {
  if (threshold.first_class >= scores.size()) {
    return;
  }
  const auto objects = scores.subspan(threshold.first_class);
  const auto best = std::ranges::max_element(objects);
  const float score = *best * certainty;
  if (score >= threshold.score) {  // false for NaN
    out.push_back(
        {.box = box,
         .score = score,
         .index = threshold.first_class + static_cast<std::uint32_t>(best - objects.begin())});
  }
}

std::vector<GridCell> grid_cells(std::uint32_t width, std::uint32_t height) {
  std::vector<GridCell> cells;
  for (const std::uint32_t size : {8U, 16U, 32U}) {
    for (std::uint32_t y = 0; y < height / size; ++y) {
      for (std::uint32_t x = 0; x < width / size; ++x) {
        cells.push_back({.x = static_cast<float>(x),
                         .y = static_cast<float>(y),
                         .size = static_cast<float>(size)});
      }
    }
  }
  return cells;
}

float overlap(const Box& a, const Box& b) {
  const Box common{.x_min = std::max(a.x_min, b.x_min),
                   .y_min = std::max(a.y_min, b.y_min),
                   .x_max = std::min(a.x_max, b.x_max),
                   .y_max = std::min(a.y_max, b.y_max)};
  const float both = area(common);
  const float either = area(a) + area(b) - both;
  return either > 0 ? both / either : 0;
}

void suppress(std::vector<Detection>& found, float overlap_limit, std::size_t most) {
  std::erase_if(found, [](const Detection& f) { return !is_finite(f.box); });
  for (std::size_t i = 0; i < found.size(); ++i) {
    found[i].place = i;
  }
  std::ranges::sort(found, [](const Detection& a, const Detection& b) {
    return a.score != b.score ? a.score > b.score : a.place < b.place;
  });
  std::size_t kept = 0;
  for (std::size_t i = 0; i < found.size() && kept < most; ++i) {
    const Detection next = found[i];
    const bool doubled = std::ranges::any_of(std::span(found).first(kept), [&](const Detection& f) {
      return f.index == next.index && overlap(f.box, next.box) > overlap_limit;
    });
    if (!doubled) {
      found[kept++] = next;
    }
  }
  found.resize(kept);
}

Box in_picture(const Box& box, const image::Geometry& geometry) {
  const auto along = [](float at, double begin, double scale, std::uint32_t end) {
    return static_cast<float>(std::clamp(begin + at * scale, 0.0, static_cast<double>(end)));
  };
  return {.x_min = along(box.x_min, geometry.left, geometry.scale_x, geometry.width),
          .y_min = along(box.y_min, geometry.top, geometry.scale_y, geometry.height),
          .x_max = along(box.x_max, geometry.left, geometry.scale_x, geometry.width),
          .y_max = along(box.y_max, geometry.top, geometry.scale_y, geometry.height)};
}

}  // namespace podsense::inference
