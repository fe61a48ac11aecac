#pragma once

/// Decoded rows → oriented, resized rows → tensor. Rows are taken as the decoder makes them, so a
/// picture that is not rotated is never held in full: only its rows already narrowed to the
/// target's width are.

#include <cstdint>
#include <span>

#include "image/buffer.h"
#include "image/geometry.h"
#include "image/image.h"
#include "image/resample.h"

namespace podsense::image {

/// Everything one conversion needs, kept between calls by Scratch.
struct Workspace {
  Axis x;
  Axis y;
  Buffer<std::uint8_t> line;      ///< one row of the decoder's
  Buffer<std::uint8_t> mirrored;  ///< one row, mirrored
  Buffer<std::uint8_t> picture;   ///< the region, where it must be transposed or deinterlaced
  Buffer<std::uint8_t> narrowed;  ///< rows after the first pass
  Buffer<std::uint8_t> resized;   ///< one row after the second pass

  [[nodiscard]] std::size_t bytes() const;
  void release();
};

struct Source {
  Info info;
  unsigned eighths = 8;  ///< the decoder's reduction
  Pixels pixels = Pixels::kRgbx;
};

/// Receives the region's rows in stored order, each once, and writes the tensor.
class Pipeline {
 public:
  Pipeline(const TensorSpec& spec, const ResizePlan& plan, const Source& source,
           Workspace& workspace);

  /// What the decoder has to deliver, in stored pixels of the (reduced) picture.
  [[nodiscard]] const Region& region() const { return region_; }
  [[nodiscard]] Pixels pixels() const { return pixels_; }

  /// Row `y` of the region, 0 ≤ y < region().height. `data` is readable kRowPadding past its end.
  /// Does not allocate.
  void row(std::uint32_t y, const std::uint8_t* data);

  /// After all rows. @shape out: element_count(spec)
  void finish(std::span<float> out);
  void finish(std::span<std::uint8_t> out);

 private:
  void reserve();
  void narrow(std::uint32_t y, const std::uint8_t* data);
  void transpose();
  template <class T>
  void write(std::span<T> out);

  const TensorSpec& spec_;
  const ResizePlan& plan_;
  Workspace& work_;
  Pixels pixels_;
  Orientation orientation_;
  Region region_;
  std::size_t stride_ = 0;  ///< bytes between rows of `narrowed`
};

/// RGBA → RGBX over white, in place, with Pillow's rounding of x / 255.
void lay_over_white(std::uint8_t* rgba, std::size_t pixels);

/// RGBX → grey in place (ITU-R 601, Pillow's weights): grey i ends at byte i.
void to_gray(std::uint8_t* rgbx, std::size_t pixels);

}  // namespace podsense::image
