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
  return to_tensor(bytes, spec, limits, std::span<float>(out), scratch).transform([](auto) {});
}

/// What a bad picture may be answered with.
bool is_clients_fault(ErrorCode code) {
  return code == ErrorCode::kUnprocessable || code == ErrorCode::kUnsupportedMedia ||
         code == ErrorCode::kPayloadTooLarge;
}

void append(Bytes& bytes, const Bytes& more) {
  bytes.insert(bytes.end(), more.begin(), more.end());
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

/// Bytes at the end that no pixel depends on: a JPEG's end marker, the last checksums and the end
/// chunk of a PNG (zlib's, IDAT's, IEND), a WebP's padding, the end of a GIF's data and file.
std::size_t behind_the_pixels(const Bytes& bytes) {
  if (bytes[0] == std::byte{0}) {  // AVIF
    return 0;
  }
  return bytes[1] == std::byte{'P'} ? 20 : bytes[0] == std::byte{'R'} ? 1 : 2;
}

TEST(Truncated, AtEveryByteIsAnErrorOfTheClient) {
  for (const auto* file :
       {"jpeg_420.jpg", "jpeg_progressive.jpg", "jpeg_gray.jpg", "small.png", "png_6_8_adam7.png",
        "webp_lossy.webp", "webp_lossless_alpha.webp", "webp_single_animation.webp",
        "jpeg_orientation_5.jpg", "gif_interlaced.gif", "gif_transparent.gif", "avif_420.avif",
        "avif_alpha.avif"}) {
    const auto bytes = read_file(file);
    for (std::size_t size = 0; size < bytes.size() - behind_the_pixels(bytes); ++size) {
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

// The length of 0 left a part of the file of fewer bytes than its own header.
TEST(Corrupt, AnyLengthOfAWebpFileIsOnlyALength) {
  for (const auto* file : {"webp_lossy.webp", "webp_orientation_6.webp", "webp_one_frame.webp"}) {
    for (std::uint32_t length = 0; length < 64; ++length) {
      auto bytes = read_file(file);
      bytes.at(4) = static_cast<std::byte>(length);
      bytes.at(5) = bytes.at(6) = bytes.at(7) = std::byte{0};
      const auto done = convert(bytes);
      EXPECT_TRUE(done || is_clients_fault(done.error().code)) << file << " " << length;
      // No picture at all, and a chunk that leads far away.
      for (std::size_t at = 12; at < bytes.size(); ++at) {
        bytes[at] = static_cast<std::byte>(at % 4 == 3 ? 0x7F : 0xF0);
      }
      EXPECT_FALSE(convert(bytes).has_value()) << file << " " << length;
    }
  }
}

TEST(Corrupt, EveryByteChangedNeverCrashes) {
  for (const auto* file :
       {"jpeg_420.jpg", "jpeg_progressive.jpg", "small.png", "png_3_4_adam7.png",
        "webp_lossless.webp", "webp_single_animation.webp", "jpeg_orientation_6.jpg",
        "gif_interlaced.gif", "gif_part.gif", "gif_transparent.gif", "avif_alpha.avif",
        "avif_orientation_6.avif", "avif_sequence.avif"}) {
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

/// A length that says too little leads a reader before the place it stands at.
TEST(Corrupt, EveryFieldOfFourBytesMaySayAnything) {
  const std::vector<std::vector<std::byte>> values = [] {
    std::vector<std::vector<std::byte>> all;
    for (const std::uint32_t value : {0U, 1U, 2U, 3U, 4U, 7U, 8U, 11U, 12U, 13U, 0x7FFFFFFFU,
                                      0x80000000U, 0xFFFFFFF7U, 0xFFFFFFFEU, 0xFFFFFFFFU}) {
      std::vector<std::byte> big;
      for (const unsigned shift : {24U, 16U, 8U, 0U}) {
        big.push_back(static_cast<std::byte>(value >> shift));
      }
      all.push_back(big);
      all.emplace_back(big.rbegin(), big.rend());
    }
    return all;
  }();
  for (const auto* file :
       {"jpeg_orientation_6.jpg", "small.png", "orientation_6.png", "webp_lossy.webp",
        "webp_lossless_alpha.webp", "webp_single_animation.webp", "webp_orientation_6.webp",
        "gif_part.gif", "avif_alpha.avif"}) {
    const auto bytes = read_file(file);
    for (std::size_t at = 0; at + 4 <= std::min<std::size_t>(bytes.size(), 160); ++at) {
      for (const auto& value : values) {
        auto changed = bytes;
        std::ranges::copy(value, changed.begin() + static_cast<std::ptrdiff_t>(at));
        const auto done = convert(changed, {.max_pixels = 200'000});
        ASSERT_TRUE(done || is_clients_fault(done.error().code))
            << file << " at " << at << ": " << done.error().message;
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
  bytes.resize(bytes.size() * 95 / 100);  // below the crop
  const auto done = convert(bytes);
  ASSERT_FALSE(done.has_value());
  EXPECT_EQ(done.error().code, ErrorCode::kUnprocessable);
  EXPECT_THAT(done.error().message, testing::HasSubstr("of 479 rows are there"));
}

TEST(Tolerated, BytesBehindTheEnd) {
  for (const auto* file :
       {"jpeg_420.jpg", "scene.png", "webp_lossy.webp", "gif_part.gif", "avif_alpha.avif"}) {
    auto bytes = read_file(file);
    bytes.resize(bytes.size() + 100, std::byte{0x5A});
    EXPECT_TRUE(convert(bytes).has_value()) << file;
  }
}

std::vector<float> tensor_of(std::span<const std::byte> bytes) {
  Scratch scratch;
  std::vector<float> out(element_count(kSmall));
  const auto done = to_tensor(bytes, kSmall, {}, std::span<float>(out), scratch);
  EXPECT_TRUE(done.has_value()) << done.error().message;
  return out;
}

TEST(Tolerated, AJpegWithoutItsEndMarkerWhateverFollows) {
  using std::string_literals::operator""s;
  for (const auto* file :
       {"jpeg_420.jpg", "jpeg_large_420.jpg", "jpeg_restarts.jpg", "jpeg_large_progressive.jpg",
        "jpeg_gray_progressive.jpg", "jpeg_cmyk.jpg", "jpeg_orientation_5.jpg"}) {
    const auto whole = read_file(file);
    const auto expected = tensor_of(whole);
    for (const auto& tail : {""s, std::string(16, '\0'), "SEFHe\0\0\0tail"s, "\xFF"s,
                             "\xFF\xD8\xFF\xE0 a second picture"s, "\xFF\xC4\x00\x04 no table"s,
                             "\xFF\xC0\x00\x0B no frame"s, "\xFF\xDA\x00\x02"s,
                             "\xFF\xFE\xFF\xFFno end of a comment"s, "\xFF\xD9"s}) {
      auto bytes = whole;
      bytes.resize(bytes.size() - 2);
      append(bytes, bytes_of(tail));
      EXPECT_EQ(tensor_of(bytes), expected) << file << " and '" << tail << "'";
    }
  }
}

TEST(Truncated, AProgressiveJpegThatLacksScansSaysSo) {
  auto bytes = read_file("jpeg_large_progressive.jpg");
  std::size_t last_scan = 0;
  for (std::size_t at = 0; at + 1 < bytes.size(); ++at) {
    if (bytes[at] == std::byte{0xFF} && bytes[at + 1] == std::byte{0xDA}) {
      last_scan = at;
    }
  }
  bytes.resize(last_scan);
  for (const bool tail : {false, true}) {
    if (tail) {
      append(bytes, bytes_of("\xFF\xD8\xFF"));
    }
    const auto done = convert(bytes);
    ASSERT_FALSE(done.has_value());
    EXPECT_EQ(done.error().code, ErrorCode::kUnprocessable);
    EXPECT_THAT(done.error().message,
                testing::HasSubstr(tail ? "JPEG" : "truncated in or after scan"));
  }
}

/// A chunk with its checksum, or with a wrong one.
Bytes png_chunk(std::string_view name, std::string_view body, bool valid = true) {
  Bytes chunk(4);
  put_be32(chunk, 0, static_cast<std::uint32_t>(body.size()));
  append(chunk, bytes_of(name));
  append(chunk, bytes_of(body));
  chunk.resize(chunk.size() + 4);
  put_be32(chunk, chunk.size() - 4, crc32(chunk, 4, body.size() + 4) ^ (valid ? 0U : 1U));
  return chunk;
}

TEST(Tolerated, PngChunksThatNoPixelDependsOn) {
  for (const auto* file : {"scene.png", "png_6_16_adam7.png", "png_trns_palette.png"}) {
    const auto whole = read_file(file);
    const auto expected = tensor_of(whole);
    const auto data = find(whole, "IDAT") - 4;
    const auto end = find(whole, "IEND") - 4;
    for (const std::size_t at : {std::size_t{33}, data, end}) {
      for (const auto& chunk :
           {png_chunk("tEXt", "Comment", false), png_chunk("tEXt", ""), png_chunk("zTXt", "a"),
            png_chunk("iTXt", "x"), png_chunk("eXIf", ""), png_chunk("eXIf", "II*", false),
            png_chunk("iCCP", "broken"), png_chunk("gAMA", "1"), png_chunk("cHRM", "1", false),
            png_chunk("pHYs", ""), png_chunk("tIME", "x"), png_chunk("vpAg", "x", false),
            png_chunk("bKGD", "toolongforit"), png_chunk("acTL", "1"), png_chunk("fdAT", "")}) {
        auto bytes = whole;
        bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at), chunk.begin(), chunk.end());
        EXPECT_EQ(tensor_of(bytes), expected) << file << " at " << at;
      }
    }
    auto bytes = whole;
    bytes[bytes.size() - 1] ^= std::byte{1};
    EXPECT_EQ(tensor_of(bytes), expected) << file << ": IEND's checksum";
    bytes = whole;
    bytes.resize(end);
    EXPECT_EQ(tensor_of(bytes), expected) << file << ": no IEND";
    append(bytes, bytes_of("anything at all, and more"));
    EXPECT_EQ(tensor_of(bytes), expected) << file << ": bytes in place of IEND";
  }
}

TEST(Truncated, SaysHowMuchWasThere) {
  const std::pair<const char*, const char*> table[] = {
      {"jpeg_large_420.jpg", "of 479 rows"},      {"scene.png", "of 47 rows"},
      {"png_6_8_adam7.png", "of 7 (interlaced)"}, {"webp_lossy.webp", "of 47 rows"},
      {"gif_interlaced.gif", "of 30 rows"},       {"avif_420.avif", "bytes of its picture"}};
  for (const auto& [file, message] : table) {
    auto bytes = read_file(file);
    bytes.resize(bytes.size() * 3 / 4);
    const auto done = convert(bytes);
    ASSERT_FALSE(done.has_value()) << file;
    EXPECT_EQ(done.error().code, ErrorCode::kUnprocessable) << file;
    EXPECT_THAT(done.error().message, testing::HasSubstr(message)) << file;
  }
}

TEST(Tolerated, PngColourChunksThatItsKindOfPixelsDoesNotUse) {
  for (const auto* file : {"png_2_8.png", "png_0_8.png", "png_4_8.png", "png_6_16_adam7.png"}) {
    const auto whole = read_file(file);
    const bool alpha = file[4] == '4' || file[4] == '6';
    for (const auto& chunk : {png_chunk("PLTE", "four"), png_chunk("PLTE", "abc", false),
                              png_chunk("tRNS", "abc", false), png_chunk("tRNS", "")}) {
      auto bytes = whole;
      bytes.insert(bytes.begin() + 33, chunk.begin(), chunk.end());
      const bool palette = chunk.at(4) == std::byte{'P'};
      if (palette || alpha) {
        EXPECT_EQ(tensor_of(bytes), tensor_of(whole)) << file;
      }
    }
  }
}

// libavif looks for each item in a list, which takes the square of their number.
TEST(Bomb, AnAvifOfThousandsOfItemsIsRefusedAtOnce) {
  const auto good = read_file("avif_420.avif");
  const auto meta = find(good, "meta");
  Bytes bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(meta + 8));
  const auto items = find(good, "iinf");
  for (int i = 0; i < 100'000; ++i) {
    bytes.insert(bytes.end(), good.begin() + static_cast<std::ptrdiff_t>(items - 4),
                 good.begin() + static_cast<std::ptrdiff_t>(items + 4));
  }
  put_be32(bytes, items - 4, static_cast<std::uint32_t>(bytes.size() - (items - 4)));
  put_be32(bytes, meta - 4, static_cast<std::uint32_t>(bytes.size() - (meta - 4)));
  const auto begin = std::chrono::steady_clock::now();
  const auto info = inspect(bytes, {});
  ASSERT_FALSE(info.has_value());
  EXPECT_EQ(info.error().code, ErrorCode::kUnprocessable);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
}

TEST(Truncated, AnEndThatWasPutBehindHalfOfTheDataHidesNothing) {
  for (const auto* file : {"jpeg_420.jpg", "jpeg_restarts.jpg", "jpeg_gray.jpg"}) {
    auto bytes = read_file(file);
    bytes.resize(bytes.size() / 2);
    append(bytes, bytes_of("\xFF\xD9"));
    const auto done = convert(bytes);
    ASSERT_FALSE(done.has_value()) << file;
    EXPECT_THAT(done.error().message, testing::HasSubstr("rows are there")) << file;
  }
}

// Its data are a valid stream, of fewer rows than the header says.
TEST(Truncated, APngWithTooFewRowsSaysHowMany) {
  auto bytes = read_file("png_2_8.png");
  const auto height = std::to_integer<std::uint32_t>(bytes.at(23));
  put_be32(bytes, 20, height + 7);
  put_be32(bytes, 29, crc32(bytes, 12, 17));
  const auto done = convert(bytes);
  ASSERT_FALSE(done.has_value());
  EXPECT_THAT(done.error().message,
              testing::HasSubstr("truncated: about " + std::to_string(height - 1) + " of " +
                                 std::to_string(height + 7) + " rows are there"));
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
  const auto begin_of = [](const Bytes& bytes, std::size_t size) {
    return Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
  };
  const auto jpeg_begin = begin_of(jpeg, find(jpeg, "\xFF\xDA"));
  const auto webp_begin = begin_of(webp, canvas + 6);
  for (const auto& bytes : {png_of_size(50'000, 50'000), png_of_size(0x7FFFFFFF, 1),
                            png_of_size(16'000, 16'000), jpeg, webp, jpeg_begin, webp_begin}) {
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

/// A text chunk of a PNG with a profile in hexadecimal.
Bytes raw_profile(std::string_view key, std::string_view profile) {
  std::string text =
      std::string(key) + '\0' + "\nprofile\n" + std::to_string(profile.size()) + '\n';
  for (const char c : profile) {
    constexpr std::string_view kHex = "0123456789abcdef";
    const auto byte = static_cast<unsigned char>(c);
    text += {kHex[byte >> 4U], kHex[byte & 15U]};
  }
  return png_chunk("tEXt", text);
}

// Pillow reads only "Raw profile type exif"; golden_test compares that.
TEST(Exif, RawProfilesOfOtherNamesAreReadWhereNothingElseSaysAnything) {
  using std::string_view_literals::operator""sv;
  constexpr auto kExif =
      "Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"sv;
  constexpr auto kXmp = "http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation=\"8\"/>"sv;
  const auto orientation = [](const Bytes& chunk) {
    auto png = read_file("small.png");
    png.insert(png.begin() + 33, chunk.begin(), chunk.end());
    const auto info = inspect(png, {});
    return info ? info->orientation : 0;
  };
  EXPECT_EQ(orientation(raw_profile("Raw profile type APP1", kExif)), 6);
  EXPECT_EQ(orientation(raw_profile("Raw profile type APP1", kXmp)), 8);
  EXPECT_EQ(orientation(raw_profile("Raw profile type xmp", kXmp)), 8);
  EXPECT_EQ(orientation(raw_profile("Raw profile type iptc", kExif)), 1);
  auto both = raw_profile("Raw profile type APP1", kXmp);
  append(both, raw_profile("Raw profile type exif", kExif));
  EXPECT_EQ(orientation(both), 6);
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
