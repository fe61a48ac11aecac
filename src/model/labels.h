#pragma once

/// Class names: one a line of a text file, or JSON in a file or in the ONNX file. Private to this
/// module.

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

/// The lines of a text file without their ends, empty ones at the end dropped; of a file that is
/// called `.json`, what parse_label_json reads.
Result<std::vector<std::string>> read_label_file(const std::filesystem::path& folder,
                                                 const std::string& relative);

/// `["espresso", "cup", 3]`, `{"0": "espresso", "1": "cup"}`, or Hugging Face's `config.json`,
/// whose `id2label` is such an object. A label is a text or a whole number; in objects also a list
/// whose last text counts, as in Keras' class index.
/// @errors kInvalidArgument: anything else, or over the limits
Result<std::vector<std::string>> parse_label_json(std::string_view text);

/// A warning where labels are not UTF-8; empty: all are. `source`: "'labels.txt'".
std::string not_utf8(const std::vector<std::string>& labels, const std::string& source);

}  // namespace podsense::model
