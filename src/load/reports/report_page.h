#pragma once

#include <string_view>

namespace podsense::load {

/// report.html; `@DATA@` stands where the JSON report goes.
std::string_view report_page();

}  // namespace podsense::load
