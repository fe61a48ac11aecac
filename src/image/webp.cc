/// @source WebP container specification (RIFF, VP8X, ANIM, ANMF, EXIF); libwebp's API headers

#include <webp/decode.h>
#include <webp/demux.h>

#include <algorithm>
#include <memory>

#include "image/decode.h"
#include "image/exif.h"

namespace podsense::image {
namespace {

constexpr std::string_view kName = "WebP";
constexpr std::size_t kRiffHeader = 12;
constexpr std::size_t kChunkHeader = 8;
constexpr std::size_t kFeedStep = std::size_t{256} << 10U;

const std::uint8_t* as_u8(Bytes bytes) {
  return static_cast<const std::uint8_t*>(static_cast<const void*>(bytes.data()));
}

/// Extended files: frames and orientation stand in chunks behind the first.
void read_chunks(Bytes riff, Header& header) {
  std::uint32_t frames = 0;
  bool exif = false;
  for (std::size_t at = kRiffHeader; riff.size() - at >= kChunkHeader;) {
    const std::size_t length = le32(riff, at + 4);
    const std::size_t room = riff.size() - at - kChunkHeader;
    if (matches(riff, at, "ANMF")) {
      ++frames;
    } else if (matches(riff, at, "EXIF") && length <= room && !exif) {
      header.info.orientation = exif_orientation(riff.subspan(at + kChunkHeader, length));
      exif = true;
    }
    const std::size_t padded = length + (length & 1U);
    if (padded > room) {
      break;
    }
    at += kChunkHeader + padded;
  }
  if (header.animated) {
    header.info.frames = std::max(1U, frames);
  }
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
  void operator()(WebPAnimDecoder* decoder) const { WebPAnimDecoderDelete(decoder); }
};

struct Canvas {
  std::uint8_t* rgba;
  std::size_t stride;
};

/// Rows of a canvas whose first pixel is the region's. `rgba` is writable.
void deliver(const Canvas& canvas, Pipeline& pipeline, Buffer<std::uint8_t>& line) {
  const auto& region = pipeline.region();
  const std::size_t bytes = std::size_t{region.width} * 4;
  std::uint8_t* const row = line.reserve(bytes + kRowPadding);
  for (std::uint32_t y = 0; y < region.height; ++y) {
    std::copy_n(canvas.rgba + y * canvas.stride, bytes, row);
    lay_over_white(row, region.width);
    if (pipeline.pixels() == Pixels::kGray) {
      to_gray(row, region.width);
    }
    pipeline.row(y, row);
  }
}

Result<void> decode_still(Bytes bytes, Pipeline& pipeline, Workspace& workspace,
                          const Header& header, const Budget& budget) {
  ConfigBuffer buffer;
  if (!buffer.ready) {
    return fail(ErrorCode::kInternal, "WebP decoding is not available", "libwebp: ABI mismatch");
  }
  // Cropping saves the rows below. It starts at even pixels, with a margin for colour upsampling.
  constexpr std::uint32_t kMargin = 4;
  const auto& region = pipeline.region();
  const std::uint32_t left = region.x > kMargin ? (region.x - kMargin) & ~1U : 0;
  const std::uint32_t top = region.y > kMargin ? (region.y - kMargin) & ~1U : 0;
  const std::uint32_t right = std::min(header.info.width, region.x + region.width + kMargin);
  const std::uint32_t bottom = std::min(header.info.height, region.y + region.height + kMargin);
  auto& options = buffer.config.options;
  options.use_cropping = 1;
  options.crop_left = static_cast<int>(left);
  options.crop_top = static_cast<int>(top);
  options.crop_width = static_cast<int>(right - left);
  options.crop_height = static_cast<int>(bottom - top);
  buffer.config.output.colorspace = MODE_RGBA;

  const std::unique_ptr<WebPIDecoder, DecoderDeleter> decoder(
      WebPIDecode(nullptr, 0, &buffer.config));
  if (!decoder) {
    return fail(ErrorCode::kUnavailable, "not enough memory to decode this picture now");
  }
  auto status = VP8_STATUS_SUSPENDED;
  for (std::size_t fed = 0; status == VP8_STATUS_SUSPENDED && fed < bytes.size();) {
    if (budget.spent()) {
      return too_slow();
    }
    fed = std::min(bytes.size(), fed + kFeedStep);
    status = WebPIUpdate(decoder.get(), as_u8(bytes), fed);
  }
  if (status == VP8_STATUS_OUT_OF_MEMORY) {
    return fail(ErrorCode::kUnavailable, "not enough memory to decode this picture now");
  }
  if (status != VP8_STATUS_OK) {
    return corrupt(kName, status == VP8_STATUS_SUSPENDED ? "it is truncated" : "corrupt data");
  }
  const auto& out = buffer.config.output.u.RGBA;
  const auto stride = static_cast<std::size_t>(out.stride);
  deliver({.rgba = out.rgba + (region.y - top) * stride + std::size_t{region.x - left} * 4,
           .stride = stride},
          pipeline, workspace.line);
  return {};
}

/// The first frame, on its canvas.
Result<void> decode_first_frame(Bytes bytes, Pipeline& pipeline, Workspace& workspace) {
  WebPAnimDecoderOptions options{};
  if (WebPAnimDecoderOptionsInit(&options) == 0) {
    return fail(ErrorCode::kInternal, "WebP decoding is not available", "libwebp: ABI mismatch");
  }
  options.color_mode = MODE_RGBA;
  options.use_threads = 0;
  const WebPData data{.bytes = as_u8(bytes), .size = bytes.size()};
  const std::unique_ptr<WebPAnimDecoder, DecoderDeleter> decoder(
      WebPAnimDecoderNew(&data, &options));
  WebPAnimInfo info{};
  std::uint8_t* canvas = nullptr;
  int timestamp = 0;
  if (!decoder || WebPAnimDecoderGetInfo(decoder.get(), &info) == 0 ||
      WebPAnimDecoderGetNext(decoder.get(), &canvas, &timestamp) == 0) {
    return corrupt(kName, "its first frame is truncated or corrupt");
  }
  const auto& region = pipeline.region();
  if (region.x + region.width > info.canvas_width ||
      region.y + region.height > info.canvas_height) {
    return corrupt(kName, "its headers contradict each other");
  }
  const std::size_t stride = std::size_t{info.canvas_width} * 4;
  deliver({.rgba = canvas + region.y * stride + std::size_t{region.x} * 4, .stride = stride},
          pipeline, workspace.line);
  return {};
}

}  // namespace

Result<Header> webp_header(Bytes bytes) {
  if (bytes.size() < kRiffHeader + kChunkHeader) {
    return corrupt(kName, "it is truncated");
  }
  const std::size_t riff = le32(bytes, 4);
  if (riff > bytes.size() - 8) {
    return corrupt(kName, "it is truncated");
  }
  WebPBitstreamFeatures features{};
  if (WebPGetFeatures(as_u8(bytes), bytes.size(), &features) != VP8_STATUS_OK) {
    return corrupt(kName, "its header is truncated or corrupt");
  }
  Header header{.info = {.format = Format::kWebp,
                         .width = static_cast<std::uint32_t>(features.width),
                         .height = static_cast<std::uint32_t>(features.height)},
                .animated = features.has_animation != 0};
  if (matches(bytes, kRiffHeader, "VP8X")) {
    read_chunks(bytes.first(riff + 8), header);
  }
  return header;
}

Result<void> decode_webp(Bytes bytes, const Header& header, Pipeline& pipeline,
                         Workspace& workspace, const Budget& budget) {
  return header.animated ? decode_first_frame(bytes, pipeline, workspace)
                         : decode_still(bytes, pipeline, workspace, header, budget);
}

}  // namespace podsense::image
