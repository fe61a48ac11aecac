#pragma once

/// Finds models in a folder, by the names that people and other servers use. Private to this
/// module.

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

/// "3", "v3", "0003": 3. Nothing: not a positive integer.
std::optional<std::uint64_t> version_number(std::string_view folder_name);

/// Subfolders in the order of their names, without hidden ones and `lost+found`.
/// @errors kInvalidArgument: the folder cannot be read, or has too many entries
Result<std::vector<Entry>> folders_in(const std::filesystem::path& folder);

/// The model's file in `folder`: `wanted` if set, else model.onnx, model.ort, onnx/model.onnx, or
/// the only other *.onnx or *.ort. Empty: none.
/// @errors kInvalidArgument: `wanted` does not exist, or there are several files without a standard
/// name
Result<std::filesystem::path> find_model_file(const std::filesystem::path& folder,
                                              const std::string& wanted = {});

/// Whether `folder`, or one of its subfolders, was probably meant to be a model.
bool looks_like_a_model(const std::filesystem::path& folder);

}  // namespace podsense::model
