#pragma once

#include <string_view>

namespace podsense::plan {

/// plan.html; `@DATA@` stands where the JSON goes. Private to this module.
std::string_view plan_page();

}  // namespace podsense::plan
