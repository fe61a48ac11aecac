#include "image/geometry.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace podsense::image {
namespace {

/// Python's round(): to nearest, ties to even (the default rounding mode).
std::uint32_t round_even(double value) {
  return static_cast<std::uint32_t>(std::max(1.0, std::nearbyint(value)));
}
std::uint32_t half_even(std::uint32_t value) {
  return value / 2 + (value & (value / 2) & 1U);
}

ResizePlan crop_then_resize(const TensorSpec& spec, std::uint32_t width, std::uint32_t height) {
  const auto side = std::min(width, height);
  const auto crop = std::min(side, round_even(spec.crop_fraction * side));
  return {.crop = {(width - crop) / 2, (height - crop) / 2, crop, crop},
          .scaled_width = spec.width,
          .scaled_height = spec.height,
          .window = {0, 0, spec.width, spec.height}};
}

ResizePlan resize_then_crop(const TensorSpec& spec, std::uint32_t width, std::uint32_t height) {
  // the tolerance makes 224 / 0.7 exactly 320; rounding down matches timm, for example for 224 /
  // 0.9
  const auto target = std::max(spec.width, spec.height);
  const auto resized =
      std::max(target, static_cast<std::uint32_t>(std::floor(target / spec.crop_fraction + 1e-6)));
  const auto side = std::min(width, height);
  const auto scaled = [&](std::uint32_t n) {
    return static_cast<std::uint32_t>(std::uint64_t{resized} * n / side);
  };
  const auto w = scaled(width);
  const auto h = scaled(height);
  return {
      .crop = {0, 0, width, height},
      .scaled_width = w,
      .scaled_height = h,
      .window = {half_even(w - spec.width), half_even(h - spec.height), spec.width, spec.height}};
}

ResizePlan letterbox(const TensorSpec& spec, std::uint32_t width, std::uint32_t height) {
  auto w = spec.width;
  auto h = spec.height;
  const double w_in = width;
  const double h_in = height;
  const double ratio = w_in / h_in;
  const double target = static_cast<double>(w) / h;
  if (ratio > target) {
    h = std::min(h, round_even(h_in / w_in * w));
  } else if (ratio < target) {
    w = std::min(w, round_even(ratio * h));
  }
  return {.crop = {0, 0, width, height},
          .scaled_width = w,
          .scaled_height = h,
          .window = {0, 0, w, h},
          .pad_x = spec.pad_after ? 0 : half_even(spec.width - w),
          .pad_y = spec.pad_after ? 0 : half_even(spec.height - h)};
}

}  // namespace

Orientation orientation_of(int exif) {
  switch (exif) {
    case 2:
      return {.flip_x = true};
    case 3:
      return {.flip_x = true, .flip_y = true};
    case 4:
      return {.flip_y = true};
    case 5:
      return {.transposed = true};
    case 6:
      return {.transposed = true, .flip_y = true};
    case 7:
      return {.transposed = true, .flip_x = true, .flip_y = true};
    case 8:
      return {.transposed = true, .flip_x = true};
    default:
      return {};
  }
}

ResizePlan plan_resize(const TensorSpec& spec, std::uint32_t displayed_width,
                       std::uint32_t displayed_height) {
  switch (spec.resize) {
    case Resize::kCropThenResize:
      return crop_then_resize(spec, displayed_width, displayed_height);
    case Resize::kResizeThenCrop:
      return resize_then_crop(spec, displayed_width, displayed_height);
    case Resize::kLetterbox:
      return letterbox(spec, displayed_width, displayed_height);
    case Resize::kSquash:
      break;
  }
  return {.crop = {0, 0, displayed_width, displayed_height},
          .scaled_width = spec.width,
          .scaled_height = spec.height,
          .window = {0, 0, spec.width, spec.height}};
}

Geometry geometry_of(const ResizePlan& plan, const Info& info) {
  const bool transposed = orientation_of(info.orientation).transposed;
  Geometry out{.width = transposed ? info.height : info.width,
               .height = transposed ? info.width : info.height,
               .scale_x = static_cast<double>(plan.crop.width) / plan.scaled_width,
               .scale_y = static_cast<double>(plan.crop.height) / plan.scaled_height,
               .frames = info.frames};
  const auto corner = [](std::uint32_t crop, std::uint32_t window, std::uint32_t pad,
                         double scale) {
    return crop + (static_cast<double>(window) - pad) * scale;
  };
  out.left = corner(plan.crop.x, plan.window.x, plan.pad_x, out.scale_x);
  out.top = corner(plan.crop.y, plan.window.y, plan.pad_y, out.scale_y);
  return out;
}

StoredCrop stored_crop(const ResizePlan& plan, const Info& info, unsigned eighths) {
  const auto orientation = orientation_of(info.orientation);
  auto [x, y, width, height] = plan.crop;
  if (orientation.transposed) {
    std::swap(x, y);
    std::swap(width, height);
  }
  if (orientation.flip_x) {
    x = info.width - x - width;
  }
  if (orientation.flip_y) {
    y = info.height - y - height;
  }
  const auto reduce = [&](std::uint32_t n) { return n * (eighths / 8.0); };
  return {.x = {reduce(x), reduce(x + width)}, .y = {reduce(y), reduce(y + height)}};
}

unsigned choose_eighths(const ResizePlan& plan) {
  for (const unsigned eighths : {1U, 2U, 4U}) {
    if (std::uint64_t{plan.crop.width} * eighths >= std::uint64_t{plan.scaled_width} * 8 &&
        std::uint64_t{plan.crop.height} * eighths >= std::uint64_t{plan.scaled_height} * 8) {
      return eighths;
    }
  }
  return 8;
}

}  // namespace podsense::image
