#pragma once

/// Which source pixels become which tensor pixels. Pure arithmetic.

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

/// How stored pixels lie in the displayed picture: displayed (x, y) is stored (x, y), swapped when
/// `transposed`, then mirrored along the stored axes.
struct Orientation {
  bool transposed = false;
  bool flip_x = false;
  bool flip_y = false;
};
Orientation orientation_of(int exif);

/// All in displayed (oriented) pixels of the full-size picture.
struct ResizePlan {
  Region crop;                     ///< what is resized; its edges are the resampling borders
  std::uint32_t scaled_width = 0;  ///< to which size the crop is resized
  std::uint32_t scaled_height = 0;
  Region window;            ///< the part of the resized crop that is kept
  std::uint32_t pad_x = 0;  ///< where the window lies in the tensor
  std::uint32_t pad_y = 0;
};

/// @source Pillow ImageOps.pad (kLetterbox), torchvision Resize and CenterCrop (kResizeThenCrop);
///         all roundings are half-to-even, as Python's
ResizePlan plan_resize(const TensorSpec& spec, std::uint32_t displayed_width,
                       std::uint32_t displayed_height);

/// Where the plan's tensor lies in the displayed picture.
Geometry geometry_of(const ResizePlan& plan, const Info& info);

/// One axis of the crop in decoded pixels, stored order: real edges, since a reduced picture has
/// the crop's edges between pixels.
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

/// The strongest reduction of 1/8, 2/8, 4/8, 8/8 that leaves the crop at least as large as what it
/// is resized to, on both axes; 8 where there is none.
unsigned choose_eighths(const ResizePlan& plan);

}  // namespace podsense::image
