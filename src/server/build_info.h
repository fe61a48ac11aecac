#pragma once

namespace podsense::server {

/// What this binary was built from; the values come from CMake.
struct BuildInfo {
  const char* version;
  const char* commit;
  const char* compiler;
};
BuildInfo build_info();

}  // namespace podsense::server
