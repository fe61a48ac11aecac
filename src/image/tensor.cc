#include "image/tensor.h"

#include <cstring>
#include <type_traits>

namespace podsense::image {
namespace {

using F32x8 = float __attribute__((vector_size(32)));
using U32x8 = std::uint32_t __attribute__((vector_size(32)));
using I32x8 = std::int32_t __attribute__((vector_size(32)));

struct Normal {
  float scale;
  float mean;
  float std;
};

float normalise(std::uint8_t byte, const Normal& n) {
  return (static_cast<float>(byte) * n.scale - n.mean) / n.std;
}

/// Writes one row of a plane from one byte of each RGBX pixel; reads and writes exactly `count`
/// pixels.
void plane_from_rgbx(const std::uint8_t* pixels, unsigned byte, std::size_t count, const Normal& n,
                     float* out) {
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    U32x8 v;
    std::memcpy(&v, pixels + 4 * i, sizeof v);
    v = v >> (8 * byte) & 255U;
    // via signed integers, the only ones that baseline x86-64 converts in one instruction
    const auto f = __builtin_convertvector(__builtin_convertvector(v, I32x8), F32x8);
    const F32x8 result = (f * n.scale - n.mean) / n.std;
    std::memcpy(out + i, &result, sizeof result);
  }
  for (; i < count; ++i) {
    out[i] = normalise(pixels[4 * i + byte], n);
  }
}

}  // namespace

template <class T>
TensorWriter<T>::TensorWriter(const TensorSpec& spec, Pixels pixels, std::span<T> out)
    : spec_(spec),
      pixels_(pixels),
      out_(out.data()),
      channels_(channel_count(spec.channels)),
      plane_(std::size_t{spec.width} * spec.height) {
  for (unsigned c = 0; c < channels_; ++c) {
    const unsigned byte = spec.channels == Channels::kBgr ? 2 - c : c;
    channel_[c] = {
        .byte = pixels == Pixels::kGray ? 0 : byte, .mean = spec.mean[c], .std = spec.std[c]};
  }
}

template <class T>
T TensorWriter<T>::value(std::uint8_t byte, const Channel& channel) const {
  if constexpr (std::is_same_v<T, float>) {
    return normalise(byte, {spec_.scale, channel.mean, channel.std});
  } else {
    return byte;
  }
}

template <class T>
void TensorWriter<T>::row(const PixelRun& place, const std::uint8_t* pixels) {
  const std::size_t at = std::size_t{place.y} * spec_.width + place.x;
  const std::size_t step = pixel_size(pixels_);
  if (spec_.layout == Layout::kNhwc) {
    T* out = out_ + at * channels_;
    for (std::uint32_t i = 0; i < place.count; ++i, pixels += step) {
      for (std::size_t c = 0; c < channels_; ++c) {
        *out++ = value(pixels[channel_[c].byte], channel_[c]);
      }
    }
    return;
  }
  for (std::size_t c = 0; c < channels_; ++c) {
    T* const out = out_ + c * plane_ + at;
    const auto& channel = channel_[c];
    if constexpr (std::is_same_v<T, float>) {
      if (pixels_ == Pixels::kRgbx) {
        plane_from_rgbx(pixels, channel.byte, place.count, {spec_.scale, channel.mean, channel.std},
                        out);
        continue;
      }
    }
    for (std::uint32_t i = 0; i < place.count; ++i) {
      out[i] = value(pixels[i * step + channel.byte], channel);
    }
  }
}

template <class T>
void TensorWriter<T>::fill(const PixelRun& place) {
  const std::size_t at = std::size_t{place.y} * spec_.width + place.x;
  for (std::size_t c = 0; c < channels_; ++c) {
    const T pad = value(spec_.pad_value, channel_[c]);
    const bool planar = spec_.layout == Layout::kNchw;
    T* out = out_ + (planar ? c * plane_ + at : at * channels_ + c);
    for (std::uint32_t i = 0; i < place.count; ++i, out += planar ? 1 : channels_) {
      *out = pad;
    }
  }
}

template <class T>
void TensorWriter<T>::pad(const ResizePlan& plan) {
  const auto right = plan.pad_x + plan.window.width;
  for (std::uint32_t y = 0; y < spec_.height; ++y) {
    if (y < plan.pad_y || y >= plan.pad_y + plan.window.height) {
      fill({0, y, spec_.width});
    } else {
      fill({0, y, plan.pad_x});
      fill({right, y, spec_.width - right});
    }
  }
}

template class TensorWriter<float>;
template class TensorWriter<std::uint8_t>;

}  // namespace podsense::image
