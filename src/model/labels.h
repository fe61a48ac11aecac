#pragma once

/// Class names: one a line in a file, or a JSON list in the ONNX file. Private to this module.

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace podsense::model {

inline constexpr std::size_t kMaxLabelBytes = 16U << 20U;
inline constexpr std::size_t kMaxLabels = 1'000'000;

/// Where `relative` leads from `folder`, links resolved, when that stays inside `folder`.
/// Messages call the file by its relative name only.
/// @errors kInvalidArgument: absolute, leaves the folder, missing, not a regular file
Result<std::filesystem::path> resolve_inside(const std::filesystem::path& folder,
                                             std::string_view relative);

/// Lines without their ends; empty lines at the end are dropped.
Result<std::vector<std::string>> read_label_file(const std::filesystem::path& folder,
                                                 const std::string& relative);

/// `["espresso", "cup", 3]`: strings, and whole numbers as text.
/// @errors kInvalidArgument: anything else, or over the limits
Result<std::vector<std::string>> parse_label_list(std::string_view json);

/// What to tell of labels that are not UTF-8; empty: nothing. `source`: "'labels.txt'".
std::string not_utf8(const std::vector<std::string>& labels, const std::string& source);

}  // namespace podsense::model
