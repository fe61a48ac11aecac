#pragma once

/// Checks of files for `podsense check`.

#include <string>
#include <vector>

#include "server/config.h"

namespace podsense::server {

struct CheckedFile {
  std::string path;
  std::string fault;  ///< one sentence with the path; empty: none
};

/// Checks whether a server could use the configured credential files and model cache. Creates a
/// missing cache folder.
std::vector<CheckedFile> check_files(const Config& config);

}  // namespace podsense::server
