/// @source PNG specification (third edition): chunks, acTL, eXIf; libspng's API documentation

#include <spng.h>

#include <algorithm>
#include <array>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "image/decode.h"
#include "image/exif.h"
#include "image/png_text.h"

namespace podsense::image {
namespace {

constexpr std::string_view kName = "PNG";
constexpr std::size_t kSignature = 8;
constexpr std::size_t kChunkFrame = 12;  // length, type, CRC
constexpr std::uint32_t kRowsBetweenChecks = 64;

struct ContextDeleter {
  void operator()(spng_ctx* context) const { spng_ctx_free(context); }
};
using Context = std::unique_ptr<spng_ctx, ContextDeleter>;

tl::unexpected<Error> spng_error(int code) {
  if (code == SPNG_EMEM) {
    return fail(ErrorCode::kUnavailable, "not enough memory to decode this picture now");
  }
  if (code == SPNG_EBADSTATE) {  // after a chunk that libspng refused
    return corrupt(kName, "a chunk of it is corrupt");
  }
  return corrupt(kName, code == SPNG_IO_EOF ? "it is truncated" : spng_strerror(code));
}

/// The file as presented to libspng: only chunks that affect pixels, and our own end chunk. So
/// faults in other chunks (text, profiles, EXIF, the end chunk) do not make the picture fail.
class PixelChunks {
 public:
  explicit PixelChunks(Bytes bytes) : bytes_(bytes), left_(bytes.first(kSignature)) {
    next_ = kSignature;
  }

  /// libspng's read callback: exactly `size` bytes or an end of file.
  static int read(spng_ctx* /*context*/, void* user, void* to, std::size_t size) {
    return static_cast<PixelChunks*>(user)->read(static_cast<std::byte*>(to), size);
  }

  /// The picture is complete: provide no further data chunks after the current one.
  void finish() { finished_ = true; }
  /// Whether the file ends inside a chunk that libspng reads, so its checksum is missing.
  [[nodiscard]] bool cut() const { return cut_; }

 private:
  int read(std::byte* to, std::size_t size) {
    while (size > 0) {
      if (left_.empty()) {
        left_ = std::exchange(rest_, {});
      }
      if (left_.empty() && !advance()) {
        return SPNG_IO_EOF;
      }
      const std::size_t part = std::min(size, left_.size());
      std::copy_n(left_.begin(), part, to);
      left_ = left_.subspan(part);
      to += part;
      size -= part;
    }
    return SPNG_OK;
  }

  bool advance() {
    while (!ended_) {
      if (bytes_.size() - next_ < kChunkFrame || matches(bytes_, next_ + 4, "IEND")) {
        return end();
      }
      const std::size_t at = next_;
      const std::size_t length = be32(bytes_, at);
      const bool whole = length <= bytes_.size() - at - kChunkFrame;
      next_ = whole ? at + kChunkFrame + length : bytes_.size();
      if (!wanted(at)) {
        continue;
      }
      if (whole) {
        left_ = bytes_.subspan(at, next_ - at);
      } else {
        begin_cut(at, length);
      }
      return true;
    }
    return false;
  }

  /// Begins a truncated chunk, with its length set to the bytes that exist. Otherwise libspng would
  /// request the declared length and get nothing.
  void begin_cut(std::size_t at, std::size_t length) {
    cut_ = true;
    const Bytes body = bytes_.subspan(at + 8);
    rest_ = body.first(std::min(length, body.size()));
    for (std::size_t i = 0; i < 4; ++i) {
      cut_header_[i] = static_cast<std::byte>(rest_.size() >> (24 - 8 * i));
    }
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(at) + 4, 4, cut_header_.begin() + 4);
    left_ = cut_header_;
  }

  bool wanted(std::size_t at) {
    if (matches(bytes_, at + 4, "IDAT")) {
      data_ = true;
      return !finished_;
    }
    // png_header has checked that IHDR exists.
    const std::uint32_t colour = u8_at(bytes_, kSignature + 17);
    if (matches(bytes_, at + 4, "PLTE")) {  // only a suggestion if pixels are not indices
      return !data_ && colour == SPNG_COLOR_TYPE_INDEXED;
    }
    if (matches(bytes_, at + 4, "tRNS")) {  // not allowed if pixels have their own transparency
      return !data_ && (colour & 4U) == 0;
    }
    // Upper case means critical: libspng must refuse unknown critical chunks.
    return !data_ && (u8_at(bytes_, at + 4) & 0x20U) == 0;
  }

  bool end() {
    ended_ = true;
    if (!finished_) {
      return false;
    }
    static constexpr std::array<unsigned char, kChunkFrame> kEnd = {
        0, 0, 0, 0, 'I', 'E', 'N', 'D', 0xAE, 0x42, 0x60, 0x82};
    left_ = std::as_bytes(std::span(kEnd));
    return true;
  }

  Bytes bytes_;
  Bytes left_;  ///< rest of the current chunk
  Bytes rest_;  ///< bytes after the current chunk
  std::array<std::byte, 8> cut_header_{};
  std::size_t next_ = 0;
  bool data_ = false;
  bool finished_ = false;
  bool ended_ = false;
  bool cut_ = false;
};

Result<Context> open(PixelChunks& chunks, const Limits& limits) {
  Context context(spng_ctx_new(0));
  if (!context) {
    return spng_error(SPNG_EMEM);
  }
  const auto side = std::min<std::uint32_t>(limits.max_side, 0x7FFFFFFF);
  for (const int code : {spng_set_crc_action(context.get(), SPNG_CRC_ERROR, SPNG_CRC_ERROR),
                         spng_set_image_limits(context.get(), side, side),
                         spng_set_png_stream(context.get(), &PixelChunks::read, &chunks)}) {
    if (code != SPNG_OK) {
      return spng_error(code);
    }
  }
  return context;
}

/// The pixel format requested from libspng, and the conversions still needed.
struct Conversion {
  int format = SPNG_FMT_RGBA8;
  std::size_t bytes = 4;  ///< per delivered pixel
  bool alpha = false;
  bool gray = false;  ///< the pipeline needs grey but gets colours
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

/// Converts delivered pixels to the pipeline's format, in place.
void convert(std::uint8_t* row, std::size_t pixels, const Conversion& conversion) {
  if (conversion.alpha) {
    lay_over_white(row, pixels);
  }
  if (conversion.gray) {
    to_gray(row, pixels);
  }
}

tl::unexpected<Error> cut_off(const spng_row_info& at, const spng_ihdr& ihdr) {
  if (ihdr.interlace_method != 0) {
    return corrupt(kName,
                   "it is truncated in pass " + std::to_string(at.pass + 1) + " of 7 (interlaced)");
  }
  return truncated(kName, at.row_num, ihdr.height);
}

Result<void> read_rows(spng_ctx* context, const spng_ihdr& ihdr, const Conversion& conversion,
                       Pipeline& pipeline, Workspace& workspace, const Budget& budget) {
  const auto& region = pipeline.region();
  const bool interlaced = ihdr.interlace_method != 0;
  const std::size_t row_bytes = ihdr.width * conversion.bytes;
  // Interlaced rows are filled in several passes, so all rows are stored.
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
  spng_row_info info{};
  for (std::uint32_t n = 0; code == SPNG_OK; ++n) {
    if (n % kRowsBetweenChecks == 0 && budget.spent()) {
      return too_slow();
    }
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
  if (code == SPNG_IO_EOF || code == SPNG_EIDAT_TOO_SHORT) {
    return cut_off(info, ihdr);
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

// The maximum number of text chunks to read for an orientation, as each may need decompression.
constexpr int kMostTexts = 8;

bool is_text(Bytes bytes, std::size_t at) {
  return matches(bytes, at, "tEXt") || matches(bytes, at, "zTXt") || matches(bytes, at, "iTXt");
}

bool has_chunk(Bytes bytes, std::size_t at, std::string_view name) {
  while (bytes.size() - at >= kChunkFrame && !matches(bytes, at + 4, "IEND")) {
    if (matches(bytes, at + 4, name)) {
      return true;
    }
    const std::size_t length = be32(bytes, at);
    if (length > bytes.size() - at - kChunkFrame) {
      return false;
    }
    at += kChunkFrame + length;
  }
  return false;
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
  OrientationTags tags;
  int texts = 0;
  const bool has_exif = has_chunk(bytes, kIhdrEnd, "eXIf");
  for (std::size_t at = kIhdrEnd; bytes.size() - at >= kChunkFrame;) {
    const std::size_t length = be32(bytes, at);
    if (length > bytes.size() - at - kChunkFrame || matches(bytes, at + 4, "IEND")) {
      break;  // the decoder reports truncation
    }
    const Bytes body = bytes.subspan(at + 8, length);
    if (matches(bytes, at + 4, "acTL") && length >= 4) {
      header.info.frames = std::max(header.info.frames, be32(body, 0));
    } else if (matches(bytes, at + 4, "eXIf")) {
      tags.exif = exif_orientation(body);
    } else if (matches(bytes, at + 4, "tRNS")) {
      transparent = true;
    } else if (is_text(bytes, at + 4) && texts < kMostTexts) {
      texts += read_png_text(bytes.first(kIhdrEnd), bytes.subspan(at, kChunkFrame + length),
                             has_exif, tags)
                   ? 1
                   : 0;
    }
    at += kChunkFrame + length;
  }
  header.info.orientation = tags.orientation();
  header.gray = u8_at(bytes, kSignature + 17) == SPNG_COLOR_TYPE_GRAYSCALE && !transparent &&
                u8_at(bytes, kSignature + 16) <= 8;
  // Rows in libspng with up to 8 bytes per pixel; for interlaced pictures also the whole picture in
  // our buffer.
  const bool interlaced = u8_at(bytes, kSignature + 20) != 0;
  const std::uint64_t rows = interlaced ? header.info.height : 1;
  constexpr std::uint64_t kInflate = std::uint64_t{128} << 10U;
  header.info.decoder_bytes = header.info.width * (32 + 4 * rows) + kInflate;
  return header;
}

Result<void> decode_png(Bytes bytes, const Source& source, const Limits& limits, Pipeline& pipeline,
                        Workspace& workspace, const Budget& budget) {
  PixelChunks chunks(bytes);
  auto context = open(chunks, limits);
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
  // Read up to the data's checksum. A file that ends before it still has all pixels.
  chunks.finish();
  if (const int code = spng_decode_chunks(context->get()); code != SPNG_OK && code != SPNG_IO_EOF) {
    return spng_error(chunks.cut() ? SPNG_IO_EOF : code);
  }
  return {};
}

}  // namespace podsense::image
