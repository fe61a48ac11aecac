#pragma once

/// Pages that carry their data: one file that loads nothing.

#include <string>
#include <string_view>

namespace podsense::text {

/// `page` with `json` in the place of its first "@DATA@", which is inside a script element. Nothing
/// in the data can end that element. @pre the page has the mark
std::string page_with_data(std::string_view page, std::string_view json);

}  // namespace podsense::text
