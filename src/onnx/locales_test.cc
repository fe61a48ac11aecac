#include "onnx/locales.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "base/source_dir_testing.h"
#include "base/temp_folder_testing.h"

namespace podsense::onnx {
namespace {

TEST(Locales, AFolderBesideTheBinaryStandsInForTheSystems) {
  const TempFolder empty;
  const auto made = source_dir() / "build/deps/locale";
  if (!std::filesystem::exists(made / "en_US.utf8")) {
    GTEST_SKIP() << "scripts/make-locale.sh has not made it";
  }
  find_locale({empty.path()});  // harms nothing
  EXPECT_TRUE(find_locale({empty.path(), made}));
  const char* const path = std::getenv("LOCPATH");  // NOLINT(concurrency-mt-unsafe)
  EXPECT_TRUE(path == nullptr || std::string(path) == made) << "the system's, or ours";
}

}  // namespace
}  // namespace podsense::onnx
