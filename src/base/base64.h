#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace podsense {

/// Whether the encoding is padded with '=' if the number of bytes is not a multiple of three.
enum class Padding : std::uint8_t { kNone, kEquals };

/// `bytes` in the standard alphabet. @source RFC 4648 4
std::string encode_base64(std::string_view bytes, Padding padding = Padding::kEquals);

}  // namespace podsense
