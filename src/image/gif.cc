/// The first frame of a GIF, composed on its canvas as in Pillow: the canvas is at least as large
/// as the frame. Pixels outside the frame are transparent if the frame has a transparent colour,
/// otherwise colour 0.
/// @source GIF89a specification; giflib's API documentation; Pillow GifImagePlugin

#include <gif_lib.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <optional>

#include "image/decode.h"
#include "image/exif.h"

namespace podsense::image {
namespace {

constexpr std::string_view kName = "GIF";
constexpr std::uint32_t kExtension = 0x21;
constexpr std::uint32_t kPicture = 0x2C;
constexpr std::uint32_t kTrailer = 0x3B;
constexpr std::size_t kScreen = 13;           // signature and screen descriptor
constexpr std::size_t kImageDescriptor = 10;  // including its separator
constexpr std::uint32_t kRowsBetweenChecks = 64;

struct Frame {
  Region place;
  Bytes palette;  ///< RGB; empty: grey levels
  std::optional<std::uint32_t> transparent;
  bool interlaced = false;
};

struct Parsed {
  Header header;
  Frame frame;
};

/// The colour table described by `flags`.
Bytes palette_at(Bytes bytes, std::size_t at, std::uint32_t flags) {
  const std::size_t size = (flags & 0x80U) != 0 ? std::size_t{3} << ((flags & 7U) + 1) : 0;
  return at <= bytes.size() && size <= bytes.size() - at ? bytes.subspan(at, size) : Bytes{};
}

std::size_t palette_size(std::uint32_t flags) {
  return (flags & 0x80U) != 0 ? std::size_t{3} << ((flags & 7U) + 1) : 0;
}

/// The offset after the sub-blocks at `at`; the end of the file if they are not terminated.
std::size_t skip_blocks(Bytes bytes, std::size_t at) {
  while (at < bytes.size()) {
    const std::size_t length = u8_at(bytes, at);
    ++at;
    if (length == 0) {
      return at;
    }
    at += length;
  }
  return bytes.size();
}

/// Reads all blocks; stores the properties of the first frame and counts the others.
class Reader {
 public:
  explicit Reader(Bytes bytes) : bytes_(bytes) {}

  Parsed run() {
    auto& info = parsed_.header.info;
    info.format = Format::kGif;
    info.width = le16(bytes_, 6);
    info.height = le16(bytes_, 8);
    const std::uint32_t flags = u8_at(bytes_, 10);
    palette_ = palette_at(bytes_, kScreen, flags);
    std::size_t at = std::min(bytes_.size(), kScreen + palette_size(flags));
    while (at < bytes_.size() && u8_at(bytes_, at) != kTrailer) {
      at = block(at);
    }
    info.frames = std::max(1U, frames_);
    return std::move(parsed_);
  }
  [[nodiscard]] std::uint32_t frames() const { return frames_; }

 private:
  std::size_t block(std::size_t at) {
    if (u8_at(bytes_, at) == kExtension && bytes_.size() - at > 2) {
      extension(at);
      return skip_blocks(bytes_, at + 2);
    }
    if (u8_at(bytes_, at) != kPicture || bytes_.size() - at < kImageDescriptor) {
      return bytes_.size();
    }
    const std::uint32_t flags = u8_at(bytes_, at + 9);
    if (frames_++ == 0) {
      first_frame(at, flags);
    }
    return skip_blocks(bytes_, at + kImageDescriptor + palette_size(flags) + 1);
  }

  void extension(std::size_t at) {
    // Graphics control extension, four bytes: flags, delay, transparent colour.
    if (frames_ == 0 && u8_at(bytes_, at + 1) == GRAPHICS_EXT_FUNC_CODE && bytes_.size() - at > 7 &&
        u8_at(bytes_, at + 2) >= 4) {
      parsed_.frame.transparent.reset();
      if ((u8_at(bytes_, at + 3) & 1U) != 0) {
        parsed_.frame.transparent = u8_at(bytes_, at + 6);
      }
    }
  }

  void first_frame(std::size_t at, std::uint32_t flags) {
    auto& frame = parsed_.frame;
    auto& info = parsed_.header.info;
    frame.place = {le16(bytes_, at + 1), le16(bytes_, at + 3), le16(bytes_, at + 5),
                   le16(bytes_, at + 7)};
    frame.interlaced = (flags & 0x40U) != 0;
    const Bytes own = palette_at(bytes_, at + kImageDescriptor, flags);
    frame.palette = own.empty() ? palette_ : own;
    info.width = std::max(info.width, frame.place.x + frame.place.width);
    info.height = std::max(info.height, frame.place.y + frame.place.height);
  }

  Bytes bytes_;
  Bytes palette_;  ///< global palette
  Parsed parsed_;
  std::uint32_t frames_ = 0;
};

Result<Parsed> parse(Bytes bytes) {
  if (bytes.size() < kScreen) {
    return corrupt(kName, "it is truncated");
  }
  Reader reader(bytes);
  Parsed parsed = reader.run();
  const auto& place = parsed.frame.place;
  auto& header = parsed.header;
  if (reader.frames() == 0) {
    header.fault = corrupt(kName, "it is truncated or holds no picture").value();
  } else if (place.width == 0 || place.height == 0) {
    header.fault = corrupt(kName, "its first picture has a width or height of 0").value();
  }
  constexpr std::uint64_t kGiflib = std::uint64_t{64} << 10U;
  const std::uint64_t rows = parsed.frame.interlaced ? place.height : 1;
  header.info.decoder_bytes = place.width * rows + header.info.width * 4ULL + kGiflib;
  return parsed;
}

/// Input for giflib's read callback. A file that ends between two blocks also ends the picture.
struct Input {
  Bytes left;
  static int read(GifFileType* file, GifByteType* to, int size) {
    auto& left = static_cast<Input*>(file->UserData)->left;
    if (left.empty() && size == 1) {
      *to = 0;
      return 1;
    }
    const std::size_t count = std::min(left.size(), static_cast<std::size_t>(size));
    std::memcpy(to, left.data(), count);
    left = left.subspan(count);
    return static_cast<int>(count);
  }
};

struct Closer {
  void operator()(GifFileType* file) const {
    int code = 0;
    DGifCloseFile(file, &code);
  }
};
using File = std::unique_ptr<GifFileType, Closer>;

/// Opens the file with giflib and moves to the first frame's data.
Result<File> open(Input& input) {
  int code = 0;
  File file(DGifOpen(&input, &Input::read, &code));
  if (!file) {
    if (code == D_GIF_ERR_NOT_ENOUGH_MEM) {
      return fail(ErrorCode::kUnavailable, "not enough memory to decode this picture now");
    }
    return corrupt(kName, "its header is truncated or corrupt");
  }
  GifRecordType type = UNDEFINED_RECORD_TYPE;
  while (DGifGetRecordType(file.get(), &type) == GIF_OK && type == EXTENSION_RECORD_TYPE) {
    int kind = 0;
    GifByteType* block = nullptr;
    int done = DGifGetExtension(file.get(), &kind, &block);
    while (done == GIF_OK && block != nullptr) {
      done = DGifGetExtensionNext(file.get(), &block);
    }
    if (done != GIF_OK) {
      return corrupt(kName, "a block before its picture is corrupt");
    }
  }
  if (type != IMAGE_DESC_RECORD_TYPE || DGifGetImageDesc(file.get()) != GIF_OK) {
    return corrupt(kName, "its picture does not begin as one");
  }
  return file;
}

using Colours = std::array<std::array<std::uint8_t, 4>, 256>;

/// The colour of each index, over white. Without a palette: grey levels; beyond the palette: black.
Colours colours_of(const Frame& frame) {
  Colours colours{};
  for (std::size_t i = 0; i < colours.size(); ++i) {
    colours[i].fill(frame.palette.empty() ? static_cast<std::uint8_t>(i) : std::uint8_t{0});
    for (std::size_t c = 0; c < 3 && 3 * i + c < frame.palette.size(); ++c) {
      colours[i][c] = static_cast<std::uint8_t>(u8_at(frame.palette, 3 * i + c));
    }
  }
  if (frame.transparent) {
    colours[*frame.transparent].fill(255);
  }
  return colours;
}

/// Passes rows of the canvas to the pipeline.
class Canvas {
 public:
  Canvas(const Frame& frame, Pipeline& pipeline, Buffer<std::uint8_t>& line)
      : frame_(frame),
        pipeline_(pipeline),
        colours_(colours_of(frame)),
        row_(line.reserve(std::size_t{pipeline.region().width} * 4 + kRowPadding)) {}

  /// Passes row `y` of the canvas. `indices`: the frame's row there; null: none.
  void row(std::uint32_t y, const std::uint8_t* indices) {
    const auto& region = pipeline_.region();
    if (y < region.y || y - region.y >= region.height) {
      return;
    }
    const auto& place = frame_.place;
    const auto& free = colours_[frame_.transparent.value_or(0)];
    for (std::uint32_t x = 0; x < region.width; ++x) {
      const std::uint32_t at = region.x + x;
      const bool inside = indices != nullptr && at >= place.x && at - place.x < place.width;
      const auto& colour = inside ? colours_[indices[at - place.x]] : free;
      std::memcpy(row_ + std::size_t{x} * 4, colour.data(), colour.size());
    }
    if (pipeline_.pixels() == Pixels::kGray) {
      to_gray(row_, region.width);
    }
    pipeline_.row(y - region.y, row_);
  }

 private:
  const Frame& frame_;
  Pipeline& pipeline_;
  const Colours colours_;
  std::uint8_t* const row_;
};

/// The position of the frame's n-th data row. @source GIF89a appendix E
std::uint32_t interlaced_row(std::uint32_t n, std::uint32_t height) {
  struct Pass {
    std::uint32_t first;
    std::uint32_t step;
  };
  for (const auto& [first, step] : {Pass{0, 8}, {4, 8}, {2, 4}, {1, 2}}) {
    const std::uint32_t rows = height > first ? (height - first + step - 1) / step : 0;
    if (n < rows) {
      return first + n * step;
    }
    n -= rows;
  }
  return height - 1;
}

Result<void> read_rows(GifFileType* file, const Frame& frame, Canvas& canvas,
                       const Budget& budget) {
  const auto& place = frame.place;
  Buffer<std::uint8_t> all;
  std::uint8_t* const rows =
      all.reserve(std::size_t{place.width} * (frame.interlaced ? place.height : 1));
  for (std::uint32_t n = 0; n < place.height; ++n) {
    if (n % kRowsBetweenChecks == 0 && budget.spent()) {
      return too_slow();
    }
    const std::uint32_t y = frame.interlaced ? interlaced_row(n, place.height) : n;
    std::uint8_t* const row = rows + (frame.interlaced ? std::size_t{y} * place.width : 0);
    if (DGifGetLine(file, row, static_cast<int>(place.width)) != GIF_OK) {
      return frame.interlaced
                 ? corrupt(kName, "it is truncated or corrupt: about " + std::to_string(n) +
                                      " of " + std::to_string(place.height) +
                                      " rows are there (interlaced)")
                 : truncated(kName, n, place.height);
    }
    if (!frame.interlaced) {
      canvas.row(place.y + y, row);
    }
  }
  for (std::uint32_t y = 0; frame.interlaced && y < place.height; ++y) {
    canvas.row(place.y + y, rows + std::size_t{y} * place.width);
  }
  return {};
}

}  // namespace

Result<Header> gif_header(Bytes bytes) {
  return parse(bytes).transform([](const Parsed& parsed) { return parsed.header; });
}

Result<void> decode_gif(Bytes bytes, Pipeline& pipeline, Workspace& workspace,
                        const Budget& budget) {
  const auto parsed = without_fault(parse(bytes));
  if (!parsed) {
    return fail(parsed.error());
  }
  const auto& frame = parsed->frame;
  const auto& place = frame.place;
  Input input{bytes};
  const auto file = open(input);
  if (!file) {
    return fail(file.error());
  }
  const auto& found = (*file)->Image;
  if (static_cast<std::uint32_t>(found.Width) != place.width ||
      static_cast<std::uint32_t>(found.Height) != place.height ||
      found.Interlace != frame.interlaced) {
    return corrupt(kName, "its headers contradict each other");
  }
  Canvas canvas(frame, pipeline, workspace.line);
  for (std::uint32_t y = 0; y < place.y; ++y) {
    canvas.row(y, nullptr);
  }
  if (auto done = read_rows(file->get(), frame, canvas, budget); !done) {
    return done;
  }
  for (std::uint32_t y = place.y + place.height; y < parsed->header.info.height; ++y) {
    canvas.row(y, nullptr);
  }
  return {};
}

}  // namespace podsense::image
