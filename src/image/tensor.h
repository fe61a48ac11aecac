#pragma once

/// Converts 8-bit rows to tensor elements, in the layout and channel order of the spec.

#include <cstddef>
#include <cstdint>
#include <span>

#include "image/geometry.h"
#include "image/image.h"
#include "image/resample.h"

namespace podsense::image {

struct PixelRun {
  std::uint32_t x = 0;
  std::uint32_t y = 0;
  std::uint32_t count = 0;  ///< pixels
};

/// T: float (normalised) or std::uint8_t (unchanged).
template <class T>
class TensorWriter {
 public:
  TensorWriter(const TensorSpec& spec, Pixels pixels, std::span<T> out);

  /// Fills everything outside the plan's window.
  void pad(const ResizePlan& plan);
  void row(const PixelRun& place, const std::uint8_t* pixels);

 private:
  struct Channel {
    unsigned byte = 0;  ///< its byte in a pixel
    float mean = 0;
    float std = 1;
  };
  [[nodiscard]] T value(std::uint8_t byte, const Channel& channel) const;
  void fill(const PixelRun& place);

  const TensorSpec& spec_;
  Pixels pixels_;
  T* out_;
  std::size_t channels_;
  std::size_t plane_;
  Channel channel_[3];
};

extern template class TensorWriter<float>;
extern template class TensorWriter<std::uint8_t>;

}  // namespace podsense::image
