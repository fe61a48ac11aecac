#include <algorithm>
#include <initializer_list>
#include <span>
#include <string_view>
#include <utility>

#include "base/ascii.h"
#include "image/bytes.h"
#include "image/image.h"

namespace podsense::image {
namespace {

using std::string_view_literals::operator""sv;

constexpr auto kAccepted = "accepted are JPEG, PNG, WebP, GIF and AVIF"sv;

constexpr auto kConvert = "convert it to JPEG or PNG"sv;
constexpr auto kHeic =
    "convert it to JPEG (an iPhone does so itself with Settings, Camera, Formats, Most Compatible)"sv;
constexpr auto kFrame = "send one of its frames as JPEG"sv;

/// What the bytes look like, and advice for the sender.
struct Likeness {
  std::string_view name;
  std::string_view advice;
};

struct Magic {
  std::size_t offset;
  std::string_view bytes;
  Likeness likeness;
};

// The first match names the format; only for the error message.
constexpr Magic kOthers[] = {
    {0, "BM"sv, {"BMP", kConvert}},
    {0, "II*\0"sv, {"TIFF", kConvert}},
    {0, "MM\0*"sv, {"TIFF", kConvert}},
    {0, "II+\0"sv, {"TIFF", kConvert}},
    {0, "MM\0+"sv, {"TIFF", kConvert}},
    {0, "\xFF\x0A"sv, {"JPEG XL", kConvert}},
    {0, "\0\0\0\x0CJXL "sv, {"JPEG XL", kConvert}},
    {0, "\0\0\0\x0CjP  "sv, {"JPEG 2000", kConvert}},
    {0, "\xFF\x4F\xFF\x51"sv, {"JPEG 2000", kConvert}},
    {0, "%PDF"sv, {"PDF", "render the page to PNG or JPEG"}},
    {0, "8BPS"sv, {"Photoshop (PSD)", kConvert}},
    {0, "\0\0\x01\0"sv, {"an icon (ICO)", kConvert}},
    {0, "\x1F\x8B"sv, {"gzip", "send it with Content-Encoding: gzip"}},
    {0, "PK\x03\x04"sv, {"a ZIP archive", "send a picture of it"}},
    {0, "\x1A\x45\xDF\xA3"sv, {"a WebM or Matroska video", kFrame}},
    {8, "AVI "sv, {"an AVI video", kFrame}},
};

bool has(std::string_view text, std::size_t offset, std::string_view magic) {
  return text.size() >= offset && text.substr(offset).starts_with(magic);
}

bool contains_lower(std::string_view text, std::string_view needle) {
  const auto equal = [](char a, char b) { return ascii::lower(a) == b; };
  return std::search(text.begin(), text.end(), needle.begin(), needle.end(), equal) != text.end();
}

/// The brands of an ISO media file: the main brand, then the compatible ones.
/// @source ISO/IEC 14496-12 "ftyp"; ISO/IEC 23008-12 and the AVIF specification for the brands
class Brands {
 public:
  explicit Brands(std::string_view text) {
    if (has(text, 4, "ftyp")) {
      const auto length = std::max(16U, be32(std::as_bytes(std::span(text)), 0));
      brands_ = text.substr(8, std::min<std::size_t>(length - 8, kMost));
    }
  }
  [[nodiscard]] bool any() const { return !brands_.empty(); }
  /// Whether the main brand is in `list`.
  [[nodiscard]] bool main_is(std::initializer_list<std::string_view> list) const {
    return std::ranges::any_of(list, [&](auto brand) { return brands_.starts_with(brand); });
  }
  /// Whether any brand is in `list`.
  [[nodiscard]] bool include(std::initializer_list<std::string_view> list) const {
    for (std::size_t at = 0; at + 4 <= brands_.size(); at += 4) {
      const auto brand = brands_.substr(at, 4);
      if (at != 4 && std::ranges::find(list, brand) != list.end()) {  // at 4: a version
        return true;
      }
    }
    return false;
  }
  /// Whether the main brand only says that the file contains pictures.
  [[nodiscard]] bool is_container() const { return main_is({"mif1", "msf1", "miaf", "mif2"}); }
  [[nodiscard]] bool is_avif() const {
    return main_is({"avif", "avis"}) || (is_container() && include({"avif", "avis"}));
  }
  [[nodiscard]] bool is_heic() const {
    return is_container() ||
           main_is({"heic", "heix", "hevc", "hevx", "heim", "heis", "hevm", "hevs"});
  }

 private:
  static constexpr std::size_t kMost = 256;
  std::string_view brands_;
};

/// Recognises markup and text by the first 512 bytes.
Likeness text_likeness(std::string_view text) {
  text = text.substr(0, 512);
  if (text.starts_with("\xEF\xBB\xBF")) {
    text.remove_prefix(3);
  }
  const auto start = text.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos) {
    return {"blank text", {}};
  }
  text.remove_prefix(start);
  if (text.front() == '<') {
    if (contains_lower(text, "<svg")) {
      return {"SVG", "render it to PNG"};
    }
    if (contains_lower(text, "<html") || contains_lower(text, "<!doctype html")) {
      return {"HTML", "send the picture, not a page that shows it"};
    }
    return {"XML or HTML", {}};
  }
  if (text.front() == '{' || text.front() == '[') {
    return {"JSON", "send it with Content-Type: application/json"};
  }
  if (text.starts_with("data:")) {
    return {"a data: URL", "send it as JSON, {\"image\": \"data:…\"}"};
  }
  const auto plain = [](char c) {
    return c == '\t' || c == '\r' || c == '\n' || (c >= ' ' && c < 127);
  };
  return std::ranges::all_of(text, plain) ? Likeness{"plain text", {}} : Likeness{};
}

Likeness likeness_of(std::string_view text) {
  for (const auto& magic : kOthers) {
    if (has(text, magic.offset, magic.bytes)) {
      return magic.likeness;
    }
  }
  if (const Brands brands(text); brands.any()) {
    return brands.is_heic() ? Likeness{"HEIC", kHeic} : Likeness{"an MP4 or MOV video", kFrame};
  }
  return text_likeness(text);
}

}  // namespace

Result<Format> sniff(std::span<const std::byte> bytes) {
  // aliasing as char is always allowed
  const std::string_view text(static_cast<const char*>(static_cast<const void*>(bytes.data())),
                              bytes.size());
  if (has(text, 0, "\xFF\xD8\xFF"sv)) {
    return Format::kJpeg;
  }
  if (has(text, 0, "\x89PNG\r\n\x1A\n"sv)) {
    return Format::kPng;
  }
  if (has(text, 0, "RIFF"sv) && has(text, 8, "WEBP"sv)) {
    return Format::kWebp;
  }
  if (has(text, 0, "GIF87a"sv) || has(text, 0, "GIF89a"sv)) {
    return Format::kGif;
  }
  if (Brands(text).is_avif()) {
    return Format::kAvif;
  }
  std::string message;
  if (text.empty()) {
    message = "the image is empty; ";
  } else if (const auto [name, advice] = likeness_of(text); !name.empty()) {
    message.append("this is not an accepted image but looks like ").append(name).append("; ");
    if (!advice.empty()) {
      message.append(advice).append("; ");
    }
  } else {
    message = "these bytes are not a known image format; ";
  }
  message.append(kAccepted);
  return fail(ErrorCode::kUnsupportedMedia, std::move(message));
}

}  // namespace podsense::image
