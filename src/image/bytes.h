#pragma once

/// Bounded reads from untrusted bytes.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace podsense::image {

using Bytes = std::span<const std::byte>;

/// @pre for all: `at` plus the width is within `bytes`
inline std::uint32_t u8_at(Bytes bytes, std::size_t at) {
  return std::to_integer<std::uint32_t>(bytes[at]);
}
inline std::uint32_t be16(Bytes bytes, std::size_t at) {
  return u8_at(bytes, at) << 8U | u8_at(bytes, at + 1);
}
inline std::uint32_t be32(Bytes bytes, std::size_t at) {
  return be16(bytes, at) << 16U | be16(bytes, at + 2);
}
inline std::uint32_t le16(Bytes bytes, std::size_t at) {
  return u8_at(bytes, at + 1) << 8U | u8_at(bytes, at);
}
inline std::uint32_t le24(Bytes bytes, std::size_t at) {
  return u8_at(bytes, at + 2) << 16U | le16(bytes, at);
}
inline std::uint32_t le32(Bytes bytes, std::size_t at) {
  return le16(bytes, at + 2) << 16U | le16(bytes, at);
}

/// Whether `text` is at offset `at`; false if it would reach past the end.
inline bool matches(Bytes bytes, std::size_t at, std::string_view text) {
  return at <= bytes.size() && bytes.size() - at >= text.size() &&
         std::memcmp(bytes.data() + at, text.data(), text.size()) == 0;
}

}  // namespace podsense::image
