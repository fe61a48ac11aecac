/// What decoding takes is known from the header, and little where the picture is.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <webp/encode.h>

#include <algorithm>
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
#include "image/test_files.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define PODSENSE_SANITIZED 1
#endif
#endif

namespace podsense::image {
namespace {

using Bytes = std::vector<std::byte>;
constexpr std::uint64_t kMegabyte = 1'000'000;

void append(Bytes& to, std::span<const std::byte> bytes) {
  to.insert(to.end(), bytes.begin(), bytes.end());
}
Bytes little_endian(std::uint32_t value, std::size_t bytes) {
  Bytes out;
  for (std::size_t i = 0; i < bytes; ++i) {
    out.push_back(static_cast<std::byte>(value >> (8 * i)));
  }
  return out;
}
Bytes chunk(std::string_view name, const Bytes& body) {
  Bytes out = bytes_of(name);
  append(out, little_endian(static_cast<std::uint32_t>(body.size()), 4));
  append(out, body);
  if (body.size() % 2 != 0) {
    out.push_back(std::byte{0});
  }
  return out;
}

Bytes owned(std::uint8_t* data, std::size_t size) {
  const std::unique_ptr<std::uint8_t, decltype(&std::free)> owner(data, &std::free);
  const auto bytes = std::as_bytes(std::span(data, size));
  return {bytes.begin(), bytes.end()};
}

/// A picture of one opaque colour with some variation, RGBA.
std::vector<std::uint8_t> pixels_of(std::uint32_t width, std::uint32_t height) {
  std::vector<std::uint8_t> rgba(std::size_t{width} * height * 4);
  for (std::size_t i = 0; i < rgba.size(); ++i) {
    rgba[i] = i % 4 == 3 ? 255 : static_cast<std::uint8_t>(i / 7 * i);
  }
  return rgba;
}

Bytes lossless_webp(std::uint32_t width, std::uint32_t height) {
  const auto rgba = pixels_of(width, height);
  std::uint8_t* data = nullptr;
  const auto w = static_cast<int>(width);
  const auto size = WebPEncodeLosslessRGBA(rgba.data(), w, static_cast<int>(height), 4 * w, &data);
  return owned(data, size);
}

struct Canvas {
  std::uint32_t width;
  std::uint32_t height;
  std::uint32_t x = 0;  ///< of the frame, even
  std::uint32_t y = 0;
};

/// One frame of `side` pixels squared on a canvas.
Bytes animation(std::uint32_t side, const Canvas& canvas) {
  const auto still = lossless_webp(side, side);
  const auto name = bytes_of("VP8L");
  const auto picture = std::ranges::search(still, name).begin() - still.begin();
  Bytes frame;
  for (const auto value : {canvas.x / 2, canvas.y / 2, side - 1, side - 1, 100U}) {
    append(frame, little_endian(value, 3));
  }
  frame.push_back(std::byte{0});
  append(frame, std::span(still).subspan(static_cast<std::size_t>(picture)));
  Bytes header = little_endian(2, 4);
  append(header, little_endian(canvas.width - 1, 3));
  append(header, little_endian(canvas.height - 1, 3));
  Bytes body = bytes_of("WEBP");
  append(body, chunk("VP8X", header));
  append(body, chunk("ANIM", Bytes(6)));
  append(body, chunk("ANMF", frame));
  return chunk("RIFF", body);
}

Bytes progressive_jpeg(std::uint32_t width, std::uint32_t height) {
  jpeg_compress_struct cinfo{};
  jpeg_error_mgr errors{};
  cinfo.err = jpeg_std_error(&errors);
  jpeg_create_compress(&cinfo);
  unsigned char* data = nullptr;
  unsigned long size = 0;  // NOLINT(google-runtime-int): libjpeg's type
  jpeg_mem_dest(&cinfo, &data, &size);
  cinfo.image_width = width;
  cinfo.image_height = height;
  cinfo.input_components = 4;
  cinfo.in_color_space = JCS_EXT_RGBX;
  jpeg_set_defaults(&cinfo);
  cinfo.comp_info[0].h_samp_factor = cinfo.comp_info[0].v_samp_factor = 1;
  jpeg_simple_progression(&cinfo);
  jpeg_start_compress(&cinfo, TRUE);
  auto row = pixels_of(width, 1);
  while (cinfo.next_scanline < height) {
    JSAMPROW line = row.data();
    jpeg_write_scanlines(&cinfo, &line, 1);
  }
  jpeg_finish_compress(&cinfo);
  jpeg_destroy_compress(&cinfo);
  return owned(data, size);
}

Result<std::vector<std::uint8_t>> convert(const Bytes& bytes, const TensorSpec& spec,
                                          const Limits& limits = {}) {
  Scratch scratch;
  std::vector<std::uint8_t> out(element_count(spec));
  return to_tensor(bytes, spec, limits, std::span<std::uint8_t>(out), scratch)
      .transform([&](const Geometry&) { return std::move(out); });
}

/// By how many bytes decoding raises the peak of a process of its own.
std::uint64_t measured(const Bytes& bytes, const TensorSpec& spec) {
  int ends[2] = {};
  EXPECT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    rusage before{};
    rusage after{};
    getrusage(RUSAGE_SELF, &before);
    const bool decoded = convert(bytes, spec, {.max_time = std::chrono::hours(1)}).has_value();
    getrusage(RUSAGE_SELF, &after);
    const std::uint64_t grown = decoded ? 1024 * (after.ru_maxrss - before.ru_maxrss) : UINT64_MAX;
    _exit(write(ends[1], &grown, sizeof grown) == sizeof grown ? 0 : 1);
  }
  std::uint64_t grown = 0;
  EXPECT_EQ(read(ends[0], &grown, sizeof grown), sizeof grown);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  close(ends[0]);
  close(ends[1]);
  return grown;
}

const TensorSpec kWhole{.width = 224, .height = 224, .resize = Resize::kSquash};

TEST(Memory, EstimateCoversWhatDecodingTakes) {
#ifdef PODSENSE_SANITIZED
  GTEST_SKIP() << "a sanitizer's own memory is measured too";
#endif
  struct Case {
    const char* name;
    Bytes bytes;
    std::uint64_t most;  ///< the estimate is no exaggeration
  };
  const Case table[] = {
      {"progressive JPEG 4:4:4, 6 bytes a pixel", progressive_jpeg(2500, 2000), 38 * kMegabyte},
      {"lossless WebP, 8 bytes a pixel", lossless_webp(1250, 1000), 13 * kMegabyte},
      {"animation of one pixel", animation(1, {.width = 7000, .height = 7000}), 8 * kMegabyte},
  };
  for (const auto& [name, bytes, most] : table) {
    TensorSpec spec = kWhole;
    if (bytes[0] == std::byte{'R'} && bytes.size() < 1000) {
      spec.resize = Resize::kCropThenResize;
    }
    const auto info = inspect(bytes, {}).value();
    const auto needed = memory_needed(info, spec);
    const auto grown = measured(bytes, spec);
    EXPECT_LE(grown, needed + 2 * kMegabyte) << name;
    EXPECT_LE(needed, std::max(most, 2 * kMegabyte)) << name;
  }
}

TEST(Memory, ASmallFrameOnALargeCanvasIsWhiteAroundIt) {
  const auto bytes = animation(50, {.width = 300, .height = 200, .x = 124, .y = 90});
  const TensorSpec spec{
      .width = 300, .height = 200, .resize = Resize::kSquash, .layout = Layout::kNhwc};
  const auto tensor = convert(bytes, spec).value();
  const auto frame = pixels_of(50, 50);
  for (std::size_t y = 0; y < 200; ++y) {
    for (std::size_t x = 0; x < 300; ++x) {
      const bool inside = x >= 124 && x < 174 && y >= 90 && y < 140;
      for (std::size_t c = 0; c < 3; ++c) {
        const int want = inside ? frame[((y - 90) * 50 + x - 124) * 4 + c] : 255;
        ASSERT_EQ(tensor[(y * 300 + x) * 3 + c], want) << x << ", " << y;
      }
    }
  }
}

TEST(Memory, ACropBesideTheFrameIsWhite) {
  const auto bytes = animation(20, {.width = 300, .height = 200});
  const auto tensor = convert(bytes, {.width = 64, .height = 64, .crop_fraction = 0.4}).value();
  EXPECT_THAT(tensor, testing::Each(255));
}

TEST(Memory, BeyondTheLimitIsRefusedBeforeDecoding) {
  for (const auto& bytes : {progressive_jpeg(1000, 1000), lossless_webp(1000, 1000)}) {
    const auto done = convert(bytes, kWhole, {.max_memory = 5 * kMegabyte});
    ASSERT_FALSE(done.has_value());
    EXPECT_EQ(done.error().code, ErrorCode::kPayloadTooLarge);
    EXPECT_THAT(done.error().message, testing::HasSubstr("at most 5 MB are allowed"));
    EXPECT_TRUE(convert(bytes, kWhole, {.max_memory = 12 * kMegabyte}).has_value());
  }
}

/// With another size in its headers.
std::vector<std::byte> resized(std::string_view file, std::uint32_t width, std::uint32_t height) {
  auto bytes = read_file(std::string(file));
  const auto put = [&](std::size_t at, std::uint32_t value) {
    bytes.at(at) = static_cast<std::byte>(value >> 8U);
    bytes.at(at + 1) = static_cast<std::byte>(value);
  };
  const bool jpeg = bytes[0] == std::byte{0xFF};
  std::size_t at = jpeg ? 2 : 18;
  while (jpeg && (bytes.at(at + 1) < std::byte{0xC0} || bytes.at(at + 1) > std::byte{0xC2})) {
    at += 2 + (std::to_integer<std::size_t>(bytes.at(at + 2)) << 8U) +
          std::to_integer<std::size_t>(bytes.at(at + 3));
  }
  put(jpeg ? at + 5 : at, jpeg ? height : width);
  put(jpeg ? at + 7 : at + 4, jpeg ? width : height);
  return bytes;
}

// 50 and 64 megapixels, upright and on the side, and what such a phone's file weighs.
TEST(Memory, WhatPhonesSendIsWithinTheDefaults) {
  const Limits limits;
  EXPECT_GE(limits.max_bytes, 20ULL << 20U);
  for (const auto& [width, height] :
       {std::pair{8192U, 6144U}, {6144U, 8192U}, {9280U, 6944U}, {8000U, 6000U}}) {
    for (const auto* file : {"jpeg_420.jpg", "jpeg_444.jpg", "jpeg_progressive.jpg", "png_2_8.png",
                             "png_6_8_adam7.png"}) {
      const auto info = inspect(resized(file, width, height), limits);
      ASSERT_TRUE(info.has_value()) << file << ": " << info.error().message;
      EXPECT_EQ(info->width, width);
      EXPECT_LE(memory_needed(*info, {}), limits.max_memory) << file << " " << width;
    }
  }
}

TEST(Memory, EveryPictureOfTheTestDataFitsItsEstimate) {
  for (const auto* file : {"jpeg_420.jpg", "jpeg_progressive.jpg", "jpeg_cmyk.jpg", "small.png",
                           "png_6_16_adam7.png", "webp_lossy_alpha.webp"}) {
    const auto info = inspect(read_file(file), {}).value();
    EXPECT_GT(info.decoder_bytes, 0U) << file;
    EXPECT_LT(memory_needed(info, kWhole), 20 * kMegabyte) << file;
  }
}

}  // namespace
}  // namespace podsense::image
