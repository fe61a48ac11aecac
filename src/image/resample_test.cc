#include "image/resample.h"

#include <gtest/gtest.h>

#include <numeric>
#include <random>
#include <vector>

namespace podsense::image {
namespace {

struct Shape {
  std::uint32_t from;
  std::uint32_t to;
};

constexpr Shape kShapes[] = {{1, 1}, {1, 9}, {7, 3}, {100, 33}, {33, 100}, {420, 224}, {2625, 224}};
constexpr Filter kFilters[] = {Filter::kBicubic, Filter::kBilinear, Filter::kLanczos, Filter::kBox,
                               Filter::kNearest};

/// Noise, black and white, readable past the end as the kernels ask for.
std::vector<std::uint8_t> noise(std::size_t count) {
  std::mt19937 random(count);
  std::vector<std::uint8_t> bytes(count + kRowPadding);
  for (auto& byte : bytes) {
    const auto value = random();
    byte = static_cast<std::uint8_t>(value % 3 == 0 ? 0 : value % 3 == 1 ? 255 : value >> 8U);
  }
  return bytes;
}

Axis axis_of(const Shape& shape, Filter filter, unsigned replicate) {
  Axis axis;
  axis.compute({.box = {0, static_cast<double>(shape.from)},
                .scaled = shape.to,
                .first = 0,
                .count = shape.to,
                .filter = filter},
               replicate);
  return axis;
}

TEST(Resample, RowsAreTheSameOnEveryCpu) {
  for (const auto& shape : kShapes) {
    for (const auto filter : kFilters) {
      for (const auto pixels : {Pixels::kGray, Pixels::kRgbx}) {
        const auto size = pixel_size(pixels);
        const auto source = noise(shape.from * size);
        const auto axis = axis_of(shape, filter, static_cast<unsigned>(size));
        std::vector<std::uint8_t> chosen(shape.to * size + kRowPadding);
        auto portable = chosen;
        resample_row(source.data() + axis.source_begin() * size, axis, pixels, chosen.data());
        portable::resample_row(source.data() + axis.source_begin() * size, axis, pixels,
                               portable.data());
        ASSERT_EQ(chosen, portable) << shape.from << " to " << shape.to;
      }
    }
  }
}

TEST(Resample, ColumnsAreTheSameOnEveryCpu) {
  constexpr std::size_t kBytes = 96;
  for (const auto& shape : kShapes) {
    for (const auto filter : kFilters) {
      const auto rows = noise(shape.from * kBytes);
      const auto axis = axis_of(shape, filter, 1);
      for (std::uint32_t i = 0; i < shape.to; ++i) {
        std::vector<std::uint8_t> chosen(kBytes + kRowPadding);
        auto portable = chosen;
        const auto* const first = rows.data() + (axis.source_begin() + axis.start(i)) * kBytes;
        resample_column(first, kBytes, axis.coefficients(i), axis.taps(i), kBytes, chosen.data());
        portable::resample_column(first, kBytes, axis.coefficients(i), axis.taps(i), kBytes,
                                  portable.data());
        ASSERT_EQ(chosen, portable) << shape.from << " to " << shape.to;
      }
    }
  }
}

TEST(Resample, CoefficientsSumToOne) {
  for (const auto& shape : kShapes) {
    for (const auto filter : kFilters) {
      const auto axis = axis_of(shape, filter, 1);
      for (std::uint32_t i = 0; i < shape.to; ++i) {
        const auto* const k = axis.coefficients(i);
        const auto sum = std::accumulate(k, k + axis.taps(i), std::int64_t{0});
        EXPECT_NEAR(static_cast<double>(sum) / (1 << 22), 1.0, 1e-4);
      }
    }
  }
}

}  // namespace
}  // namespace podsense::image
