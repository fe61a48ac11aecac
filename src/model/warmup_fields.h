#pragma once

/// Reads `warmup:` of a manifest. Private to this module.

#include <filesystem>
#include <string_view>

#include "base/error.h"
#include "model/manifest.h"
#include "model/yaml_fields.h"

namespace podsense::model {

/// @param folder where input files must be
/// @errors kInvalidArgument, as parse_manifest
Result<void> read_warmup_section(std::string_view key, const YAML::Node& node,
                                 const std::filesystem::path& folder, Manifest& out);

}  // namespace podsense::model
