/// Decodes the primary picture of an AVIF file, or the first of a sequence. libavif parses the
/// container and dav1d decodes, only on the calling thread. No other decoder is used.
/// @source libavif's avif.h; ISO/IEC 14496-12 (boxes); Pillow AvifImagePlugin (orientation)

#include <avif/avif.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>

#include "image/decode.h"
#include "image/exif.h"

namespace podsense::image {
namespace {

constexpr std::string_view kName = "AVIF";
constexpr std::size_t kBoxHeader = 8;

// libavif searches items linearly, which takes quadratic time, and allocates memory for each.
// Ordinary pictures have a few items, tiled ones some hundreds.
constexpr std::size_t kMaxList = std::size_t{64} << 10U;
constexpr std::size_t kMaxMovie = std::size_t{128} << 10U;
constexpr std::size_t kMaxProperties = 2048;

struct Box {
  std::string_view type;
  Bytes body;
};

/// Reads the box at `at` and moves `at` past it; nothing: the end, or an invalid length.
std::optional<Box> next_box(Bytes bytes, std::size_t& at) {
  if (bytes.size() - at < kBoxHeader) {
    return std::nullopt;
  }
  std::uint64_t length = be32(bytes, at);
  std::size_t header = kBoxHeader;
  if (length == 1 && bytes.size() - at >= 2 * kBoxHeader) {
    length = std::uint64_t{be32(bytes, at + 8)} << 32U | be32(bytes, at + 12);
    header = 2 * kBoxHeader;
  } else if (length == 0) {
    length = bytes.size() - at;
  }
  if (length < header) {
    return std::nullopt;
  }
  const std::size_t end =
      at + static_cast<std::size_t>(std::min<std::uint64_t>(length, bytes.size() - at));
  const auto* const name = static_cast<const char*>(static_cast<const void*>(&bytes[at + 4]));
  const Box box{.type = {name, 4}, .body = bytes.subspan(at + header, end - at - header)};
  at = end;
  return box;
}

std::size_t count_boxes(Bytes bytes) {
  std::size_t at = 0;
  std::size_t count = 0;
  while (next_box(bytes, at)) {
    ++count;
  }
  return count;
}

/// Whether the lists have a plausible length for a picture.
bool is_reasonable(Bytes meta) {
  std::size_t at = 4;  // after version and flags
  while (meta.size() >= at) {
    const auto box = next_box(meta, at);
    if (!box) {
      return true;
    }
    if (box->type == "iprp") {
      std::size_t inner = 0;
      while (const auto part = next_box(box->body, inner)) {
        const bool good = part->type == "ipco" ? count_boxes(part->body) <= kMaxProperties
                                               : part->body.size() <= kMaxList;
        if (!good) {
          return false;
        }
      }
    } else if (box->type != "idat" && box->body.size() > kMaxList) {
      return false;
    }
  }
  return true;
}

bool lists_are_reasonable(Bytes bytes) {
  std::size_t at = 0;
  while (const auto box = next_box(bytes, at)) {
    if ((box->type == "meta" && !is_reasonable(box->body)) ||
        (box->type == "moov" && box->body.size() > kMaxMovie)) {
      return false;
    }
  }
  return true;
}

struct DecoderDeleter {
  void operator()(avifDecoder* decoder) const { avifDecoderDestroy(decoder); }
};
using Decoder = std::unique_ptr<avifDecoder, DecoderDeleter>;

tl::unexpected<Error> avif_error(avifResult code) {
  if (code == AVIF_RESULT_OUT_OF_MEMORY) {
    return fail(ErrorCode::kUnavailable, "not enough memory to decode this picture now");
  }
  if (code == AVIF_RESULT_NO_CODEC_AVAILABLE) {
    return fail(ErrorCode::kInternal, "AVIF decoding is not available", "libavif without dav1d");
  }
  return corrupt(kName, avifResultToString(code));
}

/// Parses the file up to the picture's data.
Result<Decoder> open(Bytes bytes) {
  if (!lists_are_reasonable(bytes)) {
    return corrupt(kName, "its lists of items are longer than any picture needs");
  }
  Decoder decoder(avifDecoderCreate());
  if (!decoder) {
    return avif_error(AVIF_RESULT_OUT_OF_MEMORY);
  }
  decoder->codecChoice = AVIF_CODEC_CHOICE_DAV1D;
  decoder->maxThreads = 1;
  decoder->strictFlags = AVIF_STRICT_DISABLED;  // programs omit items that affect no pixel
  const auto* const data = static_cast<const std::uint8_t*>(static_cast<const void*>(bytes.data()));
  auto code = avifDecoderSetIOMemory(decoder.get(), data, bytes.size());
  if (code == AVIF_RESULT_OK) {
    code = avifDecoderParse(decoder.get());
  }
  if (code != AVIF_RESULT_OK) {
    if (code == AVIF_RESULT_TRUNCATED_DATA || code == AVIF_RESULT_BMFF_PARSE_FAILED) {
      return corrupt(kName, "its header is truncated or corrupt");
    }
    return avif_error(code);
  }
  return decoder;
}

bool mirrors_sides(const avifImageMirror& mirror) {
#if AVIF_VERSION_MAJOR >= 1
  return mirror.axis != 0;
#else
  return mirror.mode != 0;
#endif
}

/// The container's rotation and mirroring as an EXIF orientation.
int container_orientation(const avifImage& image) {
  const bool mirrored = (image.transformFlags & AVIF_TRANSFORM_IMIR) != 0;
  const bool sides = mirrored && mirrors_sides(image.imir);
  const unsigned angle =
      (image.transformFlags & AVIF_TRANSFORM_IROT) != 0 ? image.irot.angle & 3U : 0;
  if (!mirrored) {
    constexpr std::array<int, 4> kRotated{1, 8, 3, 6};
    return kRotated.at(angle);
  }
  constexpr std::array<int, 4> kSides{2, 7, 4, 5};
  constexpr std::array<int, 4> kUpright{4, 5, 2, 7};
  return sides ? kSides.at(angle) : kUpright.at(angle);
}

Bytes bytes_of(const avifRWData& data) {
  return std::as_bytes(std::span(data.data, data.size));
}

/// The container has priority over EXIF; XMP is used if neither has an orientation.
int orientation_in(const avifImage& image) {
  const int own = container_orientation(image);
  if (own != 1 || exif_orientation(bytes_of(image.exif))) {
    return own;
  }
  return xmp_orientation(bytes_of(image.xmp)).value_or(1);
}

/// The memory of dav1d's picture, a second copy for tiles or film grain, and the returned pixels.
std::uint64_t memory_of(const avifDecoder& decoder) {
  const avifImage& image = *decoder.image;
  const std::uint64_t pixels = std::uint64_t{image.width} * image.height;
  const std::uint64_t sample = image.depth > 8 ? 2 : 1;
  // Samples of all planes per two pixels.
  const std::uint64_t planes = image.yuvFormat == AVIF_PIXEL_FORMAT_YUV444   ? 6
                               : image.yuvFormat == AVIF_PIXEL_FORMAT_YUV422 ? 4
                               : image.yuvFormat == AVIF_PIXEL_FORMAT_YUV400 ? 2
                                                                             : 3;
  const std::uint64_t alpha = decoder.alphaPresent != 0 ? 2 : 0;
  constexpr std::uint64_t kDav1d = std::uint64_t{8} << 20U;
  return pixels * sample * (planes + alpha) + pixels * 4 + kDav1d;
}

Result<void> decode_first(avifDecoder& decoder, Bytes bytes, const Budget& budget) {
  if (budget.spent()) {
    return too_slow();
  }
  const auto code = avifDecoderNextImage(&decoder);
  if (budget.spent()) {
    return too_slow();
  }
  if (code == AVIF_RESULT_OK) {
    return {};
  }
  avifExtent extent{};
  if (avifDecoderNthImageMaxExtent(&decoder, 0, &extent) == AVIF_RESULT_OK &&
      extent.offset + extent.size > bytes.size()) {
    const auto there = bytes.size() - std::min<std::uint64_t>(bytes.size(), extent.offset);
    return corrupt(kName, "it is truncated: " + std::to_string(there) + " of the " +
                              std::to_string(extent.size) + " bytes of its picture are there");
  }
  return avif_error(code);
}

}  // namespace

Result<Header> avif_header(Bytes bytes) {
  const auto decoder = open(bytes);
  if (!decoder) {
    return fail(decoder.error());
  }
  const avifImage& image = *(*decoder)->image;
  Header header{.info = {.format = Format::kAvif,
                         .width = image.width,
                         .height = image.height,
                         .frames = static_cast<std::uint32_t>(std::max(1, (*decoder)->imageCount)),
                         .orientation = orientation_in(image),
                         .decoder_bytes = memory_of(**decoder)}};
  return header;
}

// dav1d decodes a picture in one call, so the time is checked only before and after.
Result<void> decode_avif(Bytes bytes, Pipeline& pipeline, Workspace& workspace,
                         const Budget& budget) {
  const auto decoder = open(bytes);
  if (!decoder) {
    return fail(decoder.error());
  }
  const avifImage& image = *(*decoder)->image;
  const std::uint32_t width = image.width;
  const std::uint32_t height = image.height;
  (*decoder)->imageSizeLimit = std::max(1U, width * height);
  if (auto done = decode_first(**decoder, bytes, budget); !done) {
    return done;
  }
  if (image.width != width || image.height != height) {
    return corrupt(kName, "its headers contradict each other");
  }
  avifRGBImage rgb{};
  avifRGBImageSetDefaults(&rgb, &image);
  rgb.depth = 8;
  rgb.format = AVIF_RGB_FORMAT_RGBA;
  rgb.rowBytes = width * 4;
  Buffer<std::uint8_t> pixels;
  rgb.pixels = pixels.reserve(std::size_t{rgb.rowBytes} * height + kRowPadding);
  if (const auto code = avifImageYUVToRGB(&image, &rgb); code != AVIF_RESULT_OK) {
    return avif_error(code);
  }
  const auto& region = pipeline.region();
  std::uint8_t* const row = workspace.line.reserve(std::size_t{region.width} * 4 + kRowPadding);
  for (std::uint32_t y = 0; y < region.height; ++y) {
    std::copy_n(rgb.pixels + std::size_t{region.y + y} * rgb.rowBytes + std::size_t{region.x} * 4,
                std::size_t{region.width} * 4, row);
    lay_over_white(row, region.width);
    if (pipeline.pixels() == Pixels::kGray) {
      to_gray(row, region.width);
    }
    pipeline.row(y, row);
  }
  return {};
}

}  // namespace podsense::image
