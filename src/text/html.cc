#include "text/html.h"

#include <cstddef>

namespace podsense::text {

std::string page_with_data(std::string_view page, std::string_view json) {
  constexpr std::string_view kMark = "@DATA@";
  const std::size_t mark = page.find(kMark);
  std::string out(page.substr(0, mark));
  out.reserve(page.size() + json.size());
  for (const char c : json) {  // no "</script" and no "<!--" comes up
    if (c == '<') {
      out += "\\u003c";
    } else {
      out += c;
    }
  }
  return out.append(page.substr(mark + kMark.size()));
}

}  // namespace podsense::text
