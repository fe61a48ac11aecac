#include "image/png_text.h"

#include <spng.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string_view>
#include <vector>

namespace podsense::image {
namespace {

using std::string_view_literals::operator""sv;

constexpr std::size_t kMostText = std::size_t{1} << 20U;

constexpr auto kXmp = "XML:com.adobe.xmp"sv;
constexpr auto kRawExif = "Raw profile type exif"sv;
constexpr auto kRawApp1 = "Raw profile type APP1"sv;
constexpr auto kRawXmp = "Raw profile type xmp"sv;

struct ContextDeleter {
  void operator()(spng_ctx* context) const { spng_ctx_free(context); }
};

/// A minimal PNG for libspng to parse a single text chunk: the file's header, the chunk, and an
/// empty data chunk.
class OneChunk {
 public:
  OneChunk(Bytes ihdr, Bytes chunk) : parts_{ihdr, chunk, std::as_bytes(std::span(kData))} {}

  static int read(spng_ctx* /*context*/, void* user, void* to, std::size_t size) {
    auto& self = *static_cast<OneChunk*>(user);
    auto* out = static_cast<std::byte*>(to);
    for (auto& part : self.parts_) {
      const std::size_t count = std::min(size, part.size());
      out = std::copy_n(part.begin(), count, out);
      part = part.subspan(count);
      size -= count;
    }
    return size == 0 ? SPNG_OK : SPNG_IO_EOF;
  }

 private:
  static constexpr std::array<unsigned char, 12> kData = {0,   0,   0,    0,    'I',  'D',
                                                          'A', 'T', 0x35, 0xAF, 0x06, 0x1E};
  std::array<Bytes, 3> parts_;
};

/// Decodes a profile written as text: a name and a length on separate lines, then hexadecimal
/// digits. @source ImageMagick's PNG coder
std::vector<std::byte> raw_profile(std::string_view text) {
  for (int line = 0; line < 3; ++line) {
    const auto end = text.find('\n');
    if (end == std::string_view::npos) {
      return {};
    }
    text.remove_prefix(end + 1);
  }
  std::vector<std::byte> bytes;
  unsigned value = 0;
  unsigned digits = 0;
  for (const char c : text) {
    const auto digit = "0123456789abcdef0123456789ABCDEF"sv.find(c);
    if (digit == std::string_view::npos) {
      continue;
    }
    value = value << 4U | (digit & 15U);
    if (++digits % 2 == 0) {
      bytes.push_back(static_cast<std::byte>(value));
      value = 0;
    }
  }
  return bytes;
}

Bytes bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

void keep(std::optional<int>& tag, std::optional<int> found) {
  if (found) {
    tag = found;
  }
}

void read_text(std::string_view key, std::string_view text, bool has_exif, OrientationTags& tags) {
  if (key == kXmp) {
    return keep(tags.xmp, xmp_orientation(bytes_of(text)));
  }
  const auto profile = raw_profile(text);
  if (key == kRawExif && !has_exif) {
    keep(tags.exif, exif_orientation(profile));
  } else if (key == kRawApp1) {
    const bool xmp = matches(profile, 0, "http://ns.adobe.com/xap/1.0/");
    keep(tags.other, xmp ? xmp_orientation(profile) : exif_orientation(profile));
  } else if (key == kRawXmp) {
    keep(tags.other, xmp_orientation(profile));
  }
}

}  // namespace

bool read_png_text(Bytes ihdr, Bytes chunk, bool has_exif, OrientationTags& tags) {
  constexpr std::size_t kBody = 8;
  const auto named = [&](std::string_view key) {
    return matches(chunk, kBody, key) && matches(chunk, kBody + key.size(), "\0"sv);
  };
  if (!named(kXmp) && !named(kRawExif) && !named(kRawApp1) && !named(kRawXmp)) {
    return false;
  }
  OneChunk stream(ihdr, chunk);
  const std::unique_ptr<spng_ctx, ContextDeleter> context(spng_ctx_new(0));
  if (!context || spng_set_crc_action(context.get(), SPNG_CRC_USE, SPNG_CRC_USE) != SPNG_OK ||
      spng_set_chunk_limits(context.get(), kMostText, 2 * kMostText) != SPNG_OK ||
      spng_set_png_stream(context.get(), &OneChunk::read, &stream) != SPNG_OK) {
    return true;
  }
  spng_text text{};
  std::uint32_t count = 1;
  if (spng_get_text(context.get(), &text, &count) == SPNG_OK && count == 1 &&
      text.text != nullptr) {
    read_text(text.keyword, {text.text, text.length}, has_exif, tags);
  }
  return true;
}

}  // namespace podsense::image
