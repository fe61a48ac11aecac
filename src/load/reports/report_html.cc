#include "load/reports/report.h"
#include "load/reports/report_page.h"
#include "text/html.h"

namespace podsense::load {

std::string html_report(const LoadReport& report) {
  return text::page_with_data(report_page(), json_report(report));
}

}  // namespace podsense::load
