#include "base/source_dir_testing.h"

namespace podsense {

std::filesystem::path source_dir() {
  return PODSENSE_SOURCE_DIR;
}

}  // namespace podsense
