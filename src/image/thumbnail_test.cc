#include "image/thumbnail.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spng.h>

#include <cstdlib>
#include <memory>
#include <random>
#include <vector>

#include "image/test_files.h"

namespace podsense::image {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

/// A PNG of random pixels, which compress worst.
std::vector<std::byte> noise(std::uint32_t side) {
  std::mt19937 random(7);
  std::vector<std::uint8_t> rgb(std::size_t{3} * side * side);
  std::ranges::generate(rgb, [&] { return static_cast<std::uint8_t>(random()); });
  const std::unique_ptr<spng_ctx, decltype(&spng_ctx_free)> png(spng_ctx_new(SPNG_CTX_ENCODER),
                                                                &spng_ctx_free);
  spng_set_option(png.get(), SPNG_ENCODE_TO_BUFFER, 1);
  spng_ihdr header{
      .width = side, .height = side, .bit_depth = 8, .color_type = SPNG_COLOR_TYPE_TRUECOLOR};
  EXPECT_EQ(spng_set_ihdr(png.get(), &header), 0);
  EXPECT_EQ(
      spng_encode_image(png.get(), rgb.data(), rgb.size(), SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE), 0);
  std::size_t size = 0;
  int error = 0;
  const std::unique_ptr<void, decltype(&std::free)> file(
      spng_get_png_buffer(png.get(), &size, &error), &std::free);
  return bytes_of({static_cast<const char*>(file.get()), size});
}

Info info_of(const std::string& jpeg) {
  return inspect(std::as_bytes(std::span(jpeg)), {}).value();
}

std::vector<std::uint8_t> pixels(std::span<const std::byte> bytes, std::uint32_t width,
                                 std::uint32_t height) {
  const TensorSpec spec{.width = width,
                        .height = height,
                        .resize = Resize::kSquash,
                        .filter = Filter::kBilinear,
                        .layout = Layout::kNhwc};
  std::vector<std::uint8_t> out(element_count(spec));
  Scratch scratch;
  EXPECT_TRUE(to_tensor(bytes, spec, {}, std::span(out), scratch));
  return out;
}

TEST(Thumbnail, ShowsThePictureUprightAndSmall) {
  for (const char* name :
       {"jpeg_large_420.jpg", "jpeg_orientation_6.jpg", "jpeg_cmyk.jpg", "jpeg_gray.jpg",
        "scene.png", "tall.png", "png_6_16.png", "webp_two_frames.webp", "webp_orientation_6.webp",
        "gif_animation.gif", "avif_orientation_6.avif", "tiny_1x9.png", "tiny_200x3.png"}) {
    const auto file = read_file(name);
    Scratch scratch;
    const auto made = thumbnail(file, {}, scratch);
    ASSERT_TRUE(made) << name << ": " << made.error().message;
    EXPECT_LE(made->size(), kThumbnailBytes) << name;
    const Info whole = inspect(file, {}).value();
    const Info small = info_of(*made);
    EXPECT_EQ(small.format, Format::kJpeg) << name;
    EXPECT_EQ(small.orientation, 1) << name;
    const bool turned = whole.orientation > 4;
    const double width = turned ? whole.height : whole.width;
    const double height = turned ? whole.width : whole.height;
    EXPECT_LE(std::max(small.width, small.height), kThumbnailSide) << name;
    EXPECT_LE(small.width, width) << name;  // never enlarged
    EXPECT_NEAR(small.width / width, small.height / height, 1.0 / std::min(width, height)) << name;
    const auto wanted = pixels(file, small.width, small.height);
    const auto got = pixels(std::as_bytes(std::span(*made)), small.width, small.height);
    double off = 0;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      off += std::abs(wanted[i] - got[i]);
    }
    // Random pixels lose what is finer than JPEG keeps of colours.
    const double most = std::string_view(name).starts_with("tiny") ? 50 : 12;
    EXPECT_LT(off / static_cast<double>(wanted.size()), most) << name;
  }
}

TEST(Thumbnail, NothingOfTheFileComesThrough) {
  auto file = read_file("jpeg_orientation_6.jpg");
  const auto secret = bytes_of("<script>GPS 52.52 13.40</script>");
  // A comment behind the start of the file, and bytes behind its end.
  auto comment = bytes_of(std::string("\xFF\xFE\x00\x22", 4));
  comment.insert(comment.end(), secret.begin(), secret.end());
  file.insert(file.begin() + 2, comment.begin(), comment.end());
  file.insert(file.end(), secret.begin(), secret.end());
  Scratch scratch;
  const auto made = thumbnail(file, {}, scratch);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_THAT(*made, Not(HasSubstr("script")));
  EXPECT_THAT(*made, Not(HasSubstr("Exif")));
  EXPECT_THAT(*made, StartsWith("\xFF\xD8\xFF\xE0"));
}

TEST(Thumbnail, KeepsToItsBytesWhateverThePixels) {
  Scratch scratch;
  const auto made = thumbnail(noise(kThumbnailSide), {}, scratch);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_LE(made->size(), kThumbnailBytes);
}

TEST(Thumbnail, HasTheLimitsOfAnyPicture) {
  const auto file = read_file("jpeg_large_progressive.jpg");
  Scratch scratch;
  EXPECT_EQ(thumbnail(file, {.max_pixels = 100}, scratch).error().code,
            ErrorCode::kPayloadTooLarge);
  EXPECT_EQ(thumbnail(file, {.max_memory = 1000}, scratch).error().code,
            ErrorCode::kPayloadTooLarge);
  EXPECT_EQ(thumbnail(file, {.max_time = Duration(-1)}, scratch).error().code,
            ErrorCode::kDeadlineExceeded);
  EXPECT_EQ(thumbnail(std::span(file).first(file.size() / 2), {}, scratch).error().code,
            ErrorCode::kUnprocessable);
  EXPECT_EQ(thumbnail(bytes_of("<!doctype html>"), {}, scratch).error().code,
            ErrorCode::kUnsupportedMedia);
}

}  // namespace
}  // namespace podsense::image
