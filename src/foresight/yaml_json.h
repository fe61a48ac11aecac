#pragma once

/// YAML as JSON, for files that people write. JSON is YAML, so it is read too. For this module and
/// for plan.

#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace podsense::foresight {

/// One document. Plain scalars are null, booleans and numbers where they look so, as in YAML 1.2;
/// quoted ones are strings. Anchors, aliases, tags and keys given twice are refused.
/// @errors kInvalidArgument, beginning with "line N: "
Result<nlohmann::json> parse_yaml(std::string_view text);
/// As many as there are, separated by `---`; one without anything is null.
Result<std::vector<nlohmann::json>> parse_yaml_documents(std::string_view text);

}  // namespace podsense::foresight
