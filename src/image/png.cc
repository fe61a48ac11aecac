/// @source PNG specification (third edition): chunks, acTL, eXIf; libspng's API documentation

#include <spng.h>

#include <algorithm>
#include <memory>

#include "image/decode.h"
#include "image/exif.h"

namespace podsense::image {
namespace {

constexpr std::string_view kName = "PNG";
constexpr std::size_t kSignature = 8;
constexpr std::size_t kChunkFrame = 12;  // length, type, CRC
// Metadata that libspng keeps (text, profiles), inflated. Beyond it the file is refused.
constexpr std::size_t kMetadataLimit = std::size_t{16} << 20U;
constexpr std::uint32_t kRowsBetweenChecks = 64;

struct ContextDeleter {
  void operator()(spng_ctx* context) const { spng_ctx_free(context); }
};
using Context = std::unique_ptr<spng_ctx, ContextDeleter>;

tl::unexpected<Error> spng_error(int code) {
  if (code == SPNG_EMEM) {
    return fail(ErrorCode::kUnavailable, "not enough memory to decode this picture now");
  }
  if (code == SPNG_EBADSTATE) {  // after a chunk that spng had refused
    return corrupt(kName, "a chunk of it is corrupt");
  }
  return corrupt(kName, code == SPNG_IO_EOF ? "it is truncated" : spng_strerror(code));
}

Result<Context> open(Bytes bytes, const Limits& limits) {
  Context context(spng_ctx_new(0));
  if (!context) {
    return spng_error(SPNG_EMEM);
  }
  const auto side = std::min<std::uint32_t>(limits.max_side, 0x7FFFFFFF);
  for (const int code : {spng_set_crc_action(context.get(), SPNG_CRC_ERROR, SPNG_CRC_ERROR),
                         spng_set_image_limits(context.get(), side, side),
                         spng_set_chunk_limits(context.get(), kMetadataLimit, kMetadataLimit),
                         spng_set_png_buffer(context.get(), bytes.data(), bytes.size())}) {
    if (code != SPNG_OK) {
      return spng_error(code);
    }
  }
  return context;
}

/// How libspng is asked to deliver pixels, and what each row still needs.
struct Conversion {
  int format = SPNG_FMT_RGBA8;
  std::size_t bytes = 4;  ///< of a delivered pixel
  bool alpha = false;
  bool gray = false;  ///< the pipeline wants grey and gets colours
};

Conversion conversion_of(spng_ctx* context, const spng_ihdr& ihdr, Pixels wanted) {
  spng_trns trns{};
  const bool transparent = spng_get_trns(context, &trns) == SPNG_OK;
  if (ihdr.color_type == SPNG_COLOR_TYPE_GRAYSCALE && ihdr.bit_depth <= 8 && !transparent &&
      wanted == Pixels::kGray) {
    return {.format = SPNG_FMT_G8, .bytes = 1};
  }
  return {.alpha = transparent || (ihdr.color_type & 4U) != 0, .gray = wanted == Pixels::kGray};
}

/// From delivered pixels to the pipeline's, in place.
void convert(std::uint8_t* row, std::size_t pixels, const Conversion& conversion) {
  if (conversion.alpha) {
    lay_over_white(row, pixels);
  }
  if (conversion.gray) {
    to_gray(row, pixels);
  }
}

Result<void> read_rows(spng_ctx* context, const spng_ihdr& ihdr, const Conversion& conversion,
                       Pipeline& pipeline, Workspace& workspace, const Budget& budget) {
  const auto& region = pipeline.region();
  const bool interlaced = ihdr.interlace_method != 0;
  const std::size_t row_bytes = ihdr.width * conversion.bytes;
  // Interlaced rows are filled pass by pass, so all are held.
  Buffer<std::uint8_t> all;
  std::uint8_t* const rows = interlaced ? all.reserve(row_bytes * ihdr.height + kRowPadding)
                                        : workspace.line.reserve(row_bytes + kRowPadding);
  const auto deliver = [&](std::uint32_t y, std::uint8_t* row) {
    if (y >= region.y && y - region.y < region.height) {
      std::uint8_t* const first = row + region.x * conversion.bytes;
      convert(first, region.width, conversion);
      pipeline.row(y - region.y, first);
    }
  };
  int code = SPNG_OK;
  for (std::uint32_t n = 0; code == SPNG_OK; ++n) {
    if (n % kRowsBetweenChecks == 0 && budget.spent()) {
      return too_slow();
    }
    spng_row_info info{};
    code = spng_get_row_info(context, &info);
    if (code != SPNG_OK) {
      break;
    }
    std::uint8_t* const row = rows + (interlaced ? info.row_num * row_bytes : 0);
    code = spng_decode_row(context, row, row_bytes);
    if (!interlaced && (code == SPNG_OK || code == SPNG_EOI)) {
      deliver(info.row_num, row);
    }
  }
  if (code != SPNG_EOI) {
    return spng_error(code);
  }
  if (interlaced) {
    for (std::uint32_t y = 0; y < region.height; ++y) {
      deliver(region.y + y, rows + (region.y + y) * row_bytes);
    }
  }
  return {};
}

}  // namespace

Result<Header> png_header(Bytes bytes) {
  constexpr std::size_t kIhdrEnd = kSignature + kChunkFrame + 13;
  if (bytes.size() < kIhdrEnd || !matches(bytes, kSignature + 4, "IHDR") ||
      be32(bytes, kSignature) != 13) {
    return corrupt(kName, "it does not begin with a whole IHDR chunk");
  }
  Header header{.info = {.format = Format::kPng}};
  header.info.width = be32(bytes, kSignature + 8);
  header.info.height = be32(bytes, kSignature + 12);
  bool transparent = false;
  for (std::size_t at = kIhdrEnd; bytes.size() - at >= kChunkFrame;) {
    const std::size_t length = be32(bytes, at);
    if (length > bytes.size() - at - kChunkFrame || matches(bytes, at + 4, "IEND")) {
      break;  // the decoder tells truncation
    }
    const Bytes body = bytes.subspan(at + 8, length);
    if (matches(bytes, at + 4, "acTL") && length >= 4) {
      header.info.frames = std::max(header.info.frames, be32(body, 0));
    } else if (matches(bytes, at + 4, "eXIf")) {
      header.info.orientation = exif_orientation(body);
    } else if (matches(bytes, at + 4, "tRNS")) {
      transparent = true;
    }
    at += kChunkFrame + length;
  }
  header.gray = u8_at(bytes, kSignature + 17) == SPNG_COLOR_TYPE_GRAYSCALE && !transparent &&
                u8_at(bytes, kSignature + 16) <= 8;
  // Rows in libspng, of up to 8 bytes a pixel; interlaced, the whole picture in ours.
  const bool interlaced = u8_at(bytes, kSignature + 20) != 0;
  const std::uint64_t rows = interlaced ? header.info.height : 1;
  header.info.decoder_bytes = header.info.width * (32 + 4 * rows) + kMetadataLimit;
  return header;
}

Result<void> decode_png(Bytes bytes, const Source& source, const Limits& limits, Pipeline& pipeline,
                        Workspace& workspace, const Budget& budget) {
  auto context = open(bytes, limits);
  if (!context) {
    return fail(std::move(context.error()));
  }
  spng_ihdr ihdr{};
  if (const int code = spng_get_ihdr(context->get(), &ihdr); code != SPNG_OK) {
    return spng_error(code);
  }
  if (ihdr.width != source.info.width || ihdr.height != source.info.height) {
    return corrupt(kName, "its headers contradict each other");
  }
  const auto conversion = conversion_of(context->get(), ihdr, pipeline.pixels());
  if (const int code = spng_decode_image(context->get(), nullptr, 0, conversion.format,
                                         SPNG_DECODE_TRNS | SPNG_DECODE_PROGRESSIVE);
      code != SPNG_OK) {
    return spng_error(code);
  }
  if (auto done = read_rows(context->get(), ihdr, conversion, pipeline, workspace, budget); !done) {
    return done;
  }
  // To the end of the file: a checksum that fails there is an error like any other.
  if (const int code = spng_decode_chunks(context->get()); code != SPNG_OK) {
    return spng_error(code);
  }
  return {};
}

}  // namespace podsense::image
