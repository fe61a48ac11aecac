#pragma once

#include <string_view>

namespace podsense::foresight {

/// simulate.html; `@DATA@` stands where the JSON goes. Private to this module.
std::string_view simulate_page();

}  // namespace podsense::foresight
