#pragma once

/// Where the tests find their data. Only one source file contains the path, so that clones in
/// different folders share the compiler cache for all other tests.

#include <filesystem>

namespace podsense {

std::filesystem::path source_dir();

}  // namespace podsense
