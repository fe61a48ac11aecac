#pragma once

/// Separable antialiased resampling, bit-identical to Pillow's Image.resize on 8-bit pictures: with
/// 22-bit fixed-point coefficients, first along rows, rounded to 8 bits, then along columns.
/// docs/adr/0005-pillow-equal-resampling.md
/// @source Pillow src/libImaging/Resample.c; Geometry.c for nearest

#include <cstddef>
#include <cstdint>

#include "image/buffer.h"
#include "image/geometry.h"
#include "image/image.h"

namespace podsense::image {

/// Bytes per pixel in buffers: grey, or red, green, blue and an unused byte.
enum class Pixels : std::uint8_t { kGray = 1, kRgbx = 4 };
constexpr std::size_t pixel_size(Pixels pixels) {
  return static_cast<std::size_t>(pixels);
}

/// One axis of a resize: fractional edges in source pixels, and the outputs to compute.
struct AxisSpec {
  AxisRange box;             ///< 0 ≤ begin < end
  std::uint32_t scaled = 0;  ///< size to which the box is resized
  std::uint32_t first = 0;   ///< computes outputs [first, first + count)
  std::uint32_t count = 0;
  Filter filter{};
};

/// Coefficients of one axis. The taps of output i are source pixels
/// [start(i), start(i) + taps(i)) counted from `source_begin`.
class Axis {
 public:
  /// Taps only use pixels that the box touches. Each coefficient is repeated `replicate` times
  /// (once per channel), and padded with zeros to a multiple of `kTapGroup` taps.
  void compute(const AxisSpec& spec, unsigned replicate);

  static constexpr std::uint32_t kTapGroup = 4;

  [[nodiscard]] std::uint32_t count() const { return count_; }
  /// The used source pixels: [begin, end).
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
  /// Whether output i is simply source pixel i.
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

/// Resamples one row along x. `source` starts at axis.source_begin() and must be readable for
/// kRowPadding bytes past its end; `out` must be writable likewise. @pre the axis was computed with
/// replicate = pixel_size(pixels)
void resample_row(const std::uint8_t* source, const Axis& axis, Pixels pixels, std::uint8_t* out);

/// Computes one output row along y: `rows` points to the row of the first tap; rows are `stride`
/// bytes apart.
void resample_column(const std::uint8_t* rows, std::size_t stride, const std::int32_t* coefficients,
                     std::uint32_t taps, std::size_t row_bytes, std::uint8_t* out);

/// The portable versions, so that tests can compare them with the ones chosen for the CPU.
namespace portable {
void resample_row(const std::uint8_t* source, const Axis& axis, Pixels pixels, std::uint8_t* out);
void resample_column(const std::uint8_t* rows, std::size_t stride, const std::int32_t* coefficients,
                     std::uint32_t taps, std::size_t row_bytes, std::uint8_t* out);
}  // namespace portable

}  // namespace podsense::image
