#include "server/build_info.h"

namespace podsense::server {

BuildInfo build_info() {
  return {.version = PODSENSE_VERSION, .commit = PODSENSE_COMMIT, .compiler = PODSENSE_COMPILER};
}

}  // namespace podsense::server
