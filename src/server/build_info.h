#pragma once

namespace podsense::server {

/// Version and commit of this binary; set by CMake.
struct BuildInfo {
  const char* version;
  const char* commit;
  const char* compiler;
};
BuildInfo build_info();

}  // namespace podsense::server
