#include "onnx/locales.h"

#include <locale.h>  // NOLINT(modernize-deprecated-headers): newlocale

#include <cstdlib>
#include <system_error>

namespace podsense::onnx {
namespace {

bool has_locale() {
  const locale_t found = ::newlocale(LC_ALL_MASK, "en_US.UTF-8", nullptr);
  if (found != nullptr) {
    ::freelocale(found);
  }
  return found != nullptr;
}

}  // namespace

std::vector<std::filesystem::path> locale_folders() {
  std::error_code error;
  const auto binary = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) {
    return {};
  }
  const auto above = binary.parent_path().parent_path();
  return {above / "share/podsense/locale", above / "deps/locale"};
}

bool find_locale(const std::vector<std::filesystem::path>& folders) {
  if (has_locale()) {
    return true;
  }
  // NOLINTBEGIN(concurrency-mt-unsafe): before there are threads
  const char* const before = ::getenv("LOCPATH");
  for (const auto& folder : folders) {
    std::error_code error;
    if (before == nullptr &&
        std::filesystem::is_regular_file(folder / "en_US.utf8/LC_CTYPE", error)) {
      ::setenv("LOCPATH", folder.c_str(), 1);  // leaks a little memory, so only if needed
      return true;
    }
  }
  // NOLINTEND(concurrency-mt-unsafe)
  return false;
}

}  // namespace podsense::onnx
