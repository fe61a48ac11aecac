/// @source WebP container specification (RIFF, VP8X, ANIM, ANMF, EXIF); libwebp's API headers

#include <webp/decode.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "image/decode.h"
#include "image/exif.h"

namespace podsense::image {
namespace {

constexpr std::string_view kName = "WebP";
constexpr std::size_t kRiffHeader = 12;
constexpr std::size_t kChunkHeader = 8;
constexpr std::size_t kFeedStep = std::size_t{64} << 10U;

const std::uint8_t* as_u8(Bytes bytes) {
  return static_cast<const std::uint8_t*>(static_cast<const void*>(bytes.data()));
}

/// The first picture of the file: its chunks (ALPH, then VP8 or VP8L), and its position on the
/// canvas.
struct Frame {
  Bytes chunks;
  Region place;
  bool cut = false;  ///< the file ends inside the picture's data
};

struct Parsed {
  Header header;
  Frame frame;
};

bool is_picture(Bytes bytes, std::size_t at) {
  return matches(bytes, at, "VP8 ") || matches(bytes, at, "VP8L") || matches(bytes, at, "ALPH");
}

/// The bytes from the first picture chunk of `chunks` on; empty: none.
Bytes picture_of(Bytes chunks) {
  for (std::size_t at = 0; chunks.size() - at >= kChunkHeader;) {
    if (is_picture(chunks, at)) {
      return chunks.subspan(at);
    }
    const std::size_t length = le32(chunks, at + 4);
    const std::size_t padded = length + (length & 1U);
    if (padded > chunks.size() - at - kChunkHeader) {
      break;
    }
    at += kChunkHeader + padded;
  }
  return {};
}

/// Whether the file ends inside the chunks ALPH and VP8 or VP8L.
bool is_cut(Bytes picture) {
  for (std::size_t at = 0; picture.size() - at >= kChunkHeader && is_picture(picture, at);) {
    const bool last = !matches(picture, at, "ALPH");
    const std::size_t length = le32(picture, at + 4);
    if (length > picture.size() - at - kChunkHeader) {
      return true;
    }
    if (last) {
      return false;
    }
    at += kChunkHeader + std::min(length + (length & 1U), picture.size() - at - kChunkHeader);
  }
  return true;
}

/// An animation's frame: position, duration and flags, then its chunks. @source ANMF chunk
constexpr std::size_t kFrameHeader = 16;
Frame frame_of(Bytes body) {
  return {.chunks = picture_of(body.subspan(kFrameHeader)),
          .place = {2 * le24(body, 0), 2 * le24(body, 3), le24(body, 6) + 1, le24(body, 9) + 1}};
}

/// Extended files: canvas, frames and orientation are in chunks.
Parsed parse_extended(Bytes riff) {
  Parsed parsed{.header = {.info = {.format = Format::kWebp}}};
  auto& info = parsed.header.info;
  constexpr std::size_t kCanvas = kRiffHeader + kChunkHeader + 4;
  if (riff.size() < kCanvas + 6) {
    return parsed;
  }
  info.width = le24(riff, kCanvas) + 1;
  info.height = le24(riff, kCanvas + 3) + 1;
  // Ignore chunks that the header does not announce, as libwebp does.
  const std::uint32_t flags = u8_at(riff, kRiffHeader + kChunkHeader);
  const bool has_exif = (flags & 8U) != 0;
  const bool has_xmp = (flags & 4U) != 0;
  parsed.header.animated = (flags & 2U) != 0;
  std::uint32_t frames = 0;
  OrientationTags tags;
  for (std::size_t at = kRiffHeader; riff.size() - at >= kChunkHeader;) {
    const std::size_t length = le32(riff, at + 4);
    const std::size_t room = riff.size() - at - kChunkHeader;
    const Bytes body = riff.subspan(at + kChunkHeader, std::min(length, room));
    if (matches(riff, at, "ANMF")) {
      if (frames++ == 0 && body.size() >= kFrameHeader) {
        parsed.frame = frame_of(body);
      }
    } else if (!parsed.header.animated && parsed.frame.chunks.empty() && is_picture(riff, at)) {
      parsed.frame = {.chunks = riff.subspan(at), .place = {0, 0, info.width, info.height}};
    } else if (has_exif && matches(riff, at, "EXIF") && !tags.exif) {
      tags.exif = exif_orientation(body);
    } else if (has_xmp && matches(riff, at, "XMP ") && !tags.xmp) {
      tags.xmp = xmp_orientation(body);
    }
    const std::size_t padded = length + (length & 1U);
    if (padded > room) {
      break;
    }
    at += kChunkHeader + padded;
  }
  info.orientation = tags.orientation();
  if (parsed.header.animated) {
    info.frames = std::max(1U, frames);
  }
  return parsed;
}

/// libwebp's memory for a picture: all returned pixels, plus internal pixels for lossless pictures,
/// or the transparency for others.
std::uint64_t memory_of(const Frame& frame, const WebPBitstreamFeatures& features) {
  const std::uint64_t pixels = std::uint64_t{frame.place.width} * frame.place.height;
  constexpr int kLossy = 1;
  const std::uint64_t inner = features.format != kLossy ? 4U : features.has_alpha != 0 ? 5U : 0U;
  return pixels * (4 + inner) + std::uint64_t{frame.place.width} * 64 + (std::uint64_t{256} << 10U);
}

/// Reads the picture's own header. A simple file takes its size from it; in an extended file the
/// sizes must match.
Result<void> read_picture(Parsed& parsed, bool extended) {
  auto& info = parsed.header.info;
  auto& frame = parsed.frame;
  WebPBitstreamFeatures features{};
  if (frame.chunks.empty() ||
      WebPGetFeatures(as_u8(frame.chunks), frame.chunks.size(), &features) != VP8_STATUS_OK) {
    return corrupt(kName, "its header is truncated or corrupt");
  }
  const auto width = static_cast<std::uint32_t>(features.width);
  const auto height = static_cast<std::uint32_t>(features.height);
  if (!extended) {
    info.width = width;
    info.height = height;
    frame.place = {0, 0, width, height};
  }
  const auto& place = frame.place;
  if (place.width != width || place.height != height || place.x + width > info.width ||
      place.y + height > info.height) {
    return corrupt(kName, "its headers contradict each other");
  }
  frame.cut = is_cut(frame.chunks);
  info.decoder_bytes = memory_of(frame, features);
  return {};
}

Result<Parsed> parse(Bytes bytes) {
  if (bytes.size() < kRiffHeader + kChunkHeader) {
    return corrupt(kName, "it is truncated");
  }
  // The declared file length is not trusted: a truncated picture is detected by its chunk. Programs
  // that write to a pipe leave it 0.
  const std::uint64_t declared = le32(bytes, 4) + 8ULL;
  const Bytes riff = declared < kRiffHeader + kChunkHeader || declared > bytes.size()
                         ? bytes
                         : bytes.first(declared);
  const bool extended = matches(riff, kRiffHeader, "VP8X");
  Parsed parsed = extended ? parse_extended(riff) : Parsed{};
  parsed.header.info.format = Format::kWebp;
  if (!extended) {
    parsed.frame.chunks = picture_of(riff.subspan(kRiffHeader));
  }
  if (auto read = read_picture(parsed, extended); !read) {
    parsed.header.fault = std::move(read.error());
  }
  return parsed;
}

struct ConfigBuffer {
  WebPDecoderConfig config{};
  bool ready = WebPInitDecoderConfig(&config) != 0;
  ConfigBuffer() = default;
  ConfigBuffer(const ConfigBuffer&) = delete;
  ConfigBuffer& operator=(const ConfigBuffer&) = delete;
  ~ConfigBuffer() { WebPFreeDecBuffer(&config.output); }
};

struct DecoderDeleter {
  void operator()(WebPIDecoder* decoder) const { WebPIDelete(decoder); }
};

/// The part of the picture that is decoded, on the canvas.
struct Window {
  Region region;
  const std::uint8_t* rgba = nullptr;
  std::size_t stride = 0;
};

/// Passes rows to the pipeline: the window's pixels, and white outside of it.
void deliver(const Window& window, Pipeline& pipeline, Buffer<std::uint8_t>& line) {
  const auto& wanted = pipeline.region();
  const auto& have = window.region;
  const std::size_t bytes = std::size_t{wanted.width} * 4;
  std::uint8_t* const row = line.reserve(bytes + kRowPadding);
  const auto from = std::max(wanted.x, have.x);
  const auto to = std::min(wanted.x + wanted.width, have.x + have.width);
  for (std::uint32_t y = 0; y < wanted.height; ++y) {
    const auto canvas_y = wanted.y + y;
    const bool inside = canvas_y >= have.y && canvas_y - have.y < have.height && from < to;
    if (!inside || to - from < wanted.width) {
      std::fill_n(row, bytes, std::uint8_t{255});
    }
    if (inside) {
      const auto* const source =
          window.rgba + (canvas_y - have.y) * window.stride + std::size_t{from - have.x} * 4;
      std::copy_n(source, std::size_t{to - from} * 4, row + std::size_t{from - wanted.x} * 4);
      lay_over_white(row, wanted.width);
    }
    if (pipeline.pixels() == Pixels::kGray) {
      to_gray(row, wanted.width);
    }
    pipeline.row(y, row);
  }
}

/// The part of the frame to decode, in canvas coordinates. Cropping saves decoding the rows below.
/// It starts at even pixels, with a margin for colour upsampling.
Region window_of(const Region& frame, const Region& wanted) {
  constexpr std::uint32_t kMargin = 4;
  const auto axis = [](std::uint32_t begin, std::uint32_t size, std::uint32_t from,
                       std::uint32_t count) {
    const std::uint32_t to = from + count;
    // if the region does not touch the frame, its edge is decoded, because its data must still be
    // complete
    const std::uint32_t first = std::clamp(from, begin, begin + size - 1) - begin;
    const std::uint32_t left = first > kMargin ? (first - kMargin) & ~1U : 0;
    const std::uint32_t right = std::clamp(to + kMargin, begin + left + 1, begin + size) - begin;
    return std::pair(begin + left, right - left);
  };
  const auto [x, width] = axis(frame.x, frame.width, wanted.x, wanted.width);
  const auto [y, height] = axis(frame.y, frame.height, wanted.y, wanted.height);
  return {x, y, width, height};
}

Result<void> decode_frame(const Frame& frame, const Region& window, WebPDecoderConfig& config,
                          const Budget& budget) {
  auto& options = config.options;
  options.use_cropping = 1;
  options.crop_left = static_cast<int>(window.x - frame.place.x);
  options.crop_top = static_cast<int>(window.y - frame.place.y);
  options.crop_width = static_cast<int>(window.width);
  options.crop_height = static_cast<int>(window.height);
  config.output.colorspace = MODE_RGBA;
  const std::unique_ptr<WebPIDecoder, DecoderDeleter> decoder(WebPIDecode(nullptr, 0, &config));
  if (!decoder) {
    return fail(ErrorCode::kUnavailable, "not enough memory to decode this picture now");
  }
  auto status = VP8_STATUS_SUSPENDED;
  for (std::size_t fed = 0; status == VP8_STATUS_SUSPENDED && fed < frame.chunks.size();) {
    if (budget.spent()) {
      return too_slow();
    }
    fed = std::min(frame.chunks.size(), fed + kFeedStep);
    status = WebPIUpdate(decoder.get(), as_u8(frame.chunks), fed);
  }
  if (status == VP8_STATUS_OUT_OF_MEMORY) {
    return fail(ErrorCode::kUnavailable, "not enough memory to decode this picture now");
  }
  if (frame.cut || status == VP8_STATUS_SUSPENDED) {
    int rows = 0;
    WebPIDecGetRGB(decoder.get(), &rows, nullptr, nullptr, nullptr);
    const auto whole = static_cast<std::uint32_t>(std::max(rows, 0)) + window.y - frame.place.y;
    return truncated(kName, rows > 0 ? whole : 0, frame.place.height);
  }
  if (status != VP8_STATUS_OK) {
    return corrupt(kName, "corrupt data");
  }
  return {};
}

}  // namespace

Result<Header> webp_header(Bytes bytes) {
  return parse(bytes).transform([](const Parsed& parsed) { return parsed.header; });
}

// The first frame of an animation is composed on an empty canvas, as in libwebp's animation
// decoder. The canvas is never allocated, because it can be much larger than its frames.
Result<void> decode_webp(Bytes bytes, Pipeline& pipeline, Workspace& workspace,
                         const Budget& budget) {
  const auto parsed = without_fault(parse(bytes));
  if (!parsed) {
    return fail(parsed.error());
  }
  const auto& frame = parsed->frame;
  ConfigBuffer buffer;
  if (!buffer.ready) {
    return fail(ErrorCode::kInternal, "WebP decoding is not available", "libwebp: ABI mismatch");
  }
  const auto window = window_of(frame.place, pipeline.region());
  if (auto done = decode_frame(frame, window, buffer.config, budget); !done) {
    return done;
  }
  const auto& out = buffer.config.output.u.RGBA;
  deliver({.region = window, .rgba = out.rgba, .stride = static_cast<std::size_t>(out.stride)},
          pipeline, workspace.line);
  return {};
}

}  // namespace podsense::image
