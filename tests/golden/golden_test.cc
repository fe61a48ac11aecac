/// Real photographs, our tensors against Pillow's. The folder is made by
/// tests/golden/make_golden.sh; without it these tests fail: a comparison that silently did not
/// happen is worth nothing.

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "image/image.h"

namespace podsense::image {
namespace {

constexpr TensorSpec kReference{.width = 224,
                                .height = 224,
                                .resize = Resize::kCropThenResize,
                                .crop_fraction = 0.875,
                                .filter = Filter::kBicubic,
                                .channels = Channels::kRgb,
                                .layout = Layout::kNhwc};

struct Photo {
  std::string name;
  std::string kind;
  std::vector<std::uint8_t> bytes;
  std::vector<std::uint8_t> tensor;
};

std::filesystem::path golden_dir() {
  const char* const set = std::getenv("PODSENSE_GOLDEN_DIR");  // NOLINT(concurrency-mt-unsafe)
  return set != nullptr && *set != '\0' ? set : PODSENSE_GOLDEN_DIR;
}

std::vector<std::uint8_t> read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << "cannot read " << path;
  std::ostringstream content;
  content << file.rdbuf();
  const auto text = std::move(content).str();
  return {text.begin(), text.end()};
}

const std::vector<Photo>& photos() {
  static const std::vector<Photo> all = [] {
    std::vector<Photo> read;
    std::ifstream file(golden_dir() / "golden.json");
    const auto manifest = nlohmann::json::parse(file, nullptr, false);
    if (!manifest.is_discarded()) {
      for (const auto& entry : manifest.value("photos", nlohmann::json::array())) {
        read.push_back({.name = entry.value("name", ""),
                        .kind = entry.value("kind", ""),
                        .bytes = read_file(golden_dir() / entry.value("file", "")),
                        .tensor = read_file(golden_dir() / entry.value("tensor", ""))});
      }
    }
    return read;
  }();
  return all;
}

struct Agreement {
  int most = 0;       ///< largest difference of a byte
  double mean = 0;    ///< mean difference
  double differ = 0;  ///< share of bytes that differ
};

Agreement compare(const Photo& photo, bool scaled_decoding) {
  TensorSpec spec = kReference;
  spec.scaled_decoding = scaled_decoding;
  Scratch scratch;
  std::vector<std::uint8_t> tensor(element_count(spec));
  // time without end: a debug or sanitizer build on a busy machine
  const Limits limits{.max_bytes = 64U << 20U, .max_time = std::chrono::hours(1)};
  const auto done = to_tensor(std::as_bytes(std::span(photo.bytes)), spec, limits,
                              std::span<std::uint8_t>(tensor), scratch);
  EXPECT_TRUE(done.has_value()) << photo.name << ": " << (done ? "" : done.error().message);
  EXPECT_EQ(tensor.size(), photo.tensor.size()) << photo.name;
  Agreement a;
  for (std::size_t i = 0; i < std::min(tensor.size(), photo.tensor.size()); ++i) {
    const int d = std::abs(int{tensor[i]} - int{photo.tensor[i]});
    a.most = std::max(a.most, d);
    a.mean += d;
    a.differ += d != 0 ? 1 : 0;
  }
  a.mean /= static_cast<double>(tensor.size());
  a.differ /= static_cast<double>(tensor.size());
  return a;
}

bool is_png(const Photo& photo) {
  return photo.bytes.size() > 1 && photo.bytes[1] == 'P';
}

class Golden : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_FALSE(photos().empty())
        << "no golden set in " << golden_dir() << ": run tests/golden/make_golden.sh";
  }
};

TEST_F(Golden, PngGivesPillowsTensorToTheByte) {
  int compared = 0;
  for (const auto& photo : photos()) {
    if (is_png(photo)) {
      const auto a = compare(photo, true);
      EXPECT_EQ(a.most, 0) << photo.name << ": " << a.differ * 100 << " % differ";
      ++compared;
    }
  }
  EXPECT_GE(compared, 20);
}

// The decoders are two versions of libjpeg-turbo, which may round a colour by one; resampling can
// add one more. With the same version the tensors are equal.
TEST_F(Golden, JpegDecodedInFullIsWithinTwoOfPillow) {
  int compared = 0;
  int equal = 0;
  for (const auto& photo : photos()) {
    if (!is_png(photo)) {
      const auto a = compare(photo, false);
      EXPECT_LE(a.most, 2) << photo.kind << " " << photo.name << ", mean " << a.mean;
      equal += a.most == 0 ? 1 : 0;
      ++compared;
    }
  }
  std::printf("full decode: %d of %d JPEGs equal to the byte\n", equal, compared);
  EXPECT_GE(compared, 40);
}

// A reduced decode averages 2x2, 4x4 or 8x8 blocks, and the bicubic filter then has less to reduce:
// at a crop of 448 for a target of 224 nothing, so the picture is as soft as the averaging makes
// it. On edges single bytes differ by tens; the mean stays within a few of 256 levels, less for
// large pictures. Top-1 of the fp32 reference model agreed on all 50 JPEGs, of the int8 one on 49
// (the other was a near tie).
TEST_F(Golden, JpegDecodedReducedStaysClose) {
  std::printf("%-28s %-6s %6s %8s %8s\n", "photo", "kind", "most", "mean", "differ");
  for (const auto& photo : photos()) {
    if (!is_png(photo)) {
      const auto a = compare(photo, true);
      EXPECT_LE(a.mean, photo.kind == "large" ? 3.5 : 6.0)
          << photo.kind << " " << photo.name << ", most " << a.most;
      std::printf("%-28s %-6s %6d %8.3f %7.1f%%\n", photo.name.c_str(), photo.kind.c_str(), a.most,
                  a.mean, a.differ * 100);
    }
  }
}

/// The pictures of the manifest's list `list` against what Pillow shows of each.
void compare_with_shown(const char* list, std::size_t least) {
  std::ifstream file(golden_dir() / "golden.json");
  const auto manifest = nlohmann::json::parse(file, nullptr, false);
  ASSERT_FALSE(manifest.is_discarded()) << "run tests/golden/make_golden.sh";
  const auto entries = manifest.value(list, nlohmann::json::array());
  ASSERT_GE(entries.size(), least);
  const auto shown = read_file(golden_dir() / (std::string(list) + ".u8"));
  std::size_t at = 0;
  Scratch scratch;
  for (const auto& entry : entries) {
    const auto name = entry.value("name", "");
    const auto bytes = read_file(golden_dir() / entry.value("file", ""));
    const TensorSpec spec{.width = entry.value("width", 0U),
                          .height = entry.value("height", 0U),
                          .resize = Resize::kSquash,
                          .layout = Layout::kNhwc};
    std::vector<std::uint8_t> tensor(element_count(spec));
    const auto done = to_tensor(std::as_bytes(std::span(bytes)), spec, {},
                                std::span<std::uint8_t>(tensor), scratch);
    ASSERT_TRUE(done.has_value()) << name << ": " << done.error().message;
    ASSERT_LE(at + tensor.size(), shown.size());
    // Of JPEG and AVIF the decoders' versions differ.
    const int tolerance = name.starts_with("jpg") || name.starts_with("avif") ? 2 : 0;
    int most = 0;
    for (std::size_t i = 0; i < tensor.size(); ++i) {
      most = std::max(most, std::abs(int{tensor[i]} - int{shown[at + i]}));
    }
    EXPECT_LE(most, tolerance) << name;
    at += tensor.size();
  }
  EXPECT_EQ(at, shown.size());
}

/// Every place where a file can say which way up it is, for each of the eight orientations: our
/// picture against that of Pillow's ImageOps.exif_transpose.
TEST(GoldenOrientation, EveryPlaceIsReadAsPillowReadsIt) {
  compare_with_shown("orientation", 8 * 3);
}

TEST(GoldenFormats, FirstFramesOfGifAndAvifAreThoseOfPillow) {
  compare_with_shown("formats", 60);
}

}  // namespace
}  // namespace podsense::image
