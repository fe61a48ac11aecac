#include "onnx/locales.h"

#include <gtest/gtest.h>
#include <locale.h>  // NOLINT(modernize-deprecated-headers): newlocale

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
  const locale_t found = ::newlocale(LC_ALL_MASK, "en_US.UTF-8", nullptr);
  ASSERT_NE(found, nullptr);
  ::freelocale(found);
}

}  // namespace
}  // namespace podsense::onnx
