#pragma once

/// Lists as people write them on a command line and in a file: fields between separators, blanks
/// around them.

#include <string_view>
#include <vector>

namespace podsense::text {

/// At least one field; each without the blanks around it.
std::vector<std::string_view> split(std::string_view text, char separator);
/// Without blanks, tabs and ends of lines at both ends.
std::string_view trim(std::string_view text);

}  // namespace podsense::text
