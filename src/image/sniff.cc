#include <algorithm>
#include <cstring>
#include <string_view>

#include "image/image.h"

namespace podsense::image {
namespace {

using std::string_view_literals::operator""sv;

constexpr auto kAccepted = "accepted are JPEG, PNG and WebP"sv;

struct Magic {
  std::size_t offset;
  std::string_view bytes;
  std::string_view name;
};

// The first that matches names the bytes; only for the error message.
constexpr Magic kOthers[] = {
    {0, "GIF8"sv, "GIF"},
    {0, "BM"sv, "BMP"},
    {0, "II*\0"sv, "TIFF"},
    {0, "MM\0*"sv, "TIFF"},
    {0, "II+\0"sv, "TIFF"},
    {4, "ftypavif"sv, "AVIF"},
    {4, "ftypavis"sv, "AVIF"},
    {4, "ftypheic"sv, "HEIC"},
    {4, "ftypheix"sv, "HEIC"},
    {4, "ftyphevc"sv, "HEIC"},
    {4, "ftypmif1"sv, "HEIC"},
    {4, "ftypmsf1"sv, "HEIC"},
    {4, "ftyp"sv, "an MP4 or MOV video"},
    {0, "\xFF\x0A"sv, "JPEG XL"},
    {0, "\0\0\0\x0CJXL "sv, "JPEG XL"},
    {0, "\0\0\0\x0CjP  "sv, "JPEG 2000"},
    {0, "\xFF\x4F\xFF\x51"sv, "JPEG 2000"},
    {0, "%PDF"sv, "PDF"},
    {0, "8BPS"sv, "Photoshop (PSD)"},
    {0, "\0\0\x01\0"sv, "an icon (ICO)"},
    {0, "\x1F\x8B"sv, "gzip"},
    {0, "PK\x03\x04"sv, "a ZIP archive"},
    {0, "\x1A\x45\xDF\xA3"sv, "a WebM or Matroska video"},
};

bool has(std::string_view text, std::size_t offset, std::string_view magic) {
  return text.size() >= offset && text.substr(offset).starts_with(magic);
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool contains_lower(std::string_view text, std::string_view needle) {
  const auto equal = [](char a, char b) { return lower(a) == b; };
  return std::search(text.begin(), text.end(), needle.begin(), needle.end(), equal) != text.end();
}

/// Markup and text, from the first 512 bytes.
std::string_view name_of_text(std::string_view text) {
  text = text.substr(0, 512);
  if (text.starts_with("\xEF\xBB\xBF")) {
    text.remove_prefix(3);
  }
  const auto start = text.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos) {
    return "blank text";
  }
  text.remove_prefix(start);
  if (text.front() == '<') {
    if (contains_lower(text, "<svg")) {
      return "SVG";
    }
    if (contains_lower(text, "<html") || contains_lower(text, "<!doctype html")) {
      return "HTML";
    }
    return "XML or HTML";
  }
  if (text.front() == '{' || text.front() == '[') {
    return "JSON";
  }
  if (text.starts_with("data:")) {
    return "a data: URL";
  }
  const auto plain = [](char c) {
    return c == '\t' || c == '\r' || c == '\n' || (c >= ' ' && c < 127);
  };
  return std::ranges::all_of(text, plain) ? "plain text" : "";
}

std::string_view name_of(std::string_view text) {
  for (const auto& magic : kOthers) {
    if (has(text, magic.offset, magic.bytes)) {
      return magic.name;
    }
  }
  return name_of_text(text);
}

}  // namespace

Result<Format> sniff(std::span<const std::byte> bytes) {
  // char views are the one aliasing that is always allowed
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
  std::string message;
  if (text.empty()) {
    message = "the image is empty; ";
  } else if (const auto name = name_of(text); !name.empty()) {
    message.append("this is not an accepted image but looks like ").append(name).append("; ");
  } else {
    message = "these bytes are no image that is known here; ";
  }
  message.append(kAccepted);
  return fail(ErrorCode::kUnsupportedMedia, std::move(message));
}

}  // namespace podsense::image
