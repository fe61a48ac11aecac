/// Any bytes through header inspection and decoding, under small limits. Which tensor is asked for
/// follows from the input's size, so that one corpus reaches every resize rule and layout.

#include "image/image.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

namespace {

using podsense::image::TensorSpec;

TensorSpec spec_for(std::size_t n) {
  using namespace podsense::image;  // NOLINT(google-build-using-namespace): six enums below
  TensorSpec spec{.width = 1 + static_cast<std::uint32_t>(n % 37),
                  .height = 1 + static_cast<std::uint32_t>(n % 23)};
  spec.resize = static_cast<Resize>(n % 4);
  spec.filter = static_cast<Filter>(n / 4 % 5);
  spec.channels = static_cast<Channels>(n / 20 % 3);
  spec.layout = static_cast<Layout>(n / 60 % 2);
  spec.crop_fraction = n % 7 == 0 ? 1.0 : 0.6;
  spec.scaled_decoding = n % 3 != 0;
  return spec;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static podsense::image::Scratch scratch;
  const auto bytes = std::as_bytes(std::span(data, size));
  const podsense::image::Limits limits{.max_bytes = 1U << 20U,
                                       .max_pixels = 1U << 18U,
                                       .max_side = 4096,
                                       .max_frames = 2,
                                       .max_time = std::chrono::seconds(2)};
  const auto spec = spec_for(size);
  std::vector<float> floats(podsense::image::element_count(spec));
  std::vector<std::uint8_t> raw(floats.size());
  const auto info = podsense::image::inspect(bytes, limits);
  const auto tensor = podsense::image::to_tensor(bytes, spec, limits, std::span(floats), scratch);
  const auto same = podsense::image::to_tensor(bytes, spec, limits, std::span(raw), scratch);
  if ((tensor && !info) || tensor.has_value() != same.has_value()) {
    std::abort();  // what decodes has a header, and both element types take the same pictures
  }
  return 0;
}
