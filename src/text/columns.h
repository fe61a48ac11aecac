#pragma once

/// Text in columns of a fixed width, as tables on a terminal have it.

#include <cstddef>
#include <string>
#include <string_view>

namespace podsense::text {

/// Columns that UTF-8 text takes: further bytes of a character take none.
std::size_t width_of(std::string_view text);
/// With blanks before it, up to `width` columns; text that is wider stays as it is.
std::string right(std::string_view text, std::size_t width);
/// With blanks behind it.
std::string left(std::string_view text, std::size_t width);

}  // namespace podsense::text
