#include "image/pipeline.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "image/tensor.h"

namespace podsense::image {
namespace {

void mirror(const std::uint8_t* from, std::size_t count, Pixels pixels, std::uint8_t* to) {
  if (pixels == Pixels::kGray) {
    std::reverse_copy(from, from + count, to);
    return;
  }
  for (std::size_t i = 0; i < count; ++i) {
    std::memcpy(to + 4 * i, from + 4 * (count - 1 - i), 4);
  }
}

/// The range of stored pixels that the outputs' taps use.
struct StoredRange {
  std::uint32_t begin;
  std::uint32_t size;
};

}  // namespace

std::size_t Workspace::bytes() const {
  return x.bytes() + y.bytes() + line.bytes() + mirrored.bytes() + picture.bytes() +
         narrowed.bytes() + resized.bytes();
}

void Workspace::release() {
  x.release();
  y.release();
  for (auto* buffer : {&line, &mirrored, &picture, &narrowed, &resized}) {
    buffer->release();
  }
}

Pipeline::Pipeline(const TensorSpec& spec, const ResizePlan& plan, const Source& source,
                   Workspace& workspace)
    : spec_(spec),
      plan_(plan),
      work_(workspace),
      pixels_(source.pixels),
      orientation_(orientation_of(source.info.orientation)) {
  const auto stored = stored_crop(plan, source.info, source.eighths);
  // The crop's pixels in stored order, mirrored to displayed order if needed.
  const auto bounds = [](const AxisRange& span) {
    const auto begin = static_cast<std::uint32_t>(span.begin);
    return StoredRange{begin, static_cast<std::uint32_t>(std::ceil(span.end)) - begin};
  };
  const auto displayed = [&](const AxisRange& span, bool flip) {
    const auto [begin, size] = bounds(span);
    const AxisRange local{span.begin - begin, span.end - begin};
    return flip ? AxisRange{size - local.end, size - local.begin} : local;
  };
  auto box_x = displayed(stored.x, orientation_.flip_x);
  auto box_y = displayed(stored.y, orientation_.flip_y);
  if (orientation_.transposed) {
    std::swap(box_x, box_y);
  }
  const auto& window = plan.window;
  work_.x.compute({.box = box_x,
                   .scaled = plan.scaled_width,
                   .first = window.x,
                   .count = window.width,
                   .filter = spec.filter},
                  static_cast<unsigned>(pixel_size(pixels_)));
  work_.y.compute({.box = box_y,
                   .scaled = plan.scaled_height,
                   .first = window.y,
                   .count = window.height,
                   .filter = spec.filter},
                  1);
  // Only the part of the crop that taps use is decoded.
  const auto used = [&](const AxisRange& span, const Axis& axis, bool flip) {
    const auto [begin, size] = bounds(span);
    const auto skip = flip ? size - axis.source_end() : axis.source_begin();
    return StoredRange{begin + skip, axis.source_end() - axis.source_begin()};
  };
  const auto& stored_x = orientation_.transposed ? work_.y : work_.x;
  const auto& stored_y = orientation_.transposed ? work_.x : work_.y;
  const auto range_x = used(stored.x, stored_x, orientation_.flip_x);
  const auto range_y = used(stored.y, stored_y, orientation_.flip_y);
  region_ = {range_x.begin, range_y.begin, range_x.size, range_y.size};
  reserve();
}

void Pipeline::reserve() {
  const auto size = pixel_size(pixels_);
  const std::size_t rows = orientation_.transposed ? region_.width : region_.height;
  stride_ = (std::size_t{plan_.window.width} * size + 31) / 32 * 32;
  work_.narrowed.reserve(rows * stride_ + kRowPadding);
  work_.resized.reserve(stride_ + kRowPadding);
  work_.mirrored.reserve(std::max(region_.width, region_.height) * size + kRowPadding);
  if (orientation_.transposed) {
    work_.picture.reserve(std::size_t{region_.width} * region_.height * size + kRowPadding);
  }
}

void Pipeline::row(std::uint32_t y, const std::uint8_t* data) {
  if (orientation_.transposed) {
    const std::size_t bytes = region_.width * pixel_size(pixels_);
    std::memcpy(work_.picture.data() + y * bytes, data, bytes);
    return;
  }
  if (orientation_.flip_x) {
    mirror(data, region_.width, pixels_, work_.mirrored.data());
    data = work_.mirrored.data();
  }
  narrow(orientation_.flip_y ? region_.height - 1 - y : y, data);
}

void Pipeline::narrow(std::uint32_t y, const std::uint8_t* data) {
  resample_row(data, work_.x, pixels_, work_.narrowed.data() + y * stride_);
}

/// Displayed row y is stored column y, or its mirror image, read up or down.
void Pipeline::transpose() {
  const auto size = pixel_size(pixels_);
  const std::size_t stride = region_.width * size;
  const std::uint8_t* const picture = work_.picture.data();
  std::uint8_t* const line = work_.mirrored.data();
  for (std::uint32_t y = 0; y < region_.width; ++y) {
    const std::size_t column = orientation_.flip_x ? region_.width - 1 - y : y;
    for (std::uint32_t x = 0; x < region_.height; ++x) {
      const std::size_t row = orientation_.flip_y ? region_.height - 1 - x : x;
      std::memcpy(line + x * size, picture + row * stride + column * size, size);
    }
    narrow(y, line);
  }
}

template <class T>
void Pipeline::write(std::span<T> out) {
  if (orientation_.transposed) {
    transpose();
  }
  TensorWriter<T> writer(spec_, pixels_, out);
  writer.pad(plan_);
  const auto& axis = work_.y;
  for (std::uint32_t y = 0; y < plan_.window.height; ++y) {
    const std::uint8_t* row = work_.narrowed.data() + axis.start(y) * stride_;
    if (!axis.identity()) {
      resample_column(row, stride_, axis.coefficients(y), axis.taps(y), stride_,
                      work_.resized.data());
      row = work_.resized.data();
    }
    writer.row({.x = plan_.pad_x, .y = plan_.pad_y + y, .count = plan_.window.width}, row);
  }
}

void Pipeline::finish(std::span<float> out) {
  write(out);
}
void Pipeline::finish(std::span<std::uint8_t> out) {
  write(out);
}

void lay_over_white(std::uint8_t* rgba, std::size_t pixels) {
  for (std::size_t i = 0; i < pixels; ++i) {
    std::uint8_t* const p = rgba + 4 * i;
    const std::uint32_t alpha = p[3];
    for (int c = 0; c < 3; ++c) {
      const std::uint32_t sum = p[c] * alpha + 255U * (255U - alpha) + 128U;
      p[c] = static_cast<std::uint8_t>((sum + (sum >> 8U)) >> 8U);
    }
  }
}

void to_gray(std::uint8_t* rgbx, std::size_t pixels) {
  for (std::size_t i = 0; i < pixels; ++i) {
    const std::uint8_t* const p = rgbx + 4 * i;
    rgbx[i] =
        static_cast<std::uint8_t>((p[0] * 19595U + p[1] * 38470U + p[2] * 7471U + 0x8000U) >> 16U);
  }
}

}  // namespace podsense::image
