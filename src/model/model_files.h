#pragma once

/// Where models lie in a folder, by the names that people and other servers give them. Private to
/// this module.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace podsense::model {

inline constexpr std::size_t kMaxFolderEntries = 10'000;

struct Entry {
  std::string name;
  std::filesystem::path path;
};

/// "3", "v3", "0003": 3. Nothing for what is no positive whole number.
std::optional<std::uint64_t> version_number(std::string_view folder_name);

/// Folders in order of name, without hidden ones and `lost+found`.
/// @errors kInvalidArgument: the folder cannot be read, or holds too much
Result<std::vector<Entry>> folders_in(const std::filesystem::path& folder);

/// The model's file in `folder`: `wanted`, else model.onnx, model.ort, onnx/model.onnx, or the only
/// other *.onnx or *.ort. Empty: there is none.
/// @errors kInvalidArgument: `wanted` is not there, or several files and none of those names
Result<std::filesystem::path> find_model_file(const std::filesystem::path& folder,
                                              const std::string& wanted = {});

/// Whether somebody meant `folder`, or one of the folders in it, to be a model.
bool looks_like_a_model(const std::filesystem::path& folder);

}  // namespace podsense::model
