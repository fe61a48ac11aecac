#pragma once

/// Converts decoded rows to oriented, resized rows and then to a tensor. Rows are processed as the
/// decoder delivers them. So a picture that is not rotated is never stored in full: only its rows,
/// already resized to the target's width.

#include <cstdint>
#include <span>

#include "image/buffer.h"
#include "image/geometry.h"
#include "image/image.h"
#include "image/resample.h"

namespace podsense::image {

/// All buffers of a conversion; Scratch keeps them between calls.
struct Workspace {
  Axis x;
  Axis y;
  Buffer<std::uint8_t> line;      ///< one decoded row
  Buffer<std::uint8_t> mirrored;  ///< one row, mirrored
  Buffer<std::uint8_t> picture;   ///< the region, if it must be transposed or deinterlaced
  Buffer<std::uint8_t> narrowed;  ///< rows after the horizontal pass
  Buffer<std::uint8_t> resized;   ///< one row after the vertical pass

  [[nodiscard]] std::size_t bytes() const;
  void release();
};

struct Source {
  Info info;
  unsigned eighths = 8;  ///< the decoder's reduction
  Pixels pixels = Pixels::kRgbx;
};

/// Receives each row of the region once, in stored order, and writes the tensor.
class Pipeline {
 public:
  Pipeline(const TensorSpec& spec, const ResizePlan& plan, const Source& source,
           Workspace& workspace);

  /// The region that the decoder must deliver, in stored pixels of the (reduced) picture.
  [[nodiscard]] const Region& region() const { return region_; }
  [[nodiscard]] Pixels pixels() const { return pixels_; }

  /// Takes row `y` of the region, 0 ≤ y < region().height. `data` must be readable for kRowPadding
  /// bytes past its end. Does not allocate.
  void row(std::uint32_t y, const std::uint8_t* data);

  /// Call after all rows. @shape out: element_count(spec)
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

/// Composes RGBA over white to RGBX, in place, with Pillow's rounding of x / 255.
void lay_over_white(std::uint8_t* rgba, std::size_t pixels);

/// Converts RGBX to grey in place (ITU-R 601, Pillow's weights): grey pixel i is stored at byte i.
void to_gray(std::uint8_t* rgbx, std::size_t pixels);

}  // namespace podsense::image
