#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace podsense {

/// Whether all of `text` is valid UTF-8. @source RFC 3629
bool is_utf8(std::string_view text);

/// Appends a code point. @requires point <= 0x10FFFF, no surrogate
void append_utf8(std::string& out, std::uint32_t point);

inline constexpr std::string_view kByteOrderMark =
    "\xEF\xBB\xBF";  ///< in UTF-8; some editors write it

}  // namespace podsense
