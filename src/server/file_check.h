#pragma once

/// What `podsense check` looks at before a server does.

#include <string>
#include <vector>

#include "server/config.h"

namespace podsense::server {

struct CheckedFile {
  std::string path;
  std::string fault;  ///< one sentence with the path; empty: none
};

/// The files of credentials and the model cache that are configured: whether a server could use
/// them. The cache's folder is made where there is none.
std::vector<CheckedFile> check_files(const Config& config);

}  // namespace podsense::server
