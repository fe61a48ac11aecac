#pragma once

/// Separable antialiased resampling, bit-equal to Pillow's Image.resize on 8-bit pictures: 22-bit
/// fixed-point coefficients, first along rows, rounded to 8 bits, then along columns.
/// docs/adr/0005-pillow-equal-resampling.md
/// @source Pillow src/libImaging/Resample.c; Geometry.c for nearest

#include <cstddef>
#include <cstdint>

#include "image/buffer.h"
#include "image/geometry.h"
#include "image/image.h"

namespace podsense::image {

/// Bytes of one pixel on its way: grey, or red, green, blue and one unused byte.
enum class Pixels : std::uint8_t { kGray = 1, kRgbx = 4 };
constexpr std::size_t pixel_size(Pixels pixels) {
  return static_cast<std::size_t>(pixels);
}

/// One axis of a resize: real edges in source pixels, and which outputs are wanted.
struct AxisSpec {
  AxisRange box;             ///< 0 ≤ begin < end
  std::uint32_t scaled = 0;  ///< size to which the box is resized
  std::uint32_t first = 0;   ///< outputs [first, first + count) of it
  std::uint32_t count = 0;
  Filter filter{};
};

/// Coefficients of one axis. The taps of output i are source pixels
/// [start(i), start(i) + taps(i)) counted from `source_begin`.
class Axis {
 public:
  /// Taps never leave the pixels that the box touches. `replicate` writes each coefficient that
  /// many times in a row (once per channel) and pads with zeros to a whole number of `kTapGroup`
  /// taps.
  void compute(const AxisSpec& spec, unsigned replicate);

  static constexpr std::uint32_t kTapGroup = 4;

  [[nodiscard]] std::uint32_t count() const { return count_; }
  /// Source pixels in use: [begin, end).
  [[nodiscard]] std::uint32_t source_begin() const { return source_begin_; }
  [[nodiscard]] std::uint32_t source_end() const { return source_end_; }
  [[nodiscard]] std::uint32_t start(std::uint32_t i) const {
    return bounds_.data()[std::size_t{2} * i];
  }
  [[nodiscard]] std::uint32_t taps(std::uint32_t i) const {
    return bounds_.data()[std::size_t{2} * i + 1];
  }
  [[nodiscard]] const std::int32_t* coefficients(std::uint32_t i) const {
    return coefficients_.data() + std::size_t{i} * stride_;
  }
  /// Output i is source pixel i.
  [[nodiscard]] bool identity() const { return identity_; }

  [[nodiscard]] std::size_t bytes() const {
    return bounds_.bytes() + coefficients_.bytes() + weights_.bytes();
  }
  void release();

 private:
  void compute_nearest(const AxisSpec& spec);
  void compute_filtered(const AxisSpec& spec, unsigned replicate);
  void reserve(std::uint32_t count, std::size_t stride);

  Buffer<std::uint32_t> bounds_;
  Buffer<std::int32_t> coefficients_;
  Buffer<double> weights_;
  std::size_t stride_ = 0;
  std::uint32_t count_ = 0;
  std::uint32_t source_begin_ = 0;
  std::uint32_t source_end_ = 0;
  bool identity_ = false;
};

/// One row along x. `source` starts at axis.source_begin() and is readable kRowPadding past its
/// end, `out` writable likewise. The axis was computed with replicate = pixel_size(pixels).
void resample_row(const std::uint8_t* source, const Axis& axis, Pixels pixels, std::uint8_t* out);

/// One output row along y: `rows` points at the first tap's row, `stride` bytes apart.
void resample_column(const std::uint8_t* rows, std::size_t stride, const std::int32_t* coefficients,
                     std::uint32_t taps, std::size_t row_bytes, std::uint8_t* out);

/// The versions for any CPU, so that tests can hold the chosen ones against them.
namespace portable {
void resample_row(const std::uint8_t* source, const Axis& axis, Pixels pixels, std::uint8_t* out);
void resample_column(const std::uint8_t* rows, std::size_t stride, const std::int32_t* coefficients,
                     std::uint32_t taps, std::size_t row_bytes, std::uint8_t* out);
}  // namespace portable

}  // namespace podsense::image
