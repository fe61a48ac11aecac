#pragma once

/// Maps source pixels to tensor pixels. Pure arithmetic.

#include <cstdint>

#include "image/image.h"

namespace podsense::image {

struct Region {
  std::uint32_t x = 0;
  std::uint32_t y = 0;
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  friend bool operator==(const Region&, const Region&) = default;
};

/// The mapping from displayed to stored pixels: take displayed (x, y), swap x and y if
/// `transposed`, then mirror along the stored axes.
struct Orientation {
  bool transposed = false;
  bool flip_x = false;
  bool flip_y = false;
};
Orientation orientation_of(int exif);

/// All in displayed (oriented) pixels of the full-size picture.
struct ResizePlan {
  Region crop;                     ///< the part that is resized; resampling stops at its edges
  std::uint32_t scaled_width = 0;  ///< size of the resized crop
  std::uint32_t scaled_height = 0;
  Region window;            ///< kept part of the resized crop
  std::uint32_t pad_x = 0;  ///< position of the window in the tensor
  std::uint32_t pad_y = 0;
};

/// @source Pillow ImageOps.pad (kLetterbox), torchvision Resize and CenterCrop (kResizeThenCrop);
///         all roundings are half-to-even, as Python's
ResizePlan plan_resize(const TensorSpec& spec, std::uint32_t displayed_width,
                       std::uint32_t displayed_height);

/// The position of the plan's tensor in the displayed picture.
Geometry geometry_of(const ResizePlan& plan, const Info& info);

/// One axis of the crop in decoded pixels, in stored order. Edges are fractional, because in a
/// reduced picture the crop's edges can be between pixels.
struct AxisRange {
  double begin = 0;
  double end = 0;
};
struct StoredCrop {
  AxisRange x;
  AxisRange y;
};

/// `eighths`: the decoder's reduction, M of M/8.
StoredCrop stored_crop(const ResizePlan& plan, const Info& info, unsigned eighths);

/// The strongest reduction of 1/8, 2/8, 4/8, 8/8 with which the crop is at least as large as its
/// target size on both axes; returns 8 if none is possible.
unsigned choose_eighths(const ResizePlan& plan);

}  // namespace podsense::image
