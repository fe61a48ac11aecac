#pragma once

#include <string_view>

namespace podsense {

/// Is all of it UTF-8, as RFC 3629 has it?
bool is_utf8(std::string_view text);

inline constexpr std::string_view kByteOrderMark =
    "\xEF\xBB\xBF";  ///< in UTF-8; some editors write it

}  // namespace podsense
