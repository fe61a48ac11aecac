/// Damaged and hostile pictures: always an error or a tensor, never a crash; errors of the right
/// kind.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "image/image.h"
#include "image/test_files.h"

namespace podsense::image {
namespace {

using Bytes = std::vector<std::byte>;

const TensorSpec kSmall{.width = 16, .height = 16};

Result<void> convert(std::span<const std::byte> bytes, const Limits& limits = {},
                     const TensorSpec& spec = kSmall) {
  Scratch scratch;
  std::vector<float> out(element_count(spec));
  return to_tensor(bytes, spec, limits, std::span<float>(out), scratch);
}

/// What a bad picture may be answered with.
bool is_clients_fault(ErrorCode code) {
  return code == ErrorCode::kUnprocessable || code == ErrorCode::kUnsupportedMedia ||
         code == ErrorCode::kPayloadTooLarge;
}

std::size_t find(const Bytes& bytes, std::string_view text, std::size_t from = 0) {
  const auto equal = [](std::byte b, char c) { return b == static_cast<std::byte>(c); };
  const auto at = std::search(bytes.begin() + static_cast<std::ptrdiff_t>(from), bytes.end(),
                              text.begin(), text.end(), equal);
  EXPECT_NE(at, bytes.end());
  return static_cast<std::size_t>(at - bytes.begin());
}

void put_be32(Bytes& bytes, std::size_t at, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i) {
    bytes.at(at + i) = static_cast<std::byte>(value >> (24 - 8 * i));
  }
}

std::uint32_t crc32(const Bytes& bytes, std::size_t at, std::size_t size) {
  std::uint32_t crc = 0xFFFFFFFF;
  for (std::size_t i = 0; i < size; ++i) {
    crc ^= std::to_integer<std::uint32_t>(bytes.at(at + i));
    for (int bit = 0; bit < 8; ++bit) {
      crc = crc >> 1U ^ (crc & 1U ? 0xEDB88320U : 0U);
    }
  }
  return ~crc;
}

Bytes png_of_size(std::uint32_t width, std::uint32_t height) {
  auto bytes = read_file("scene.png");
  put_be32(bytes, 16, width);
  put_be32(bytes, 20, height);
  put_be32(bytes, 29, crc32(bytes, 12, 17));
  return bytes;
}

TEST(Truncated, AtEveryByteIsAnErrorOfTheClient) {
  for (const auto* file : {"jpeg_420.jpg", "jpeg_progressive.jpg", "jpeg_gray.jpg", "small.png",
                           "png_6_8_adam7.png", "webp_lossy.webp", "webp_lossless_alpha.webp",
                           "webp_single_animation.webp", "jpeg_orientation_5.jpg"}) {
    const auto bytes = read_file(file);
    // of a PNG, all but the end chunk's checksum, which covers nothing; a WebP may end in padding
    const std::size_t spare = bytes[1] == std::byte{'P'} ? 4 : bytes[0] == std::byte{'R'} ? 1 : 0;
    for (std::size_t size = 0; size < bytes.size() - spare; ++size) {
      // a copy of its own, so that a sanitizer sees reads past the end
      const Bytes part(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
      const auto done = convert(part);
      ASSERT_FALSE(done.has_value()) << file << " cut to " << size << " of " << bytes.size();
      ASSERT_TRUE(is_clients_fault(done.error().code)) << file << ": " << done.error().message;
      if (const auto info = inspect(part, {}); !info) {
        ASSERT_TRUE(is_clients_fault(info.error().code)) << info.error().message;
      }
    }
    ASSERT_TRUE(convert(bytes).has_value()) << file;
  }
}

TEST(Corrupt, EveryByteChangedNeverCrashes) {
  for (const auto* file :
       {"jpeg_420.jpg", "jpeg_progressive.jpg", "small.png", "png_3_4_adam7.png",
        "webp_lossless.webp", "webp_single_animation.webp", "jpeg_orientation_6.jpg"}) {
    const auto bytes = read_file(file);
    for (std::size_t at = 0; at < bytes.size(); ++at) {
      for (const std::byte flip : {std::byte{0xFF}, std::byte{0x01}}) {
        auto changed = bytes;
        changed[at] ^= flip;
        const auto done = convert(changed, {.max_pixels = 200'000});
        if (!done) {
          ASSERT_TRUE(is_clients_fault(done.error().code))
              << file << " at " << at << ": " << done.error().message;
        }
      }
    }
  }
}

TEST(Corrupt, PngChecksumIsChecked) {
  for (const auto* chunk : {"IHDR", "IDAT", "PLTE"}) {
    auto bytes = read_file("png_3_8.png");
    const auto at = find(bytes, chunk);
    bytes.at(at - 4 + 8 + 13) ^= std::byte{1};  // inside data or checksum
    const auto done = convert(bytes);
    ASSERT_FALSE(done.has_value()) << chunk;
    EXPECT_EQ(done.error().code, ErrorCode::kUnprocessable) << done.error().message;
  }
}

TEST(Corrupt, JpegDataBelowTheCropMayBeDamagedOnlyInAWholeFile) {
  auto bytes = read_file("jpeg_large_420.jpg");
  ASSERT_TRUE(convert(bytes).has_value());
  bytes.resize(bytes.size() - 2);  // the end marker alone
  const auto done = convert(bytes);
  ASSERT_FALSE(done.has_value());
  EXPECT_EQ(done.error().code, ErrorCode::kUnprocessable);
  EXPECT_THAT(done.error().message, testing::HasSubstr("Premature end"));
}

TEST(Tolerated, BytesBehindTheEnd) {
  for (const auto* file : {"jpeg_420.jpg", "scene.png", "webp_lossy.webp"}) {
    auto bytes = read_file(file);
    bytes.resize(bytes.size() + 100, std::byte{0x5A});
    EXPECT_TRUE(convert(bytes).has_value()) << file;
  }
}

TEST(Tolerated, BytesBetweenJpegSegments) {
  auto bytes = read_file("jpeg_420.jpg");
  const auto at = static_cast<std::ptrdiff_t>(find(bytes, "\xFF\xDB"));
  bytes.insert(bytes.begin() + at, 7, std::byte{0});
  EXPECT_TRUE(convert(bytes).has_value());
}

TEST(Bomb, DeclaredSizeIsRefusedBeforeDecoding) {
  auto jpeg = read_file("jpeg_420.jpg");
  put_be32(jpeg, find(jpeg, "\xFF\xC0") + 5, 0xFFFFFFFF);
  auto webp = read_file("webp_single_animation.webp");
  const auto canvas = find(webp, "VP8X") + 12;
  std::fill_n(webp.begin() + static_cast<std::ptrdiff_t>(canvas), 3, std::byte{0xFF});
  for (const auto& bytes : {png_of_size(50'000, 50'000), png_of_size(0x7FFFFFFF, 1),
                            png_of_size(16'000, 16'000), jpeg, webp}) {
    for (const auto code : {inspect(bytes, {}).error().code, convert(bytes).error().code}) {
      EXPECT_EQ(code, ErrorCode::kPayloadTooLarge);
    }
  }
}

TEST(Bomb, LargeDeclaredSizeWithLittleDataIsAnError) {
  for (const auto& bytes : {png_of_size(7'000, 7'000), png_of_size(16'384, 3'000)}) {
    const auto done = convert(bytes);
    ASSERT_FALSE(done.has_value());
    EXPECT_EQ(done.error().code, ErrorCode::kUnprocessable);
  }
}

TEST(Bomb, ZeroAndOverflowingSizesAreErrors) {
  for (const auto& bytes : {png_of_size(0, 10), png_of_size(10, 0)}) {
    EXPECT_EQ(convert(bytes).error().code, ErrorCode::kUnprocessable);
  }
  EXPECT_EQ(convert(png_of_size(0xFFFFFFFF, 0xFFFFFFFF)).error().code, ErrorCode::kPayloadTooLarge);
}

/// A progressive JPEG whose first scan is repeated: little data, much work per byte.
Bytes with_repeated_scan(int times) {
  const auto bytes = read_file("jpeg_large_progressive.jpg");
  const std::size_t begin = find(bytes, "\xFF\xDA");
  std::size_t end = begin + 2;
  while (bytes.at(end) != std::byte{0xFF} || bytes.at(end + 1) == std::byte{0}) {
    ++end;
  }
  const auto at = [&](std::size_t i) { return bytes.begin() + static_cast<std::ptrdiff_t>(i); };
  Bytes out(bytes.begin(), at(begin));
  for (int i = 0; i < times; ++i) {
    out.insert(out.end(), at(begin), at(end));
  }
  out.insert(out.end(), at(end), bytes.end());
  return out;
}

TEST(Bomb, ThousandsOfProgressiveScansEndAtTheDeadline) {
  ASSERT_TRUE(convert(with_repeated_scan(3)).has_value());
  const auto bytes = with_repeated_scan(4000);
  const auto done = convert(
      bytes, {.max_bytes = std::uint64_t{1} << 30U, .max_time = std::chrono::milliseconds(20)});
  ASSERT_FALSE(done.has_value());
  EXPECT_EQ(done.error().code, ErrorCode::kDeadlineExceeded) << done.error().message;
}

TEST(Exif, NonsenseIsOrientationOne) {
  const auto good = read_file("jpeg_orientation_6.jpg");
  const auto exif = find(good, "Exif");
  for (std::size_t at = exif; at < exif + 32; ++at) {
    for (int value = 0; value < 256; ++value) {
      auto bytes = good;
      bytes[at] = static_cast<std::byte>(value);
      const auto info = inspect(bytes, {});
      ASSERT_TRUE(info.has_value());
      ASSERT_GE(info->orientation, 1);
      ASSERT_LE(info->orientation, 8);
    }
  }
}

}  // namespace
}  // namespace podsense::image
