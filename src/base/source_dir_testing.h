#pragma once

/// Where the tests find their data. One file knows the path, so that clones in different folders
/// share what the compiler made of all other tests.

#include <filesystem>

namespace podsense {

std::filesystem::path source_dir();

}  // namespace podsense
