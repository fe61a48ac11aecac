#include "load/reports/report.h"
#include "load/reports/report_page.h"

namespace podsense::load {
namespace {

constexpr std::string_view kMark = "@DATA@";

/// JSON that may stand inside a script element: no "</script" and no "<!--" can come up in it.
std::string without_tags(std::string_view json) {
  std::string safe;
  safe.reserve(json.size());
  for (const char c : json) {
    if (c == '<') {
      safe += "\\u003c";
    } else {
      safe += c;
    }
  }
  return safe;
}

}  // namespace

std::string html_report(const LoadReport& report) {
  const std::string_view page = report_page();
  const std::size_t mark = page.find(kMark);
  std::string out(page.substr(0, mark));
  out += without_tags(json_report(report));
  out += page.substr(mark + kMark.size());
  return out;
}

}  // namespace podsense::load
