#pragma once

/// ONNX Runtime's StringNormalizer needs the locale en_US.UTF-8, which containers lack. Private to
/// this module.

#include <filesystem>
#include <vector>

namespace podsense::onnx {

/// Folders relative to the binary that may contain the locale: installed, and in the build tree.
std::vector<std::filesystem::path> locale_folders();

/// If the system has no en_US.UTF-8, sets LOCPATH to the first of `folders` that contains it. True:
/// the locale is available. Call it before threads exist.
bool find_locale(const std::vector<std::filesystem::path>& folders);

}  // namespace podsense::onnx
