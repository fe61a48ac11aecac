#include "image/image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "image/test_files.h"

namespace podsense::image {
namespace {

using testing::HasSubstr;

struct Case {
  std::string name;
  std::string file;
  TensorSpec spec;
  int tolerance = 0;
  std::vector<std::uint8_t> expected;
};

template <class T>
T named(const std::map<std::string, T>& names, const std::string& name) {
  return names.at(name);
}

/// cases.txt and expected.u8, as testdata/make_testdata.py writes them.
std::vector<Case> read_cases() {
  const std::map<std::string, Resize> rules = {{"crop_then_resize", Resize::kCropThenResize},
                                               {"resize_then_crop", Resize::kResizeThenCrop},
                                               {"squash", Resize::kSquash},
                                               {"letterbox", Resize::kLetterbox}};
  const std::map<std::string, Filter> filters = {{"bicubic", Filter::kBicubic},
                                                 {"bilinear", Filter::kBilinear},
                                                 {"lanczos", Filter::kLanczos},
                                                 {"box", Filter::kBox},
                                                 {"nearest", Filter::kNearest}};
  const std::map<std::string, Channels> channels = {
      {"rgb", Channels::kRgb}, {"bgr", Channels::kBgr}, {"gray", Channels::kGray}};
  std::ifstream table(kTestData + "cases.txt");
  const auto expected = read_file("expected.u8");
  std::size_t at = 0;
  std::vector<Case> cases;
  std::string line;
  std::getline(table, line);  // column names
  while (std::getline(table, line)) {
    std::istringstream in(line);
    Case c;
    std::string rule;
    std::string filter;
    std::string channel;
    in >> c.name >> c.file >> c.spec.width >> c.spec.height >> rule >> c.spec.crop_fraction >>
        filter >> channel >> c.tolerance;
    c.spec.resize = named(rules, rule);
    c.spec.filter = named(filters, filter);
    c.spec.channels = named(channels, channel);
    c.spec.layout = Layout::kNhwc;
    c.spec.pad_value = 9;
    c.spec.scaled_decoding = false;
    const auto count = element_count(c.spec);
    for (std::size_t i = 0; i < count; ++i) {
      c.expected.push_back(std::to_integer<std::uint8_t>(expected.at(at + i)));
    }
    at += count;
    cases.push_back(std::move(c));
  }
  EXPECT_EQ(at, expected.size());
  return cases;
}

template <class T = std::uint8_t>
Result<std::vector<T>> convert(std::span<const std::byte> bytes, const TensorSpec& spec,
                               const Limits& limits = {}) {
  Scratch scratch;
  std::vector<T> out(element_count(spec));
  return to_tensor(bytes, spec, limits, std::span<T>(out), scratch).transform([&](const Geometry&) {
    return out;
  });
}

struct Difference {
  int most = 0;
  double mean = 0;
};

Difference difference(const std::vector<std::uint8_t>& a, const std::vector<std::uint8_t>& b) {
  Difference d;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const int one = std::abs(int{a[i]} - int{b.at(i)});
    d.most = std::max(d.most, one);
    d.mean += one;
  }
  d.mean /= static_cast<double>(std::max<std::size_t>(1, a.size()));
  return d;
}

class PillowCases : public testing::TestWithParam<Case> {};

// Tolerance 0 for everything but JPEG: there the decoders' versions may differ by one.
TEST_P(PillowCases, AgreesWithPillow) {
  const auto& c = GetParam();
  const auto tensor = convert(read_file(c.file), c.spec, {.max_frames = 2});
  ASSERT_TRUE(tensor.has_value()) << tensor.error().message;
  const auto d = difference(*tensor, c.expected);
  EXPECT_LE(d.most, c.tolerance) << "mean " << d.mean;
}

INSTANTIATE_TEST_SUITE_P(Image, PillowCases, testing::ValuesIn(read_cases()),
                         [](const auto& info) { return info.param.name; });

const Case& case_named(const std::string& name) {
  static const auto cases = read_cases();
  const auto found = std::ranges::find(cases, name, &Case::name);
  EXPECT_NE(found, cases.end()) << name;
  return *found;
}

TEST(Image, PlanarAndInterleavedHoldTheSameValues) {
  for (const auto* name : {"jpeg_444", "jpeg_gray", "letterbox_bicubic"}) {
    auto c = case_named(name);
    const auto bytes = read_file(c.file);
    const auto nhwc = convert(bytes, c.spec).value();
    c.spec.layout = Layout::kNchw;
    const auto nchw = convert(bytes, c.spec).value();
    const std::size_t plane = std::size_t{c.spec.width} * c.spec.height;
    for (std::size_t i = 0; i < nhwc.size(); ++i) {
      ASSERT_EQ(nhwc[i], nchw[i % 3 * plane + i / 3]) << name << " at " << i;
    }
  }
}

TEST(Image, FloatsAreTheBytesNormalisedPerChannel) {
  for (const auto* name : {"jpeg_444", "png_0_8", "letterbox_bgr", "letterbox_gray", "one_pixel"}) {
    for (const auto layout : {Layout::kNchw, Layout::kNhwc}) {
      auto c = case_named(name);
      c.spec.layout = layout;
      c.spec.scale = 1.0F / 255.0F;
      c.spec.mean = {0.485F, 0.456F, 0.406F};
      c.spec.std = {0.229F, 0.224F, 0.225F};
      const auto bytes = read_file(c.file);
      const auto u8 = convert(bytes, c.spec).value();
      const auto f32 = convert<float>(bytes, c.spec).value();
      const std::size_t channels = channel_count(c.spec.channels);
      for (std::size_t i = 0; i < u8.size(); ++i) {
        const auto channel = layout == Layout::kNhwc ? i % channels : i / (u8.size() / channels);
        ASSERT_FLOAT_EQ(f32[i],
                        (u8[i] * c.spec.scale - c.spec.mean[channel]) / c.spec.std[channel]);
      }
    }
  }
}

TEST(Image, ScaledDecodingStaysCloseToFullDecoding) {
  for (const auto* name : {"jpeg_large_420", "jpeg_large_progressive"}) {
    auto c = case_named(name);
    const auto bytes = read_file(c.file);
    for (const auto resize :
         {Resize::kCropThenResize, Resize::kResizeThenCrop, Resize::kSquash, Resize::kLetterbox}) {
      for (const std::uint32_t side : {40U, 100U, 200U}) {
        c.spec.resize = resize;
        c.spec.width = c.spec.height = side;
        c.spec.scaled_decoding = false;
        const auto full = convert(bytes, c.spec).value();
        c.spec.scaled_decoding = true;
        const auto scaled = convert(bytes, c.spec).value();
        const auto d = difference(full, scaled);
        EXPECT_LE(d.mean, 1.5) << name << " to " << side << ", most " << d.most;
      }
    }
  }
}

TEST(Image, CropsDecodeAsTheWholePictureDoes) {
  // The same crop through partial decoding, and cut out of the whole picture at its own size.
  for (const auto* name : {"jpeg_large_420", "jpeg_large_progressive", "jpeg_422", "jpeg_cmyk",
                           "webp_lossy", "webp_lossy_alpha"}) {
    const auto& c = case_named(name);
    const auto bytes = read_file(c.file);
    const auto info = inspect(bytes, {}).value();
    TensorSpec spec{.width = info.width, .height = info.height, .resize = Resize::kSquash};
    spec.layout = Layout::kNhwc;
    spec.scaled_decoding = false;
    const auto whole = convert(bytes, spec).value();
    for (const double fraction : {0.3, 0.51, 0.875, 1.0}) {
      const auto short_side = std::min(info.width, info.height);
      const auto side = static_cast<std::uint32_t>(std::nearbyint(fraction * short_side));
      spec.resize = Resize::kCropThenResize;
      spec.crop_fraction = fraction;
      spec.width = spec.height = side;
      const auto crop = convert(bytes, spec).value();
      const auto left = (info.width - side) / 2;
      const auto top = (info.height - side) / 2;
      for (std::size_t y = 0; y < side; ++y) {
        const auto* const row = whole.data() + ((top + y) * info.width + left) * 3;
        ASSERT_TRUE(std::equal(row, row + side * 3, crop.data() + y * side * 3))
            << name << " " << fraction << " row " << y;
      }
    }
  }
}

TEST(Image, ScratchGivesTheSameAnswersInAnyOrder) {
  Scratch scratch;
  const auto cases = read_cases();
  for (std::size_t n = 0; n < 2 * cases.size(); ++n) {
    const auto& c = cases[n * 37 % cases.size()];
    std::vector<std::uint8_t> out(element_count(c.spec));
    const auto done = to_tensor(read_file(c.file), c.spec, {.max_frames = 2},
                                std::span<std::uint8_t>(out), scratch);
    ASSERT_TRUE(done.has_value()) << done.error().message;
    ASSERT_LE(difference(out, c.expected).most, c.tolerance) << c.name;
  }
}

TEST(Scratch, GivesBackWhatAHugePictureNeeded) {
  Scratch scratch;
  const auto run = [&](const std::string& file, const TensorSpec& spec) {
    std::vector<std::uint8_t> out(element_count(spec));
    const Limits limits{.max_time = std::chrono::hours(1)};  // a debug build on a busy machine
    const auto done =
        to_tensor(read_file(file), spec, limits, std::span<std::uint8_t>(out), scratch);
    ASSERT_TRUE(done.has_value()) << done.error().message;
  };
  run("scene.png", {});
  EXPECT_GT(scratch.bytes(), 0U);
  EXPECT_LT(scratch.bytes(), 1U << 20U);
  // 8192 rows, each widened to 2304 pixels of 4 bytes before they are narrowed: 75 MB on the way
  run("tall.png", {.width = 2304, .height = 1, .resize = Resize::kSquash});
  EXPECT_LE(scratch.bytes(), 64U << 20U);
}

TEST(Inspect, TellsFormatSizeFramesAndOrientation) {
  struct Expectation {
    const char* file;
    Info info;
  };
  const Expectation table[] = {
      {"jpeg_420.jpg", {Format::kJpeg, 85, 67, 1, 1}},
      {"jpeg_progressive.jpg", {Format::kJpeg, 85, 67, 1, 1}},
      {"jpeg_orientation_6.jpg", {Format::kJpeg, 45, 33, 1, 6}},
      {"png_6_16_adam7.png", {Format::kPng, 37, 29, 1, 1}},
      {"orientation_7.png", {Format::kPng, 23, 17, 1, 7}},
      {"orientation_8.png", {Format::kPng, 23, 17, 1, 8}},
      {"apng_two_frames.png", {Format::kPng, 20, 16, 2, 1}},
      {"webp_lossy.webp", {Format::kWebp, 61, 47, 1, 1}},
      {"webp_lossless_alpha.webp", {Format::kWebp, 61, 47, 1, 1}},
      {"webp_orientation_6.webp", {Format::kWebp, 61, 47, 1, 6}},
      {"webp_two_frames.webp", {Format::kWebp, 61, 47, 2, 1}},
      {"webp_single_animation.webp", {Format::kWebp, 61, 47, 1, 1}},
      {"gif_animation.gif", {Format::kGif, 40, 30, 3, 1}},
      {"gif_part.gif", {Format::kGif, 50, 41, 2, 1}},
      {"avif_sequence.avif", {Format::kAvif, 40, 30, 2, 1}},
      {"avif_orientation_6.avif", {Format::kAvif, 40, 30, 1, 6}},
  };
  for (const auto& [file, want] : table) {
    const auto got = inspect(read_file(file), {});
    ASSERT_TRUE(got.has_value()) << file << ": " << got.error().message;
    EXPECT_EQ(got->format, want.format) << file;
    EXPECT_EQ(got->width, want.width) << file;
    EXPECT_EQ(got->height, want.height) << file;
    EXPECT_EQ(got->frames, want.frames) << file;
    EXPECT_EQ(got->orientation, want.orientation) << file;
  }
}

TEST(Sniff, NamesWhatTheBytesLookLike) {
  using std::string_literals::operator""s;
  const std::pair<std::string, const char*> table[] = {
      {"", "empty"},
      {"BM........", "BMP"},
      {"II*\0\x08\0\0\0"s, "TIFF"},
      {"MM\0*\0\0\0\x08"s, "TIFF"},
      {"<!DOCTYPE html><html>", "HTML"},
      {"\n  <HTML><body>", "HTML"},
      {"\xEF\xBB\xBF<?xml version=\"1.0\"?><svg xmlns=\"\">", "SVG"},
      {"<svg/>", "SVG"},
      {"%PDF-1.7", "PDF"},
      {"\0\0\0\x18"
       "ftypheic"s,
       "HEIC"},
      {"\0\0\0\x18"
       "ftypmif1\0\0\0\0mif1heic"s,
       "HEIC; convert it to JPEG"},
      {"\0\0\0\x18"
       "ftypisom"s,
       "video"},
      {"\xFF\x0A......"s, "JPEG XL"},
      {"{\"image\": 1}", "JSON"},
      {"data:image/png;base64,AAAA", "data: URL"},
      {"hello", "plain text"},
      {"   ", "blank"},
      {"PK\x03\x04....", "ZIP"},
      {"RIFF\1\0\0\0WAVE"s, "not a known image format"},
      {"\x89PNG\r\n", "not a known image format"},
      {"\xFF\xD8", "not a known image format"},
  };
  for (const auto& [text, name] : table) {
    const auto format = sniff(bytes_of(text));
    ASSERT_FALSE(format.has_value()) << name;
    EXPECT_EQ(format.error().code, ErrorCode::kUnsupportedMedia);
    EXPECT_THAT(format.error().message, HasSubstr(name));
    EXPECT_THAT(format.error().message, HasSubstr("accepted are JPEG, PNG, WebP, GIF and AVIF"));
  }
  for (const auto* brand :
       {"heic", "heix", "hevc", "hevx", "heim", "heis", "hevm", "hevs", "mif1", "msf1", "miaf"}) {
    const auto box = "\0\0\0\x18"s + "ftyp" + brand + "\0\0\0\0"s + "miafMiHB";
    EXPECT_THAT(sniff(bytes_of(box)).error().message, HasSubstr("looks like HEIC; convert"))
        << brand;
  }
  for (const auto* brand : {"avif", "avis", "mif1", "msf1", "miaf"}) {
    const auto box = "\0\0\0\x18"s + "ftyp" + brand + "\0\0\0\0"s + "miafavif";
    EXPECT_EQ(sniff(bytes_of(box)).value(), Format::kAvif) << brand;
  }
  EXPECT_EQ(sniff(bytes_of("GIF87a....")).value(), Format::kGif);
  EXPECT_EQ(sniff(read_file("jpeg_420.jpg")).value(), Format::kJpeg);
  EXPECT_EQ(sniff(read_file("scene.png")).value(), Format::kPng);
  EXPECT_EQ(sniff(read_file("webp_lossy.webp")).value(), Format::kWebp);
}

TEST(Limits, EachRefusesWithPayloadTooLarge) {
  struct Expectation {
    const char* file;
    Limits limits;
    const char* message;
  };
  const Expectation table[] = {
      {"scene.png", {.max_bytes = 100}, "bytes; at most 100"},
      {"scene.png", {.max_pixels = 61 * 47 - 1}, "61 x 47"},
      {"scene.png", {.max_side = 60}, "at most 60 a side"},
      {"jpeg_420.jpg", {.max_pixels = 1000}, "85 x 67"},
      {"jpeg_420.jpg", {.max_side = 66}, "at most 66 a side"},
      {"webp_lossy.webp", {.max_side = 46}, "61 x 47"},
      {"apng_two_frames.png", {.max_frames = 1}, "2 frames"},
      {"webp_two_frames.webp", {.max_frames = 1}, "2 frames"},
      {"gif_animation.gif", {.max_frames = 2}, "3 frames"},
      {"avif_sequence.avif", {.max_frames = 1}, "2 frames"},
  };
  for (const auto& [file, limits, message] : table) {
    const auto bytes = read_file(file);
    const auto info = inspect(bytes, limits);
    ASSERT_FALSE(info.has_value()) << file;
    EXPECT_EQ(info.error().code, ErrorCode::kPayloadTooLarge);
    EXPECT_THAT(info.error().message, HasSubstr(message));
    const auto tensor = convert(bytes, {}, limits);
    ASSERT_FALSE(tensor.has_value()) << file;
    EXPECT_EQ(tensor.error().code, ErrorCode::kPayloadTooLarge);
  }
  EXPECT_TRUE(convert(read_file("scene.png"), {}, {.max_pixels = 61 * 47, .max_side = 61}));
}

TEST(Limits, NoTimeIsADeadlineExceeded) {
  for (const auto* file : {"jpeg_420.jpg", "jpeg_large_progressive.jpg", "scene.png",
                           "png_6_16_adam7.png", "webp_lossy.webp", "webp_lossless.webp",
                           "webp_single_animation.webp", "gif_interlaced.gif", "avif_420.avif"}) {
    const auto tensor = convert(read_file(file), {}, {.max_time = Duration::zero()});
    ASSERT_FALSE(tensor.has_value()) << file;
    EXPECT_EQ(tensor.error().code, ErrorCode::kDeadlineExceeded) << file;
  }
}

TEST(ToTensor, RefusesAnOutputOfAnotherSize) {
  Scratch scratch;
  std::vector<float> out(10);
  const auto done = to_tensor(read_file("scene.png"), {}, {}, std::span<float>(out), scratch);
  ASSERT_FALSE(done.has_value());
  EXPECT_EQ(done.error().code, ErrorCode::kInternal);
}

TEST(ToTensor, TellsWhereItsPixelsLieInThePicture) {
  const auto file = read_file("jpeg_orientation_6.jpg");
  const auto info = inspect(file, {}).value();
  for (const Resize resize :
       {Resize::kCropThenResize, Resize::kResizeThenCrop, Resize::kSquash, Resize::kLetterbox}) {
    for (const bool after : {false, true}) {
      const TensorSpec spec{.width = 40, .height = 24, .resize = resize, .pad_after = after};
      std::vector<float> out(element_count(spec));
      Scratch scratch;
      const auto geometry = to_tensor(file, spec, {}, std::span<float>(out), scratch).value();
      EXPECT_EQ(geometry.width, info.height);  // it is displayed upright
      EXPECT_EQ(geometry.height, info.width);
      if (resize == Resize::kLetterbox && after) {
        EXPECT_EQ(geometry.left, 0);
        EXPECT_EQ(geometry.top, 0);
        continue;
      }
      // Every other way keeps the middle in the middle, to a pixel.
      EXPECT_NEAR(geometry.left + geometry.scale_x * 20, geometry.width / 2.0, geometry.scale_x);
      EXPECT_NEAR(geometry.top + geometry.scale_y * 12, geometry.height / 2.0, geometry.scale_y);
      if (resize == Resize::kSquash) {
        EXPECT_EQ(geometry.left, 0);
        EXPECT_EQ(geometry.scale_x, geometry.width / 40.0);
      } else if (resize == Resize::kLetterbox) {
        EXPECT_LT(geometry.left, 0);  // padding
        EXPECT_NEAR(geometry.top, 0, geometry.scale_y);
      }
    }
  }
}

}  // namespace
}  // namespace podsense::image
