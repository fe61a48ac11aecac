#pragma once

/// StringNormalizer asks for the locale en_US.UTF-8 by its name, and containers have none. Private
/// to this module.

#include <filesystem>
#include <vector>

namespace podsense::onnx {

/// Where that locale may be, beside the binary: installed, and built in place.
std::vector<std::filesystem::path> locale_folders();

/// Where the system has no en_US.UTF-8, has it looked for in the first of `folders` that holds it.
/// True where there is one now. To be called before there are threads.
bool find_locale(const std::vector<std::filesystem::path>& folders);

}  // namespace podsense::onnx
