/// Every sampling of 1 to 4 along each axis, decoded at every scale and height, with and without
/// bytes behind the end: decoding ends, and gives the picture.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <vector>
// clang-format off: jpeglib.h needs what cstdio declares
#include <cstdio>
#include <jpeglib.h>
// clang-format on

#include "image/image.h"

namespace podsense::image {
namespace {

using Bytes = std::vector<std::byte>;

enum class Coding { kBaseline, kProgressive, kOneScanPerComponent };

struct Factors {
  int h = 1;
  int v = 1;
  [[nodiscard]] int blocks() const { return h * v; }
};

struct Picture {
  Factors luma;
  Factors colour;
  Coding coding{};
  std::uint32_t width = 41;
  std::uint32_t height = 95;
  [[nodiscard]] std::string name() const {
    return std::to_string(luma.h) + "x" + std::to_string(luma.v) + " with " +
           std::to_string(colour.h) + "x" + std::to_string(colour.v) + ", coding " +
           std::to_string(static_cast<int>(coding)) + ", height " + std::to_string(height);
  }
  /// libjpeg takes at most ten blocks in an MCU of several components.
  [[nodiscard]] bool interleaves() const { return luma.blocks() + 2 * colour.blocks() <= 10; }
};

std::vector<jpeg_scan_info> separate_scans(Coding coding) {
  std::vector<jpeg_scan_info> scans;
  for (int component = 0; component < 3; ++component) {
    const auto scan = [&](int from, int to) {
      jpeg_scan_info info{};
      info.comps_in_scan = 1;
      info.component_index[0] = component;
      info.Ss = from;
      info.Se = to;
      scans.push_back(info);
    };
    if (coding == Coding::kProgressive) {
      scan(0, 0);
      scan(1, 63);
    } else {
      scan(0, 63);
    }
  }
  return scans;
}

void set_sampling(jpeg_compress_struct& cinfo, const Picture& picture) {
  const std::span components(cinfo.comp_info, 3);
  for (auto& component : components) {
    component.h_samp_factor = picture.colour.h;
    component.v_samp_factor = picture.colour.v;
  }
  components[0].h_samp_factor = picture.luma.h;
  components[0].v_samp_factor = picture.luma.v;
}

/// A smooth picture of weak colours, so that every scale of it looks alike: at 1/8 a colour sample
/// may cover 32 pixels.
Bytes encode(const Picture& picture) {
  jpeg_compress_struct cinfo{};
  jpeg_error_mgr errors{};
  cinfo.err = jpeg_std_error(&errors);
  jpeg_create_compress(&cinfo);
  unsigned char* data = nullptr;
  unsigned long size = 0;  // NOLINT(google-runtime-int): libjpeg's type
  jpeg_mem_dest(&cinfo, &data, &size);
  cinfo.image_width = picture.width;
  cinfo.image_height = picture.height;
  cinfo.input_components = 3;
  cinfo.in_color_space = JCS_RGB;
  jpeg_set_defaults(&cinfo);
  jpeg_set_quality(&cinfo, 95, TRUE);
  set_sampling(cinfo, picture);
  const auto scans = separate_scans(picture.coding);
  if (picture.coding == Coding::kOneScanPerComponent || !picture.interleaves()) {
    cinfo.scan_info = scans.data();
    cinfo.num_scans = static_cast<int>(scans.size());
  } else if (picture.coding == Coding::kProgressive) {
    jpeg_simple_progression(&cinfo);
  }
  jpeg_start_compress(&cinfo, TRUE);
  std::vector<JSAMPLE> row(std::size_t{picture.width} * 3);
  for (std::uint32_t y = 0; y < picture.height; ++y) {
    for (std::uint32_t x = 0; x < picture.width; ++x) {
      const auto light = 120 * x / picture.width + 100 * y / picture.height;
      row[std::size_t{3} * x] = static_cast<JSAMPLE>(light + 30 * y / picture.height);
      row[std::size_t{3} * x + 1] = static_cast<JSAMPLE>(light);
      row[std::size_t{3} * x + 2] = static_cast<JSAMPLE>(light + 20 * x / picture.width);
    }
    JSAMPROW line = row.data();
    jpeg_write_scanlines(&cinfo, &line, 1);
  }
  jpeg_finish_compress(&cinfo);
  jpeg_destroy_compress(&cinfo);
  const std::unique_ptr<unsigned char, decltype(&std::free)> owner(data, &std::free);
  const auto bytes = std::as_bytes(std::span(data, size));
  return {bytes.begin(), bytes.end()};
}

Result<std::vector<std::uint8_t>> convert(std::span<const std::byte> bytes,
                                          const TensorSpec& spec) {
  static Scratch scratch;
  std::vector<std::uint8_t> out(element_count(spec));
  return to_tensor(bytes, spec, {}, std::span<std::uint8_t>(out), scratch)
      .transform([&](const Geometry&) { return std::move(out); });
}

double mean_difference(const std::vector<std::uint8_t>& a, const std::vector<std::uint8_t>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    sum += std::abs(int{a[i]} - int{b.at(i)});
  }
  return sum / static_cast<double>(a.size());
}

/// Samplings that the JPEG's upsampling knows: each colour factor divides the luma's.
std::vector<std::pair<Factors, Factors>> samplings() {
  std::vector<std::pair<Factors, Factors>> all;
  for (int n = 0; n < 256; ++n) {
    const Factors large{.h = n % 4 + 1, .v = n / 4 % 4 + 1};
    const Factors small{.h = n / 16 % 4 + 1, .v = n / 64 + 1};
    if (large.h % small.h == 0 && large.v % small.v == 0) {
      all.emplace_back(large, small);
      all.emplace_back(small, large);
    }
  }
  return all;
}

void expect_decoded_at_every_scale(const Picture& picture) {
  const auto whole = encode(picture);
  auto with_tail = whole;
  with_tail.insert(with_tail.end(), picture.height % 3 + 1, std::byte{0x74});
  for (const std::uint32_t side : {30U, 17U, 8U, 4U}) {  // reductions 8/8, 4/8, 2/8 and 1/8
    TensorSpec spec{.width = side, .height = side, .layout = Layout::kNhwc};
    const auto plain = convert(whole, spec);
    ASSERT_TRUE(plain.has_value()) << picture.name() << ": " << plain.error().message;
    const auto tail = convert(with_tail, spec);
    ASSERT_TRUE(tail.has_value()) << picture.name() << ": " << tail.error().message;
    ASSERT_EQ(*plain, *tail) << picture.name() << " to " << side;
    spec.scaled_decoding = false;
    // brightness at 1/4 of the columns, reduced to 1/8, is coarse
    const double tolerance = picture.luma.blocks() >= picture.colour.blocks() ? 5.0 : 25.0;
    ASSERT_LE(mean_difference(*plain, convert(with_tail, spec).value()), tolerance)
        << picture.name() << " to " << side;
  }
}

TEST(JpegSampling, EveryFactorScaleAndHeightIsDecodedWithBytesBehindTheEnd) {
  for (const auto& [luma, colour] : samplings()) {
    for (const auto coding :
         {Coding::kBaseline, Coding::kProgressive, Coding::kOneScanPerComponent}) {
      for (const std::uint32_t height : {41U, 64U, 81U, 95U, 130U}) {
        ASSERT_NO_FATAL_FAILURE(expect_decoded_at_every_scale(
            {.luma = luma, .colour = colour, .coding = coding, .height = height}));
      }
    }
  }
}

TEST(JpegSampling, ACropIsAPartOfTheWholePicture) {
  for (const auto& [luma, colour] : samplings()) {
    for (const auto coding : {Coding::kBaseline, Coding::kProgressive}) {
      const Picture picture{.luma = luma, .colour = colour, .coding = coding, .width = 150};
      const auto bytes = encode(picture);
      TensorSpec spec{.width = 150, .height = 95, .resize = Resize::kSquash};
      spec.layout = Layout::kNhwc;
      const auto whole = convert(bytes, spec).value();
      constexpr std::uint32_t kSide = 48;
      spec.resize = Resize::kCropThenResize;
      spec.crop_fraction = kSide / 95.0;
      spec.width = spec.height = kSide;
      const auto crop = convert(bytes, spec).value();
      for (std::size_t y = 0; y < kSide; ++y) {
        const auto* const row = whole.data() + ((23 + y) * 150 + 51) * 3;
        ASSERT_TRUE(std::equal(row, row + std::size_t{kSide} * 3, crop.data() + y * kSide * 3))
            << picture.name() << " row " << y;
      }
    }
  }
}

/// Where the frame header's sampling bytes stand, one for each of three components.
std::vector<std::size_t> sampling_bytes(const Bytes& bytes) {
  for (std::size_t at = 0; at + 20 < bytes.size(); ++at) {
    const bool frame = bytes[at] == std::byte{0xFF} &&
                       (bytes[at + 1] == std::byte{0xC0} || bytes[at + 1] == std::byte{0xC2}) &&
                       bytes[at + 3] == std::byte{17};
    if (frame) {
      return {at + 11, at + 14, at + 17};
    }
  }
  ADD_FAILURE() << "no frame header";
  return {};
}

// The data then fit the header no longer: an answer or an error, but at once.
TEST(JpegSampling, AnyThreeFactorsInTheHeaderEnd) {
  std::size_t decoded = 0;
  for (const auto coding : {Coding::kBaseline, Coding::kProgressive}) {
    auto bytes = encode({.luma = {}, .colour = {}, .coding = coding, .width = 30, .height = 230});
    bytes.push_back(std::byte{0});
    const auto at = sampling_bytes(bytes);
    ASSERT_EQ(at.size(), 3U);
    for (unsigned n = 0; n < 16U * 16U * 16U * 4U; ++n) {
      for (std::size_t c = 0; c < 3; ++c) {
        const unsigned factors = n >> (4 * c) & 15U;
        bytes[at[c]] = static_cast<std::byte>(((factors >> 2U) + 1) * 16 + (factors & 3U) + 1);
      }
      const std::uint32_t side = 3U << (n >> 12U);
      const auto done = convert(bytes, {.width = side, .height = side});
      decoded += done.has_value() ? 1 : 0;
      if (!done) {
        ASSERT_EQ(done.error().code, ErrorCode::kUnprocessable) << done.error().message;
      }
    }
  }
  EXPECT_GT(decoded, 1U);
}

}  // namespace
}  // namespace podsense::image
